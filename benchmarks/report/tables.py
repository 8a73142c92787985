"""The tables of the documentation: which experiment, which rows, which columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.core.store import Results
from benchmarks.report import evidence as e
from benchmarks.report.derived import CD4, novelty, overlap
from benchmarks.report.markdown import (
    SHORT,
    TITLES,
    Column,
    classed,
    columns,
    markdown,
    mean_table,
    number,
    ordered,
    titled,
)

#: Redundancy of fewer genes is that of a handful of pairs.
ENOUGH = 15


def tables(results: Results) -> dict[str, str]:
    """Markdown by name; empty where nothing was measured."""
    panels, curves = results.rows("panels"), results.rows("curves")
    nested = {"in-sample": ", nested cross-validation", "in-sample fixed": ", C = 1"}
    kinds = {
        "seeds": ": another seed, the same cells",
        "halves": ": two random halves of the cells",
    }
    return {
        "panels_held_out": per_set(panels, columns("panels_held_out"), {"held-out": ""}),
        "panels_in_sample": per_set(panels, columns("panels_in_sample"), nested),
        "panels_truth": per_set(panels, columns("panels_truth"), {"truth": ""}),
        "curves_in_sample": _curves(curves, "in-sample"),
        "curves_held_out": _curves(curves, "held-out"),
        "curves_leaders": leaders(curves),
        "stability": per_set(results.rows("stability"), columns("stability"), kinds, "pair"),
        "overlap": _overlap(results),
        "structure": _structure(results.rows("structure")),
        "clusters": per_set(results.rows("clusters"), columns("clusters")),
        "representations": per_set(results.rows("representations"), columns("representations")),
        "speed": _speed(results.rows("speed")),
        "train_speed": _training(results.rows("train_speed")),
        "gpu": _gpu(results.rows("gpu")),
        "mnist": _digits(results),
        **transfer_tables(results),
        **scare_tables(results),
    }


def per_set(
    rows: pd.DataFrame,
    columns: Sequence[Column],
    protocols: dict[str, str] | None = None,
    word: str = "seed",
) -> str:
    """A table for each data set, and for each of some protocols with what it adds to the title."""
    parts = []
    for data in ordered(rows["data"], TITLES):
        for protocol, note in (protocols or {"": ""}).items():
            part = rows[rows["data"] == data]
            part = part[part["protocol"] == protocol] if protocols else part
            if len(part):
                table = mean_table(part, "method", columns)
                parts.append(titled(f"{TITLES.get(data, data)}{note}", part, table, word))
    return "\n".join(parts)


def _curves(rows: pd.DataFrame, protocol: str) -> str:
    """A table for each set; of one seed, the spread is that over groups and folds."""
    parts = []
    rows = rows[rows["protocol"] == protocol]
    for data in ordered(rows["data"], TITLES):
        part = rows[rows["data"] == data].dropna(axis=1, how="all")
        shown = [Column(f"auroc@{k}", f"AUROC @{k}", 3, 1) for k in sizes_of(part)]
        shown += [
            Column(f"redundancy@{k}", f"redundancy @{k}", 3, -1)
            for k in sizes_of(part)
            if k >= ENOUGH
        ]
        note, errors = f", {part['n_groups'].max():.0f} types", None
        if part["seed"].nunique() == 1:
            note += ", ± standard error over types and folds"
            errors = {c.field: c.field.replace("@", "_sem@") for c in shown}
        table = mean_table(part, "method", shown, errors)
        parts.append(titled(TITLES.get(data, data) + note, part, table))
    return "\n".join(parts)


def sizes_of(rows: pd.DataFrame) -> list[int]:
    """Numbers of genes that panels were judged with."""
    return sorted(int(name.removeprefix("auroc@")) for name in rows if name.startswith("auroc@"))


def leaders(rows: pd.DataFrame) -> str:
    """For each set, protocol and number of genes: the default, the best baseline, the best."""
    lines = []
    for data in ordered(rows["data"], TITLES):
        for protocol in ("in-sample", "held-out"):
            part = rows[(rows["data"] == data) & (rows["protocol"] == protocol)]
            part = part.dropna(axis=1, how="all")
            for k in sizes_of(part):
                if line := _leader(part, k):
                    lines.append([f"{SHORT.get(data, data)}, {protocol}", str(k), *line])
    head = ["panels", "genes", "default", "its place", "best baseline", "best of all"]
    return classed(markdown(head, lines, n_words=len(head)), "leaders") if lines else ""


def _leader(rows: pd.DataFrame, k: int) -> list[str]:
    """A line; each method is compared with the default on the seeds that both have."""
    metric = f"auroc@{k}"
    pairs = e.pairs(rows, metric, e.DEFAULT, e.measured(rows, metric))
    pairs = [pair for pair in pairs if len(pair.own)]
    baselines = [pair for pair in pairs if e.is_baseline(pair.name)]
    if not baselines:
        return []
    rival, best = e.hardest(baselines), e.hardest(pairs)
    place = 1 + sum(pair.margin(1, 3) < 0 for pair in pairs)

    def told(name: str, found: pd.Series) -> str:
        redundancy = e.values(rows, f"redundancy@{k}", name).reindex(found.index).mean()
        return f"{found.mean():.3f} ({redundancy:.2f})"

    def other(pair: e.Pair) -> str:
        against = f", against {pair.own.mean():.3f} †" if pair.note else ""
        return f"{pair.name} {told(pair.name, pair.theirs)}{against}"

    bold = "**" if rival.margin(1, 3) >= 0 else ""
    return [
        f"{bold}{told(e.DEFAULT, e.values(rows, metric, e.DEFAULT))}{bold}",
        f"{place} of {len(pairs) + 1}",
        other(rival),
        "the default" if best.margin(1, 3) >= 0 else other(best),
    ]


def _overlap(results: Results) -> str:
    """A table for each set, and the genes that only one method has."""
    parts = []
    for data in ordered(results.rows("overlap")["data"], TITLES):
        part = overlap(results, data)
        title = f"{TITLES.get(data, data)}: {CD4}, the first 18 genes"
        parts.append(titled(title, part, mean_table(part, "method", columns("overlap"))))
        first = part[(part["seed"] == part["seed"].min()) & (part["only"].fillna("") != "")]
        own = ("- `" + first["method"] + "`: " + first["only"] + "\n").tolist()
        if own:
            parts.append("Genes that no baseline (no other one) has:\n\n" + "".join(own))
    return "\n".join(parts)


def _structure(rows: pd.DataFrame) -> str:
    """A table for each set, the level of the causal genes, and when methods get below it."""
    parts = []
    for data in ordered(rows["data"], TITLES):
        part = rows[rows["data"] == data]
        level, part = part[part["method"] == e.CAUSAL], part[part["method"] != e.CAUSAL]
        parts.append(per_set(part, columns("structure")))
        if not len(level):
            continue
        at = level["jaccard@20"].mean()
        text, first = f"The {e.CAUSAL} alone: {at:.3f}.", {}
        for name, own in part.groupby("method"):
            curve = own.filter(like="jaccard@").mean().round(3)
            sizes = curve.index[curve < round(at, 3)].str.removeprefix("jaccard@").astype(int)
            if len(sizes):
                first.setdefault(min(sizes), []).append(f"`{name}`")
        if first:
            told = "; ".join(f"{n} {', '.join(names)}" for n, names in sorted(first.items()))
            text += f" Genes until a method is below that: {told}."
        parts.append(f"{text}\n")
    return "\n".join(parts)


# -- speed ----------------------------------------------------------------------------------------


def _speed(rows: pd.DataFrame) -> str:
    titles = {
        "wilcoxon": "PBMC3k, 2638 cells × 1838 genes, same matrix and process, in turns",
        "baselines": "PBMC3k, counts: default and baselines, same process, in turns",
        "scale": "Cells × 2000 genes, 8 % non-zero, 10 groups, PCA given",
        "adversarial": "Adversarial, proximal against published solver, PBMC3k",
    }
    parts = []
    for name, title in titles.items():
        part = rows[rows["protocol"] == name]
        if not len(part):
            continue
        part = part.assign(subject=part["method"])
        shown = columns("solvers" if name == "adversarial" else "speed")
        if name == "scale":
            size = part["setting"].astype(int)
            part = part.assign(subject=part["method"] + size.map(", {:,} cells".format), size=size)
            # The best of what differs by design means nothing.
            shown = [column._replace(best=0) for column in shown]
        table = mean_table(part, "subject", shown)
        parts.append(f"**{title}**\n\n{table}{_ratio(part, name)}")
    return "\n".join(parts)


def _ratio(part: pd.DataFrame, name: str) -> str:
    """The number that a comparison is about, if both sides were measured."""
    seconds = part.groupby("method")["seconds"].mean()
    if name == "wilcoxon" and len(seconds) == 2:
        ratio = seconds["ace.tl.explain"] / seconds["scanpy Wilcoxon"]
        return f"\n`ace.tl.explain` takes {ratio:.2f} of the time of Wilcoxon.\n"
    if name == "baselines" and e.DEFAULT in seconds:
        slower, others = int((seconds > seconds[e.DEFAULT]).sum()), len(seconds) - 1
        return f"\n`{e.DEFAULT}` is faster than {slower} of {others} baselines.\n"
    if name == "adversarial" and len(seconds) == 2:
        ratio = seconds["subgradient"] / seconds["proximal"]
        return f"\nThe published solver takes {ratio:.0f} times as long.\n"
    own = part[part["method"].str.startswith("ace.")]
    if name == "scale" and len(own) > 1:
        first, last = (own.sort_values("size").iloc[i] for i in (0, -1))
        times, ratio = last["size"] / first["size"], last["seconds"] / first["seconds"]
        return f"\n{times:.0f} times the cells take {ratio:.2f} times as long to explain.\n"
    return ""


def _training(rows: pd.DataFrame) -> str:
    if not len(rows):
        return ""
    return mean_table(
        rows.assign(training=rows["method"] + ", " + rows["protocol"]),
        "training",
        columns("train_speed"),
    )


def _gpu(rows: pd.DataFrame) -> str:
    """A line for each model: its time on a GPU, and how many times as long the processor takes."""
    parts = []
    for data in ordered(rows["data"], TITLES):
        own = rows[rows["data"] == data]
        on_gpu = own["protocol"] != "processor"
        both = own[on_gpu].merge(own[~on_gpu], on=["method", "seed"], suffixes=("", "_processor"))
        if both.empty:  # interrupted after the first device
            continue
        shown = []
        for time in columns("gpu"):
            both[f"{time.field}_ratio"] = both[f"{time.field}_processor"] / both[time.field]
            shown += [time, Column(f"{time.field}_ratio", "processor / GPU", 2)]
        # Stored with the times of the GPU.
        both["agreement"] = both[["jaccard_panel", "jaccard_expected_gradients"]].mean(axis=1)
        shown.append(Column("agreement", "same genes", 3))
        first = both.iloc[0]
        title = (
            f"{TITLES.get(data, data)}; {first['protocol']} against {first['threads']:.0f} threads"
        )
        parts.append(
            titled(title, own, mean_table(both.assign(model=both["method"]), "model", shown))
        )
    return "\n".join(parts)


# -- digits ---------------------------------------------------------------------------------------

NETWORKS = {
    "convolutional": "ACE: convolutional network, centroids in its last pooling layer",
    "vector": "Kratos: vectors of pixels, the classifier's own logits",
}
SOLVER_TITLES = {
    "subgradient": "published solver",
    "EAD default": "EAD, default settings",
    "EAD stronger": "EAD, stronger settings",
}


def _digits(results: Results) -> str:
    """A line for each network, and for each network a table of the solvers."""
    rows = results.rows("mnist")
    l1 = results.values("mnist", metric="l1")
    if not {"network", "proximal"} <= set(rows["method"]):
        return ""
    lines, parts = [], []
    for name, title in NETWORKS.items():
        own = rows[rows["protocol"] == name]
        network, pairs = (own[own["method"] == kind] for kind in ("network", "proximal"))
        changes = l1[(l1["protocol"] == name) & (l1["method"] == "proximal")]["value"]
        n = pairs["n_images"]
        flipped, assigned = (np.average(pairs[c], weights=n) for c in ("flipped", "assigned"))
        numbers = {
            "accuracy": f"{network['accuracy'].iloc[0]:.4f}",
            "fidelity": f"{network['fidelity'].iloc[0]:.3f}",
            "pairs": str(len(pairs)),
            "images": f"{n.sum():.0f}",
            "flipped": f"{flipped:.3f}",
            "assigned to the target": f"{assigned:.3f}",
            "median L1": f"{changes.median():.2f}",
            "pixels changed": f"{pairs['n_pixels'].median():.1f}",
            "seconds per image": f"{pairs['seconds'].sum() / n.sum():.2f}",
        }
        lines.append([title, *numbers.values()])
        compared = _solvers(own, l1[l1["protocol"] == name])
        if compared:
            head = (
                "margin|compared with|images|flipped|median L1|ours|ours no larger|pixels changed"
            )
            head += "|ours|seconds per image|ours|times slower"
            parts.append(f"**{title}**\n\n{markdown(head.split('|'), compared, 2)}")
    return "\n".join([markdown(["network", *numbers], lines), *parts])


def _solvers(rows: pd.DataFrame, l1: pd.DataFrame) -> list[list[str]]:
    """A line for each solver and margin, beside ours on the same images: L1 and time.

    A solver that was given fewer images than ours is compared on those, and its seconds on those
    on which both were timed.
    """
    lines = []
    for margin in (1, 0):
        for start, title in SOLVER_TITLES.items():
            names = (f"{start}, margin {margin}", f"proximal, margin {margin}")
            both = [rows[rows["method"] == name].set_index("setting") for name in names]
            shared = both[0].index.intersection(both[1].index)
            if not len(shared):
                continue
            theirs, ours = (part.loc[shared] for part in both)
            own = l1[l1["setting"].isin(shared)].set_index(["setting", "at"])
            changes, our_changes = (own[own["method"] == name]["value"] for name in names)
            timed = theirs["seconds"].notna() & ours["seconds"].notna()
            seconds, our_seconds = (
                p.loc[timed, "seconds"].sum() / p.loc[timed, "n_images"].sum()
                for p in (theirs, ours)
            )
            no_larger = (our_changes <= changes.reindex(our_changes.index)).mean()
            lines.append(
                [
                    *(str(margin), title, str(len(changes)), f"{theirs['flipped'].mean():.3f}"),
                    *(f"{changes.median():.2f}", f"{our_changes.median():.2f}"),
                    *(f"{no_larger:.2f}", f"{theirs['n_pixels'].median():.1f}"),
                    *(f"{ours['n_pixels'].median():.1f}", f"{seconds:.2f}", f"{our_seconds:.2f}"),
                    f"{seconds / our_seconds:.0f}",
                ]
            )
    return lines


# -- label transfer -------------------------------------------------------------------------------

SCNYM, NEW, ITS_OWN = "SCNYM", "SCNYM, new_identity", "scNym, its own code"
#: Those of the table of flags; the table of AUROC has all.
FLAGGING = (
    *(NEW, "logistic regression", "logistic regression, variable genes"),
    *(f"{ITS_OWN}, for new types", f"{SCNYM}, published, for new types"),
)


def transfer_tables(results: Results) -> dict[str, str]:
    """Tables of label transfer."""
    rows = results.rows("transfer", protocol="as they are")
    presets = rows["method"].str.startswith(f"{SCNYM},")
    kang = rows["data"] == "kang"
    published = rows["method"] == f"{SCNYM}, published"
    return {
        "transfer": _directions(rows[kang & (~presets | published)]),
        "transfer_parts": _directions(rows[kang & (presets | (rows["method"] == SCNYM))]),
        "transfer_others": _others(rows[~kang]),
        "transfer_novelty": _novelty(novelty(results)),
        "transfer_damage": _damage(results),
        "transfer_speed": _costs(
            results.rows("transfer_speed"),
            {
                "epoch": ("An epoch, Kang CTRL → STIM", "transfer_epoch"),
                "task": ("Training and prediction", "transfer_task"),
                "memory": ("Memory", "memory"),
            },
        ),
    }


def _directions(rows: pd.DataFrame) -> str:
    """A table for each direction."""
    titles = {"CTRL": "CTRL → STIM (defaults were chosen here)", "STIM": "STIM → CTRL"}
    return "\n".join(
        titled(titles[source], part, mean_table(part, "method", columns("transfer")))
        for source, part in rows.groupby("setting")
    )


def _others(rows: pd.DataFrame) -> str:
    """A table for each other set: accuracy from each domain, and means."""
    parts = []
    for data, part in rows.groupby("data"):
        sources, keys = list(dict.fromkeys(part["setting"])), ["method", "seed"]
        wide = part.pivot_table(index=keys, columns="setting", values="accuracy")
        means = part.groupby(keys)[["accuracy", "balanced_accuracy", "ece"]].mean()
        means = means.where(wide.notna().all(axis=1))  # a mean of fewer domains is no mean
        shown = (
            *(Column(s, f"from {s}", 3, 1) for s in sources),
            Column("accuracy", "mean", 3, 1),
            Column("balanced_accuracy", "balanced accuracy, mean", 3, 1),
            Column("ece", "ECE, mean", 3, -1),
        )
        table = mean_table(wide.join(means).reset_index(), "method", shown)
        parts.append(titled(TITLES.get(str(data), str(data)), part, table))
    return "\n".join(parts)


def _novelty(rows: pd.DataFrame) -> str:
    """AUROC of all methods for each hidden type, and what some of them flag."""
    if "auroc" not in rows:
        return ""
    rows = rows[rows["auroc"].notna()].assign(
        hidden=lambda r: r["protocol"].str.removesuffix(" hidden")
    )
    names = ordered(rows["method"], [NEW])
    text = titled("Area under the ROC curve of novelty", rows, _by_type(rows, "auroc", names))
    flagging = [n for n in FLAGGING if n in set(rows.dropna(subset=["flagged"])["method"])]
    text += "\n**Share of hidden cells flagged / of known cells kept**\n\n"
    return text + _by_type(rows, "flagged", flagging, beside="kept")


def _by_type(rows: pd.DataFrame, field: str, names: list[str], beside: str = "") -> str:
    """A line for each hidden type and direction, a column for each method, means below."""
    grouped = rows.groupby(["hidden", "setting", "method"])
    mean, spread = (
        f.unstack().reindex(columns=names) for f in (grouped[field].mean(), grouped[field].std())
    )
    second = grouped[beside].mean().unstack().reindex(columns=names) if beside else None
    lines = []
    for key, values in mean.iterrows():
        line = list(key)
        for name in names:
            text = number(values[name], spread.loc[key, name], 3)
            if beside and text:
                text = f"{values[name]:.2f} / {second.loc[key, name]:.2f}"
            elif text and f"{values[name]:.3f}" == f"{values.max():.3f}":
                text = f"**{text}**"
            line.append(text)
        lines.append(line)
    overall = ["mean", ""]
    for name in names:  # over what all have, so that none is spared a hard type
        n, found = mean[name].notna().sum(), mean[name].mean()
        both = f"{found:.2f} / {second[name].mean():.2f}" if beside else f"{found:.3f}"
        overall.append(both if n == len(mean) else f"{n} of {len(mean)}")
    return markdown(["hidden", "labels from", *names], [*lines, overall], n_words=2)


def _damage(results: Results) -> str:
    """A table for each kind of damage, with what the same methods reach without."""
    rows, recall = results.rows("transfer"), results.values("transfer", metric="recall")
    parts, keys = [], ["method", "seed"]
    kinds = [p for p in sorted(rows["protocol"].unique()) if "rarer" in p or "wrong" in p]
    for change in kinds:
        rare = change.removesuffix(" five times rarer") if "rarer" in change else ""
        fields = ["accuracy", "balanced_accuracy", "rare" if rare else "ece"]
        of_rare = recall[recall["group"] == rare].set_index([*COLUMNS_OF_RUN])["value"]
        both = rows.join(of_rare.rename("rare"), on=COLUMNS_OF_RUN)
        part = both[both["protocol"] == change]
        whole = both[(both["protocol"] == "as they are") & both["data"].isin(part["data"])]
        whole = whole[whole["method"].isin(part["method"])]
        # Means over the directions.
        before = whole.groupby(keys)[fields].mean().add_suffix(" before")
        table = before.join(part.groupby(keys)[fields].mean(), how="right").reset_index()
        # One seed without damage stands for all of a method without chance.
        for name, first in before.groupby("method").first().items():
            table[name] = table[name].fillna(table["method"].map(first))
        names = ("accuracy", "balanced accuracy", f"recall of {rare}" if rare else "ECE")
        shown = []
        for field, title in zip(fields, names, strict=True):
            shown.append(Column(f"{field} before", f"{title} before", 3))
            shown.append(Column(field, "after", 3, -1 if field == "ece" else 1))
        parts.append(titled(change, part, mean_table(table, "method", shown)))
    return "\n".join(parts)


COLUMNS_OF_RUN = ["data", "protocol", "setting", "method", "seed"]


def _costs(rows: pd.DataFrame, comparisons: dict[str, tuple[str, str]]) -> str:
    """A table for each comparison (title, name of the columns), with the number of threads."""
    parts = []
    for name, (title, table) in comparisons.items():
        part = rows[rows["protocol"] == name]
        if not len(part):
            continue
        by, subject = "method", part["method"]
        if name == "epoch" and part["setting"].any():
            by, subject = "matrix", part["setting"]
        elif name == "task":
            subject = subject + ", labels from " + part["setting"]
        elif name == "memory":
            subject = subject + ", one epoch and all cells"
        if "threads" in part:
            numbers = sorted(part["threads"].dropna().astype(int).unique())
            title += ", " + ", ".join("one thread" if n == 1 else f"{n} threads" for n in numbers)
        if name == "memory":
            title += f", {part['density'].iloc[0]:.0%} non-zero"
        parts.append(
            titled(title, part, mean_table(part.assign(**{by: subject}), by, columns(table)))
        )
        seconds = part.groupby("method")["seconds"].mean() if "seconds" in part else {}
        if ITS_OWN in seconds:
            ratio = seconds[ITS_OWN] / seconds[SCNYM]
            parts[-1] += f"\nscNym's own code takes {ratio:.0f} times as long.\n"
    return "\n".join(parts)


# -- SCARE ----------------------------------------------------------------------------------------

SCARE, PLAIN = "SCARE", "SCARE, weight 0"
UNLABELLED, RANDOM = f"{SCARE}, types not given", f"{SCARE}, random genes"
ALONE = f"{PLAIN}, the set's genes alone"
#: Beside each other in every table of a pathway; all others of ours are variants.
MAIN = (SCARE, UNLABELLED, PLAIN, RANDOM, "SCVI", ALONE)


def scare_tables(results: Results) -> dict[str, str]:
    """Tables of SCARE."""
    pathway = _with_loss(results.rows("scare", protocol="pathway"))
    variant = (~pathway["method"].isin(MAIN) | (pathway["method"] == SCARE)) & (
        pathway["setting"] == "both"
    )
    return {
        "scare": _pathways(pathway[pathway["method"].isin(MAIN)]),
        "scare_losses": _pathways(pathway[variant]),
        "scare_weights": _weights(results.rows("scare", protocol="weights")),
        "scare_integration": per_set(
            results.rows("scare", protocol="integration"), columns("integration")
        ),
        "scare_time": _time(results),
        "scare_disjoint": _disjoint(results),
        "scare_selection": per_set(
            results.rows("scare", protocol="selection"), columns("selection")
        ),
        "scare_speed": _costs(
            results.rows("scare_speed"),
            {
                "epoch": ("An epoch", "scare_epoch"),
                "fssf": ("`ace.tl.fssf`, Kang, both sets, 100 random sets", "fssf"),
                "memory": ("Memory", "memory"),
            },
        ),
    }


def _with_loss(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the accuracy that each run gains or loses against the plain model of the same seed."""
    fields = [f for f in ("accuracy", "balanced_accuracy") if f in rows]
    keys = ["data", "setting", "seed"]
    plain = rows[rows["method"] == PLAIN].set_index(keys)[fields]
    lost = rows[fields] - rows[keys].join(plain, on=keys)[fields]
    # A difference from itself says nothing.
    return rows.join(lost.where(rows["method"] != PLAIN).add_suffix("_lost"))


