"""The tables of label transfer and of SCARE."""

from __future__ import annotations

import pandas as pd

from benchmarks.core.store import Results
from benchmarks.report.derived import novelty
from benchmarks.report.markdown import (
    TITLES,
    Column,
    columns,
    markdown,
    mean_table,
    number,
    ordered,
    titled,
)
from benchmarks.report.tables import per_set

SCNYM, NEW, ITS_OWN = "SCNYM", "SCNYM, new_identity", "scNym, its own code"
#: Those of the table of flags; the table of AUROC has all.
FLAGGING = (
    *(NEW, "logistic regression", "logistic regression, variable genes"),
    *(f"{ITS_OWN}, for new types", f"{SCNYM}, published, for new types"),
)


def tables(results: Results) -> dict[str, str]:
    """Markdown by name; empty where nothing was measured."""
    return _of_transfer(results) | _of_scare(results)


def _of_transfer(results: Results) -> dict[str, str]:
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
    return "\n".join(parts)


# -- SCARE ----------------------------------------------------------------------------------------

SCARE, PLAIN = "SCARE", "SCARE, weight 0"
UNLABELLED, RANDOM = f"{SCARE}, types not given", f"{SCARE}, random genes"
ALONE = f"{PLAIN}, the set's genes alone"
#: Beside each other in every table of a pathway; all others of ours are variants.
MAIN = (SCARE, UNLABELLED, PLAIN, RANDOM, "SCVI", ALONE)


def _of_scare(results: Results) -> dict[str, str]:
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
            parts.append(titled(title, part, mean_table(part, "method", columns("pathway"))))
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
