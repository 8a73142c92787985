"""The tables of the documentation: which experiment, which rows, which columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from benchmarks.core.store import Results
from benchmarks.report import evidence as e
from benchmarks.report.derived import CD4, digits, overlap, solvers
from benchmarks.report.markdown import (
    SHORT,
    TITLES,
    Column,
    classed,
    columns,
    markdown,
    mean_table,
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
    """A table for each set, and the level of the causal genes."""
    parts = []
    for data in ordered(rows["data"], TITLES):
        part = rows[rows["data"] == data]
        level, part = part[part["method"] == e.CAUSAL], part[part["method"] != e.CAUSAL]
        parts.append(per_set(part, columns("structure")))
        if not len(level):
            continue
        at = level["jaccard@20"].mean()
        parts.append(f"The {e.CAUSAL} alone: {at:.3f}.\n")
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
        parts.append(f"**{title}**\n\n{table}")
    return "\n".join(parts)


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


def _digits(results: Results) -> str:
    """A line for each network, and for each network a table of the solvers."""
    networks = digits(results)
    if networks.empty:
        return ""
    networks = networks.assign(network=networks["method"].map(NETWORKS))
    parts = [mean_table(networks, "network", columns("mnist"))]
    for name, title in NETWORKS.items():
        compared = solvers(results, name)
        if len(compared):
            table = mean_table(compared, "compared with", columns("mnist_solvers"))
            parts.append(f"**{title}**\n\n{table}")
    return "\n".join(parts)


def environment(found: dict[str, dict[str, Any]]) -> str:
    """What the numbers were made with; experiments that differ have a line of their own."""
    lines: dict[str, list[str]] = {}
    for name, on in found.items():
        packages = ", ".join(f"{k} {v}" for k, v in on["packages"].items())
        line = f"Python {on['python']}, {on['system']}, {on['cpus']} CPUs; {packages}"
        lines.setdefault(line, []).append(name)
    return "".join(f"- {', '.join(names)}: {line}\n" for line, names in lines.items())