def _pathways(rows: pd.DataFrame) -> str:
    """A table for each data set and set of genes, the sets together first."""
    parts = []
    for data in ordered(rows["data"], ("kang", "pbmc3k")):
        own = rows[rows["data"] == data]
        for name in ordered(own["setting"], ["both"]):
            part = own[own["setting"] == name]
            if part["method"].nunique() < 2:
                continue
            n_genes = part.loc[part["method"] == SCARE, "n_genes"].max()
            which = "both sets" if name == "both" else name
            title = f"{TITLES.get(data, data)}: {which}, {n_genes:.0f} genes"
            text = titled(title, part, mean_table(part, "method", columns("pathway")))
            share = part.groupby("method")["share"].mean().dropna()
            if {SCARE, PLAIN} <= set(share.index):
                before, after = share[PLAIN], share[SCARE]
                text += f"\nShare of attribution on the genes: {before:.3f} → {after:.3f}, "
                text += f"{after / before:.1f} times as much.\n"
            parts.append(text)
    return "\n".join(parts)


def _weights(rows: pd.DataFrame) -> str:
    """A table for each loss, its weights in order."""
    found = rows["method"].str.extract(r"^(?P<loss>.*), weight (?P<weight>[\d.e+]+)$")
    # Padded, so that they sort as numbers do.
    rows = rows.assign(
        loss=found["loss"], weight=found["weight"].astype(float).map("{:>10,.0f}".format)
    )
    parts = []
    for name in ordered(rows["loss"], [SCARE, UNLABELLED]):
        part = rows[rows["loss"] == name]
        parts.append(titled(name, part, mean_table(part, "weight", columns("weights"))))
    return "\n".join(parts)


