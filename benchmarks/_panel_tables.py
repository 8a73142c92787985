"""What the documentation shows of panels.json, structure.json, clusters.json and the speeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from _tables import Column, mean_table, ordered, read, rows_of, seeds

if TYPE_CHECKING:
    from pathlib import Path

AUROC = tuple(Column(f"auroc@{k}", f"AUROC @{k}", 3, 1) for k in (3, 5, 10, 18))
REDUNDANCY = (
    Column("redundancy", "redundancy", 3, -1),
    Column("redundancy_abs", "of absolute correlations", 3, -1),
)
COST = (Column("seconds", "seconds", 2), Column("peak_mb", "peak MB", 0))
TRAINING = (
    Column("accuracy", "model's accuracy", 3, 1),
    Column("train_seconds", "seconds of training", 1),
)
TRUTH = (
    Column("causal", "causal", 1, 1),
    Column("dependent", "dependent", 1),
    Column("noise", "noise", 1, -1),
    *(Column(f"jaccard@{k}", f"Jaccard distance @{k}", 3, -1) for k in (5, 10, 20)),
)
SPEED = (
    Column("size", "cells", 0),
    Column("matrix_mb", "matrix, MB", 0),
    Column("seconds", "seconds", 2, -1),
    Column("seconds_first", "first call", 2),
    Column("peak_mb", "peak above it, MB", 0, -1),
)
SOLVERS = (
    Column("steps", "steps", 0),
    Column("seconds", "seconds", 1, -1),
    Column("flip_rate", "flipped", 3, 1),
    Column("l1", "L1", 2, -1),
    Column("n_features", "genes changed", 1, -1),
    *AUROC,
    Column("redundancy", "redundancy", 3, -1),
)
TRAIN = (
    Column("n_cells", "cells", 0),
    Column("n_genes", "genes", 0),
    Column("ms_ours", "ours, ms an epoch", 0),
    Column("ms_bare", "bare loop, ms an epoch", 0),
    Column("ratio", "ratio", 2),
)
CLUSTERS = (
    Column("ari", "ARI", 3, 1),
    Column("ami", "AMI", 3, 1),
    Column("knn_accuracy", "kNN accuracy", 3, 1),
    Column("batch_mixing", "batch mixing", 3, 1),
    Column("batch_silhouette", "silhouette by batch", 3),  # best nearest to 0
    Column("seconds", "seconds", 1),
)
NEIGHBOURS = (
    *(Column(f"jaccard@{k}", f"@{k}", 3, -1) for k in (5, 10, 20, 50, 100)),
    Column("seconds", "seconds", 2),
)
#: Order and titles of the data sets; others follow under their own names.
TITLES = {
    "pbmc3k": "PBMC3k, log1p(CP10k) of the counts, 2000 variable genes",
    "baron_mouse": "Baron mouse pancreas, 3000 variable genes, types of at least 10 cells",
    "pbmc3k_processed": "PBMC3k, regressed and scaled values of the published 1838 genes",
    "pbmc68k": "PBMC68k, 700 cells bundled with scanpy (not used to choose the default)",
    "symsim_140_clean": "SymSim, Kratos' set (20 causal, 20 dependent, 100 noise genes)",
    "symsim_220_clean": "SymSim, ACE's clean set (20 causal, 100 dependent, 100 noise genes)",
    "symsim_220_complex": "SymSim, ACE's complex set (the same with dropout and batches)",
    "simulated": "ace.datasets.simulated_panels (not used to choose the default)",
}
#: The same where clusters and neighbourhoods are judged.
OTHER_TITLES = {
    "pbmc3k_processed": "PBMC3k, regressed and scaled values of the published 1838 genes, 8 types",
    "pbmc3k": "PBMC3k, log1p(CP10k) of the counts, 2000 variable genes, 8 types",
    "baron_mouse_all": "Baron mouse pancreas, 3000 variable genes, all 13 types",
    "symsim_220_clean": "SymSim, ACE's clean set",
    "symsim_220_complex": "SymSim, ACE's complex set, two batches",
    "kang": "Kang, blood cells with and without interferon, two batches",
    "simulated": "ace.datasets.simulated_panels",
}
#: What is timed on either device.
ON_GPU = (
    Column("ms_epoch", "epoch, ms", 0),
    Column("seconds_panel", "`panel`, s", 2),
    Column("seconds_expected_gradients", "`expected_gradients`, s", 2),
)
#: What the neighbourhoods of panels are compared with.
LEVEL = "20 causal genes"


def tables(folder: Path) -> dict[str, str]:
    """Give markdown by name; empty where nothing was measured."""
    panels = read(folder / "panels.json")
    return {
        "panels_held_out": _by_data(panels, ["held-out"], (*AUROC, *REDUNDANCY, *COST, *TRAINING)),
        "panels_in_sample": _by_data(
            panels, ["in-sample", "in-sample fixed"], (*AUROC, *REDUNDANCY)
        ),
        "panels_truth": _by_data(panels, ["truth"], (*TRUTH, *COST)),
        "speed": _speed(read(folder / "speed.json")),
        "train_speed": _training(read(folder / "train_speed.json")),
        "gpu": _gpu(read(folder / "gpu.json")),
        "clusters": _each_set(read(folder / "clusters.json"), CLUSTERS),
        "structure": _each_set(read(folder / "structure.json"), NEIGHBOURS),
        "mnist": _digits(rows_of(folder / "mnist.json")),
    }


def _by_data(rows: pd.DataFrame, protocols: list[str], columns: tuple[Column, ...]) -> str:
    """One table for each data set and protocol."""
    if not len(rows):
        return ""
    parts = []
    for data in ordered(rows["data"].unique(), list(TITLES)):
        for protocol in protocols:
            part = rows[(rows["data"] == data) & (rows["protocol"] == protocol)]
            if not len(part):
                continue
            nested = {"in-sample": ", nested cross-validation", "in-sample fixed": ", C = 1"}
            title = f"**{TITLES.get(data, data)}{nested.get(protocol, '')}**"
            parts.append(f"{title} {seeds(part)}\n\n{mean_table(part, 'method', columns)}")
    return "\n".join(parts)


def _each_set(rows: pd.DataFrame, columns: tuple[Column, ...]) -> str:
    """One table for each data set; what is no method, but a level to compare with, below it."""
    parts = []
    for data in ordered(rows["data"].unique(), list(OTHER_TITLES)) if len(rows) else []:
        part = rows[rows["data"] == data]
        level, part = part[part["method"] == LEVEL], part[part["method"] != LEVEL]
        if len(part):
            title = f"**{OTHER_TITLES.get(data, data)}** {seeds(part)}"
            parts.append(f"{title}\n\n{mean_table(part, 'method', columns)}")
        if len(level):
            distance = level[columns[0].field].mean()
            text = f"The {LEVEL} alone: {distance:.{columns[0].decimals}f}."
            parts.append(f"{text} {_below(part, distance)}".rstrip() + "\n")
    return "\n".join(parts)


def _below(rows: pd.DataFrame, level: float) -> str:
    """Say with how many genes each method first keeps more neighbours than the causal ones do."""
    first: dict[int, list[str]] = {}
    for name, own in rows.groupby("method", sort=True):
        curve = pd.DataFrame(own["jaccard"].tolist()).mean().round(3)
        below = curve.index[curve < round(level, 3)]
        if len(below):
            first.setdefault(own["n_genes"].iloc[0][below[0]], []).append(f"`{name}`")
    if not first:
        return ""
    said = "; ".join(f"{n} {', '.join(names)}" for n, names in sorted(first.items()))
    return f"Genes until a method is below that: {said}."


def _training(rows: pd.DataFrame) -> str:
    """A line for each model and matrix; ours under whatever model's name it was kept."""
    if not len(rows):
        return ""
    own = [name for name in rows if name.startswith("ms_") and name != "ms_bare"]
    named = rows.assign(
        ms_ours=rows[own].bfill(axis=1).iloc[:, 0],
        training=rows["subject"] + ", " + rows["matrix"],
    )
    return mean_table(named, "training", TRAIN)


