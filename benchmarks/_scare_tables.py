"""What the documentation shows of scare.json and scare_speed.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from _tables import Column, mean_table, number, ordered, seeds

if TYPE_CHECKING:
    from collections.abc import Callable

OURS, PLAIN, PUBLISHED, SCVI = "SCARE", "SCARE, weight 0", "published", "SCVI"
UNLABELLED, RANDOM = f"{OURS}, types not given", f"{OURS}, random genes"
ALONE = f"{PLAIN}, the set's genes alone"
#: Beside each other in every table of a pathway; all others of ours are variants.
MAIN = (OURS, UNLABELLED, PLAIN, RANDOM, SCVI, ALONE)
TITLES = {
    "kang": "Kang, blood cells with and without interferon",
    "pbmc3k": "PBMC3k",
    "yuzwa": "Embryonic mouse cortex, E13.5 and E17.5",
    "pbmc68k": "PBMC68k, 700 cells bundled with scanpy",
}
FIRST = "both"
PATHWAY = (
    Column("fssf", "FSSF", 3, 1),
    Column("fssf_random", "of random sets", 3),
    Column("n_pairs", "pairs", 0),
    Column("accuracy", "types, accuracy", 3, 1),
    Column("accuracy_lost", "against weight 0", 3),
    Column("balanced_accuracy", "balanced accuracy", 3, 1),
    Column("balanced_accuracy_lost", "against weight 0", 3),
    Column("batch_mixing", "batch mixing", 3),
    Column("share", "share of attribution", 3),
)
WEIGHTS = (
    Column("fssf", "FSSF", 3),
    Column("accuracy", "types, accuracy", 3),
    Column("balanced_accuracy", "balanced accuracy", 3),
    Column("share", "share of attribution", 3),
)
INTEGRATION = (
    Column("bio", "bio-conservation", 3, 1),
    Column("batch", "batch correction", 3, 1),
    Column("total", "total", 3, 1),
)
TIME = (
    Column("time_mixing", "time points mixed", 3, -1),
    Column("time_silhouette", "silhouette of time", 3, 1),
    Column("accuracy", "types, accuracy", 3, 1),
    Column("balanced_accuracy", "balanced accuracy", 3, 1),
)
SELECTION = (
    Column("accuracy", "neighbours, accuracy", 3, 1),
    Column("balanced_accuracy", "balanced accuracy", 3, 1),
    Column("logistic_accuracy", "logistic regression, accuracy", 3, 1),
    Column("logistic_balanced_accuracy", "balanced accuracy", 3, 1),
)
EPOCH = (
    Column("ms_with", "with the loss, ms", 0),
    Column("ms_without", "without, ms", 0),
    Column("ratio_attribution", "ratio", 2),
    Column("ratio_neighbors", "with references of neighbours", 2),
    Column("ms_scvi_validated", "SCVI that validates, ms", 0),
    Column("ratio_scvi_validated", "without / it", 2),
    Column("ms_scvi", "SCVI that does not, ms", 0),
    Column("ratio_scvi", "without / it", 2),
)
SCORE = (
    Column("seconds", "seconds", 1),
    Column("n_pairs", "pairs", 0),
    Column("size", "random sets", 0),
)
MEMORY = (
    Column("n_cells", "cells", 0),
    Column("n_genes", "genes", 0),
    Column("matrix_mb", "matrix, MB", 0),
    Column("peak_mb", "peak above it, MB", 0),
    Column("seconds", "seconds", 0),
)


def tables(rows: pd.DataFrame, speed: pd.DataFrame) -> dict[str, str]:
    """Give markdown by name; empty where nothing was measured."""
    names = ("pathway", "weights", "integration", "time", "disjoint", "selection")
    of = {name: rows[rows["comparison"] == name] if len(rows) else rows for name in names}
    pathway = _with_price(of["pathway"])
    return {
        "scare": _pathways(pathway, lambda r: r["method"].isin(MAIN)),
        "scare_losses": _pathways(
            pathway,
            lambda r: (~r["method"].isin(MAIN) | (r["method"] == OURS)) & (r["set"] == FIRST),
        ),
        "scare_weights": _weights(of["weights"]),
        "scare_integration": _each(of["integration"], INTEGRATION),
        "scare_time": _time(of["time"]),
        "scare_disjoint": _disjoint(of["disjoint"]),
        "scare_selection": _each(of["selection"], SELECTION),
        "scare_speed": _speed(speed),
    }


def _with_price(rows: pd.DataFrame) -> pd.DataFrame:
    """Add what each run gains or loses in types against the plain model of the same seed."""
    if not len(rows):
        return rows
    fields = ["accuracy", "balanced_accuracy"]
    keys = ["data", "set", "seed"]
    plain = rows[rows["method"] == PLAIN].set_index(keys)[fields]
    before = rows[keys].join(plain, on=keys)
    lost = rows[fields] - before[fields]
    # A difference from itself says nothing.
    lost[rows["method"] == PLAIN] = float("nan")
    return rows.join(lost.add_suffix("_lost"))


def _pathways(rows: pd.DataFrame, kept: Callable[[pd.DataFrame], pd.Series]) -> str:
    """A table for each data set and set of genes, the sets together first."""
    if not len(rows):
        return ""
    rows, parts = rows[kept(rows)], []
    for data in ordered(rows["data"].unique(), list(TITLES)):
        own = rows[rows["data"] == data]
        for name in ordered(own["set"].unique(), [FIRST]):
            part = own[own["set"] == name]
            if part["method"].nunique() < 2:
                continue
            sizes = part.loc[part["method"] == OURS, "n_genes"]
            genes = f", {int(sizes.iloc[0])} genes" if len(sizes) else ""
            which = "both sets" if name == FIRST else name
            title = f"**{TITLES.get(data, data)}: {which}{genes}** {seeds(part)}"
            text = f"{title}\n\n{mean_table(part, 'method', PATHWAY)}"
            parts.append(text + _times_the_share(part))
    return "\n".join(parts)


def _times_the_share(rows: pd.DataFrame) -> str:
    """Say how many times as much attribution is on the genes as without the loss."""
    mean = rows.groupby("method")["share"].mean()
    if not {OURS, PLAIN} <= set(mean.dropna().index):
        return ""
    before, after = mean[PLAIN], mean[OURS]
    return (
        f"\nShare of attribution on the genes: {before:.3f} → {after:.3f}, "
        f"{after / before:.1f} times as much.\n"
    )


def _each(rows: pd.DataFrame, columns: tuple[Column, ...]) -> str:
    """A table for each data set."""
    parts = []
    for data in ordered(rows["data"].unique(), list(TITLES)) if len(rows) else []:
        part = rows[rows["data"] == data]
        title = f"**{TITLES.get(data, data)}** {seeds(part)}"
        parts.append(f"{title}\n\n{mean_table(part, 'method', columns)}")
    return "\n".join(parts)


def _weights(rows: pd.DataFrame) -> str:
    """A table for each loss, its weights in order."""
    parts = []
    split = rows["method"].str.rsplit(", weight ", n=1, expand=True) if len(rows) else rows
    for name in ordered(split[0].unique(), [OURS, UNLABELLED]) if len(rows) else []:
        part = rows[split[0] == name]
        # Padded, so that they sort as numbers do.
        weight = split.loc[part.index, 1].astype(float).map("{:>10,.0f}".format)
        table = mean_table(part.assign(weight=weight), "weight", WEIGHTS)
        parts.append(f"**{name}** {seeds(part)}\n\n{table}")
    return "\n".join(parts)


def _time(rows: pd.DataFrame) -> str:
    """The means over types, and each type."""
    parts = []
    for data, part in rows.groupby("data") if len(rows) else []:
        title = f"**{TITLES.get(str(data), data)}, means over the types** {seeds(part)}"
        parts.append(f"{title}\n\n{mean_table(part, 'method', TIME)}")
        types = list(part["time_by_type"].iloc[0])
        for field, said, best in (
            ("mixing", "Time points mixed, by type", -1),
            ("silhouette", "Silhouette of time, by type", 1),
        ):
            wide = part.assign(
                **{t: part["time_by_type"].map(lambda v, t=t, f=field: v[t][f]) for t in types}
            )
            columns = tuple(Column(t, t, 3, best) for t in types)
            parts.append(f"**{said}**\n\n{mean_table(wide, 'method', columns)}")
    return "\n".join(parts)


def _disjoint(rows: pd.DataFrame) -> str:
    """The score of each set in each block."""
    if not len(rows):
        return ""
    parts = []
    for data, part in rows.groupby("data"):
        sets = list(part["blocks"].iloc[0])
        lines = [
            ["method", "latent dimensions", *(f"FSSF of {name}" for name in sets)],
            ["---", "---", *("---:" for _ in sets)],
        ]
        for method in sorted(part["method"].unique()):
            found = part.loc[part["method"] == method, "blocks"].tolist()
            apart = method.endswith("disjoint")
            for block in sets if apart else sets[:1]:
                scores = pd.DataFrame([blocks[block] for blocks in found])
                spread = scores.std()
                numbers = [number(scores[name].mean(), spread[name], 3) for name in sets]
                where = f"those of {block}" if apart else "all"
                lines.append([method, where, *numbers])
        table = "".join("| " + " | ".join(line) + " |\n" for line in lines)
        columns = (
            Column("accuracy", "types, accuracy", 3),
            Column("balanced_accuracy", "balanced accuracy", 3),
        )
        sizes = ", ".join(f"{n} genes of {name}" for name, n in part["n_genes"].iloc[0].items())
        title = f"**{TITLES.get(str(data), data)}: {sizes}** {seeds(part)}"
        parts.append(f"{title}\n\n{table}\n{mean_table(part, 'method', columns)}")
    return "\n".join(parts)


def _speed(rows: pd.DataFrame) -> str:
    """An epoch, the score and memory, each with its number of threads."""
    parts = []
    of = dict(iter(rows.groupby("comparison"))) if len(rows) else {}
    for name, title, columns in (
        ("epoch", "An epoch", EPOCH),
        ("fssf", "`ace.tl.fssf`, Kang, both sets", SCORE),
        ("memory", "Memory", MEMORY),
    ):
        if name not in of:
            continue
        part = of[name]
        threads = sorted({int(n) for n in part["threads"]})
        said = ", ".join("one thread" if n == 1 else f"{n} threads" for n in threads)
        table = mean_table(part.assign(on=part["subject"]), "on", columns)
        parts.append(f"**{title}, {said}** {seeds(part)}\n\n{table}")
    return "\n".join(parts)