def _time(results: Results) -> str:
    """The means over types, and each type."""
    rows, parts = results.rows("scare", protocol="time"), []
    by_type = results.values("scare", protocol="time")
    by_type = by_type[by_type["group"] != ""]
    for data, part in rows.groupby("data"):
        title = f"{TITLES.get(str(data), str(data))}, means over the types"
        parts.append(titled(title, part, mean_table(part, "method", columns("time"))))
        for metric, said, best in (
            ("time_mixing", "Time points mixed, by type", -1),
            ("time_silhouette", "Silhouette of time, by type", 1),
        ):
            own = by_type[(by_type["metric"] == metric) & (by_type["data"] == data)]
            wide = own.pivot(index=["method", "seed"], columns="group", values="value")
            shown = [Column(name, name, 3, best) for name in wide]
            parts.append(f"**{said}**\n\n{mean_table(wide.reset_index(), 'method', shown)}")
    return "\n".join(parts)


def _disjoint(results: Results) -> str:
    """The score of each set in each block."""
    rows, parts = results.rows("scare", protocol="disjoint"), []
    values = results.values("scare", protocol="disjoint")
    for data, part in rows.groupby("data"):
        own = values[(values["data"] == data) & (values["group"] != "")]
        sizes = own[own["metric"] == "n_genes"].groupby("group")["value"].first().astype(int)
        lines = []
        for (method, block), found in own[own["metric"] == "fssf"].groupby(["method", "group"]):
            apart = method.endswith("disjoint")
            if apart or block == sizes.index[0]:
                of = found.groupby("at")["value"]
                numbers = [number(of.mean()[n], of.std()[n], 3) for n in sizes.index]
                lines.append([method, f"those of {block}" if apart else "all", *numbers])
        head = ["method", "latent dimensions", *(f"FSSF of {name}" for name in sizes.index)]
        title = ", ".join(f"{n} genes of {name}" for name, n in sizes.items())
        text = titled(
            f"{TITLES.get(str(data), str(data))}: {title}", part, markdown(head, lines, 2)
        )
        shown = columns("weights")[1:3]
        parts.append(f"{text}\n{mean_table(part, 'method', shown)}")
    return "\n".join(parts)


def environment(found: dict[str, dict[str, Any]]) -> str:
    """What the numbers were made with; experiments that differ have a line of their own."""
    lines: dict[str, list[str]] = {}
    for name, on in found.items():
        packages = ", ".join(f"{k} {v}" for k, v in on["packages"].items())
        line = f"Python {on['python']}, {on['system']}, {on['cpus']} CPUs; {packages}"
        lines.setdefault(line, []).append(name)
    return "".join(f"- {', '.join(names)}: {line}\n" for line, names in lines.items())