def _gpu(rows: pd.DataFrame) -> str:
    """A line for each model: its time on a GPU, and how many times as long the processor takes."""
    parts = []
    for data in ordered(rows["data"].unique(), list(TITLES)) if len(rows) else []:
        own = rows[rows["data"] == data]
        on_gpu = own["hardware"] != "processor"
        paired = own[on_gpu].merge(own[~on_gpu], on=["model", "seed"], suffixes=("", "_processor"))
        if paired.empty:  # cut off after the first of two devices
            continue
        for time in ON_GPU:
            paired[f"{time.field}_ratio"] = paired[f"{time.field}_processor"] / paired[time.field]
        # Kept beside the GPU's times.
        jaccard = [name for name in own if name.startswith("jaccard_")]
        paired["agreement"] = paired[jaccard].mean(axis=1)
        columns = [
            column
            for time in ON_GPU
            for column in (time, Column(f"{time.field}_ratio", "processor / GPU", 2))
        ]
        columns.append(Column("agreement", "same genes", 3))
        first = paired.iloc[0]
        title = TITLES.get(data, f"{data}, simulated")
        title += f"; {first['hardware']} against {first['threads']} threads"
        parts.append(f"**{title}** {seeds(own)}\n\n{mean_table(paired, 'model', columns)}")
    return "\n".join(parts)


