"""Figures of scare.json: founder scores of all pairs, and the price of a weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from _figures import BLUE, GREY, ORANGE, VERMILLION, _save, ordered, read

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

OURS, PLAIN, SCVI = "SCARE", "SCARE, weight 0", "SCVI"
UNLABELLED = f"{OURS}, types not given"
FIRST = "both"
DRAWN = {OURS: "with the attribution loss", PLAIN: "without"}
TITLES = {"kang": "Kang", "pbmc3k": "PBMC3k", "pbmc68k": "PBMC68k"}
#: Lines of the scan of weights, by the method's name without its weight.
STYLES: dict[str, dict[str, Any]] = {
    OURS: {"color": BLUE, "linewidth": 2.2, "marker": "o"},
    UNLABELLED: {"color": BLUE, "linestyle": (0, (4, 1.5)), "marker": "o"},
    "published, random_projection": {"color": VERMILLION, "marker": "s"},
    "published, encoder_sum": {"color": ORANGE, "marker": "^"},
}
#: Sideways spread of the dots of a column.
JITTER = 0.09


def draw_scare_fssf(results_path: Path, out_png: Path) -> None:
    """Draw the score of every pair of subclusters (scARE, Figure 1a), first seed, both sets.

    A line of panels for each data set: with the attribution loss and without. In each, a column
    for each type: the genes, and the mean of random sets of as many.

    Parameters
    ----------
    results_path
        JSON that ``benchmarks/scare.py`` wrote.
    out_png
        The picture.

    Raises
    ------
    ValueError
        If no row has pairs.
    """
    from matplotlib.figure import Figure

    rows = read(results_path)
    if "pairs" in rows:
        framed = rows["pairs"].map(lambda v: isinstance(v, list))
        rows = rows[framed & (rows["set"] == FIRST) & rows["method"].isin(DRAWN)]
    if rows.empty or "pairs" not in rows:
        raise ValueError(f"no row of {results_path} has the field 'pairs'.")
    rows = rows.sort_values("seed", kind="stable").drop_duplicates(["data", "method"])
    sets = ordered(rows["data"].unique(), TITLES)
    fig = Figure(figsize=(10.4, 3.1 * len(sets)), layout="constrained")
    axes = fig.subplots(len(sets), len(DRAWN), sharey=True, squeeze=False)
    for data, line in zip(sets, axes, strict=True):
        of = rows[rows["data"] == data].set_index("method")["pairs"]
        frames = {m: pd.DataFrame(of[m], columns=["type", "genes", "random"]) for m in of.index}
        types = sorted(set().union(*(frame["type"] for frame in frames.values())))
        for ax, (method, said) in zip(line, DRAWN.items(), strict=True):
            ax.set_title(f"{TITLES.get(data, data)}, {said}", fontsize=10)
            _draw_pairs(ax, frames.get(method, pd.DataFrame()), types)
        line[0].set_ylabel("FSSF")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    _save(fig, out_png)


def _draw_pairs(ax: Axes, pairs: pd.DataFrame, types: list[str]) -> None:
    """Dots of each type, genes and random sets side by side, and a bar at their mean."""
    rng = np.random.default_rng(0)
    for field, label, color, shift in (
        ("genes", "the genes", BLUE, -0.18),
        ("random", "random sets, mean", GREY, 0.18),
    ):
        for at, name in enumerate(types):
            values = pairs.loc[pairs["type"] == name, field] if len(pairs) else pairs
            if not len(values):
                continue
            x = at + shift + rng.uniform(-JITTER, JITTER, len(values))
            ax.scatter(x, values, s=13, color=color, alpha=0.75, linewidth=0)
            middle = values.mean()
            ax.plot([at + shift - 0.14, at + shift + 0.14], [middle, middle], color=color, lw=1.6)
        ax.scatter([], [], s=13, color=color, label=label)
    ax.axhline(0, color=GREY, linewidth=0.6, linestyle=(0, (4, 3)))
    ax.set(xlim=(-0.6, len(types) - 0.4), ylim=(-1.06, 1.06))
    ax.set_xticks(range(len(types)), types, rotation=35, ha="right", fontsize=8)
    ax.spines[["top", "right"]].set_visible(False)


def draw_scare_weights(results_path: Path, out_png: Path) -> None:
    """Draw the score of the genes against the types that are told, for each weight of the loss.

    Parameters
    ----------
    results_path
        JSON that ``benchmarks/scare.py`` wrote.
    out_png
        The picture.

    Raises
    ------
    ValueError
        If no weights were run.
    """
    from matplotlib.figure import Figure

    rows = read(results_path)
    scan = rows[rows["comparison"] == "weights"] if len(rows) else rows
    if scan.empty:
        raise ValueError(f"{results_path} has no weights; run benchmarks/scare.py.")
    data = ordered(scan["data"].unique(), TITLES)[0]
    scan = scan[scan["data"] == data]
    parts = scan["method"].str.extract(r"^(?P<name>.*), weight (?P<at>[\d.e+]+)$")
    scan = scan.assign(name=parts["name"], at=parts["at"].astype(float))
    levels = rows[(rows["comparison"] == "pathway") & (rows["data"] == data)]
    levels = levels[(levels["set"] == FIRST) & levels["seed"].isin(scan["seed"].unique())]
    fig = Figure(figsize=(9.6, 4.0), layout="constrained")
    axes = fig.subplots(1, 2, sharey=True)
    for ax, (field, title) in zip(
        axes,
        {"accuracy": "types told, accuracy", "balanced_accuracy": "balanced accuracy"}.items(),
        strict=True,
    ):
        for name, style in STYLES.items():
            own = scan[scan["name"] == name].groupby("at")[[field, "fssf"]].mean().sort_index()
            if len(own):
                ax.plot(own[field], own["fssf"], label=name, markersize=5, **style)
            for at, point in own.iterrows():
                ax.annotate(
                    f"{at:g}",
                    (point[field], point["fssf"]),
                    xytext=(4, 4),
                    textcoords="offset points",
                    fontsize=7,
                    color=style["color"],
                )
        for name, marker in ((PLAIN, "D"), (SCVI, "X")):
            own = levels[levels["method"] == name]
            if len(own):
                at = (own[field].mean(), own["fssf"].mean())
                ax.scatter(*at, marker=marker, s=45, color=GREY, zorder=3, label=name)
        ax.axhline(0, color=GREY, linewidth=0.6, linestyle=(0, (4, 3)))
        ax.set_xlabel(title)
        ax.locator_params(axis="x", nbins=5)  # four digits each
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("FSSF")
    axes[0].legend(frameon=False, fontsize=8, loc="lower left")
    _save(fig, out_png)