def _digits(rows: list[dict[str, Any]]) -> str:
    """Tables of the digits, which have a script of their own."""
    if not {"network", "proximal"} <= {row["subject"] for row in rows}:
        return ""
    import _mnist_figures

    return _mnist_figures.markdown(rows)


def _speed(rows: pd.DataFrame) -> str:
    if not len(rows):
        return ""
    titles = {
        "wilcoxon": ("PBMC3k, 2638 cells × 1838 genes, same matrix and process, in turns", SPEED),
        "baselines": (
            "PBMC3k, counts: default and baselines, same process, in turns",
            SPEED,
        ),
        "scale": ("Cells × 2000 genes, 8 % non-zero, 10 groups, PCA given", SPEED),
        "adversarial": ("Adversarial, proximal against published solver, PBMC3k", SOLVERS),
    }
    parts = []
    for name, (title, columns) in titles.items():
        part = rows[rows["comparison"] == name]
        if not len(part):
            continue
        if name == "scale":
            part = part.assign(
                subject=part["subject"] + part["size"].map(", {:,.0f} cells".format)
            )
            # Best of what is different by design says nothing.
            columns = tuple(Column(c.field, c.title, c.decimals) for c in columns[1:])
        parts.append(f"**{title}**\n\n{mean_table(part, 'subject', columns)}{_ratio(part, name)}")
    return "\n".join(parts)


def _ratio(part: pd.DataFrame, name: str) -> str:
    """Say the number that the comparison is about, if both sides are there."""
    seconds = part.groupby("subject", sort=False)["seconds"].mean()
    if name == "wilcoxon" and len(seconds) == 2:
        ratio = seconds["ace.tl.explain"] / seconds["scanpy Wilcoxon"]
        return f"\n`ace.tl.explain` takes {ratio:.2f} of the time of Wilcoxon.\n"
    if name == "baselines" and part["default"].eq(True).any():
        default = part.loc[part["default"].eq(True), "subject"].iloc[0]
        slower, others = int((seconds > seconds[default]).sum()), len(seconds) - 1
        return f"\n`{default}` is faster than {slower} of {others} baselines.\n"
    if name == "adversarial" and len(seconds) == 2:
        ratio = seconds["subgradient"] / seconds["proximal"]
        return f"\nThe published solver takes {ratio:.0f} times as long.\n"
    if name == "scale":
        own = part[part["subject"].str.startswith("ace")].sort_values("size")
        if len(own) > 1:
            ratio = own["seconds"].iloc[-1] / own["seconds"].iloc[0]
            sizes = own["size"].iloc[-1] / own["size"].iloc[0]
            return f"\n{sizes:.0f} times the cells take {ratio:.2f} times as long to explain.\n"
    return ""
