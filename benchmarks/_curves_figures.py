"""Figures of curves.json, overlap.json and representations.json, drawn from what is kept there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from _evidence import default_of, is_baseline
from _figures import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    _save,
    ordered,
    read,
    with_places,
)

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DASHED, _DOTTED, _DASHDOT = (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1))
#: Ours have colours: without a model warm, through ACE blue, through Kratos green. The default is
#: thick.
STYLES: dict[str, dict[str, Any]] = {
    "ace panel": {"color": VERMILLION},
    "ace expected_gradients": {"color": ORANGE, "linestyle": _DOTTED},
    "ace adversarial": {"color": ORANGE, "linestyle": _DASHED},
    "ACE + panel": {"color": BLUE},
    "ACE + adversarial": {"color": BLUE, "linestyle": _DASHED},
    "ACE + smoothgrad": {"color": SKY, "linestyle": _DASHDOT},
    "ACE + shap": {"color": SKY, "linestyle": _DASHED},
    "ACE + integrated_gradients": {"color": SKY, "linestyle": _DOTTED},
    "KRATOS + panel": {"color": GREEN},
    "KRATOS + adversarial": {"color": GREEN, "linestyle": _DASHED},
    "KRATOS + smoothgrad": {"color": PURPLE, "linestyle": _DASHDOT},
    "KRATOS + integrated_gradients": {"color": PURPLE, "linestyle": _DOTTED},
    "KRATOS + expected_gradients": {"color": GREEN, "linestyle": _DOTTED},
}
#: Baselines are grey, and told by their marks.
MARKS = "osD^vPX<>*pdh8"
SETS = {
    "pbmc3k_processed": "PBMC3k, as published",
    "pbmc3k": "PBMC3k, counts",
    "baron_mouse_whole": "Pancreas, all genes",
    "pbmc68k": "PBMC68k",
}
PROTOCOLS = {"in-sample": "in sample", "held-out": "held-out cells"}
MEASURES = {"auroc": "AUROC", "redundancy": "redundancy"}
#: Whose genes are compared in the figure: the default, ACE as published, what it is compared with.
COMPARED = (
    *("ace panel", "ACE + adversarial", "ACE + smoothgrad", "ACE + shap", "GCE", "GRS"),
    *("JSD specificity", "DESeq2", "Wilcoxon, abs"),
)
#: What is drawn in the plane, in the order of Kratos' figure.
PLACES = {
    "GCE": "principal components",
    "KRATOS, all cells": "Kratos, all cells",
    "KRATOS, held-out cells": "Kratos, held-out cells",
    "ACE": "ACE",
    "SCVI": "scVI",
}
#: Distances from 1 that are marked, of those that are in sight.
TICKS = (0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.015, 0.01, 0.005, 0.003, 0.002, 0.001, 0.0005)


def draw_curves(results_path: Path, out_png: Path) -> None:
    """Draw AUROC and redundancy against the number of genes, for each protocol and data set.

    AUROC is drawn by its distance from 1, on a logarithmic scale. The band is the default's
    standard error over groups (and folds); of several seeds, the mean.

    Parameters
    ----------
    results_path
        JSON that ``benchmarks/curves.py`` wrote.
    out_png
        The picture.

    Raises
    ------
    ValueError
        If there is nothing to draw.
    """
    from matplotlib.figure import Figure

    rows = read(results_path)
    if rows.empty:
        raise ValueError(f"{results_path} has no rows; make some with benchmarks/curves.py.")
    sets = ordered(rows["data"].unique(), SETS)
    protocols = [name for name in PROTOCOLS if (rows["protocol"] == name).any()]
    lines = [(protocol, measure) for protocol in protocols for measure in MEASURES]
    fig = Figure(figsize=(3.6 * len(sets) + 2.4, 2.9 * len(lines)), layout="constrained")
    axes = fig.subplots(len(lines), len(sets), squeeze=False)
    styles = _styles(rows)
    for (protocol, measure), across in zip(lines, axes, strict=True):
        for ax, name in zip(across, sets, strict=True):
            part = rows[(rows["data"] == name) & (rows["protocol"] == protocol)]
            if part.empty:
                ax.set_axis_off()
                continue
            _draw_measure(ax, part, measure, styles)
            ax.set_title(f"{SETS.get(name, name)}, {PROTOCOLS[protocol]}", fontsize=10)
            ax.set_ylabel(MEASURES[measure])
    _legend(fig, axes, list(styles))
    _save(fig, out_png)


def _styles(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """How each method is drawn: ours first, the default before all."""
    names = ordered(rows["method"].unique(), STYLES)
    default = default_of(rows)
    own = sorted((n for n in names if not is_baseline(n)), key=lambda n: n != default)
    styles = {name: {"color": "0.4"} | STYLES.get(name, {}) | {"linewidth": 1.3} for name in own}
    if default in styles:
        styles[default] |= {"linewidth": 3, "linestyle": "-", "zorder": 4}
    for number, name in enumerate(n for n in names if is_baseline(n)):
        grey = ("0.25", "0.55")[number % 2]
        mark = MARKS[number % len(MARKS)]
        styles[name] = {"color": grey, "marker": mark, "markersize": 4.5, "linewidth": 0.8}
    return styles


def _draw_measure(
    ax: Axes, rows: pd.DataFrame, measure: str, styles: dict[str, dict[str, Any]]
) -> None:
    """A line for each method, with a band around the default's."""
    sizes = sorted({k for own in rows["sizes"] for k in own})
    fields = [f"{measure}@{k}" for k in sizes]
    mean = rows.groupby("method")[fields].mean()
    error = rows.groupby("method")[[f.replace("@", "_sem@") for f in fields]].mean()
    is_auroc = measure == "auroc"
    if is_auroc:
        mean = 1 - mean
    for name in (name for name in styles if name in mean.index):
        ax.plot(sizes, mean.loc[name], label=name, **styles[name])
        if name == default_of(rows):
            y, spread = mean.loc[name].to_numpy(), error.loc[name].to_numpy()
            band = {"color": styles[name]["color"], "alpha": 0.12, "linewidth": 0, "zorder": 1}
            ax.fill_between(sizes, np.maximum(y - spread, 1e-5), y + spread, **band)
    ax.set_xscale("log")
    ax.set_xticks(sizes, [str(k) for k in sizes])
    ax.set_xticks([], minor=True)
    ax.set_xlabel("number of genes")
    if is_auroc:
        ax.set_yscale("log")
        worst, best = np.nanmax(mean.to_numpy()), np.nanmin(mean.to_numpy())
        bottom, top = min(worst * 1.15, 0.5), best / 1.15
        ticks = _legible(bottom, top)
        ax.set_yticks(ticks, [f"{1 - tick:.4g}" for tick in ticks])
        ax.set_yticks([], minor=True)
        ax.set_ylim(bottom, top)  # upside down: the best on top
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="0.92", linewidth=0.8)
    ax.set_axisbelow(True)


def _legible(bottom: float, top: float) -> list[float]:
    """Ticks whose labels do not touch on a logarithmic axis."""
    kept: list[float] = []
    for tick in (tick for tick in TICKS if top <= tick <= bottom):
        if not kept or np.log(kept[-1] / tick) > 0.06 * np.log(bottom / top):
            kept.append(tick)
    return kept


def _legend(fig: Figure, axes: np.ndarray, names: list[str]) -> None:
    handles = {
        label: handle
        for ax in axes.flat
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    shown = [name for name in names if name in handles]
    fig.legend(
        [handles[name] for name in shown],
        shown,
        loc="outside right center",
        frameon=False,
        fontsize=9,
        handlelength=2.8,
    )


def draw_overlap(results_path: Path, out_png: Path) -> None:
    """Draw which methods share the first genes of one type (ACE, Figure 3D), in the first set.

    Parameters
    ----------
    results_path
        JSON that ``benchmarks/overlap.py`` wrote.
    out_png
        The picture.

    Raises
    ------
    ValueError
        If there are fewer than two methods to compare.
    """
    import ace

    rows = read(results_path)
    if not rows.empty:
        rows = rows[rows["data"] == ordered(rows["data"].unique(), SETS)[0]]
        rows = rows[rows["seed"] == rows["seed"].min()].set_index("method")
        default = default_of(rows.reset_index())
        shown = [name for name in (default, *COMPARED[1:]) if name in rows.index]
        shown = shown if len(shown) > 1 else list(rows.index)
    if rows.empty or len(rows) < 2:
        raise ValueError(f"{results_path} has no two methods; run benchmarks/overlap.py.")
    first = rows.loc[shown[0]]
    panels = {
        f"{name} ({rows.loc[name, 'n_depleted']} depleted)": {
            first["group"]: rows.loc[name, "genes"][first["group"]]
        }
        for name in shown
    }
    fig = ace.pl.overlap(
        panels,
        group=first["group"],
        n_top=int(first["n_top"]),
        highlight=next(iter(panels)),
        return_fig=True,
    )
    _save(fig, out_png)


def draw_representations(results_path: Path, out_png: Path) -> None:
    """Draw cells by UMAP of each latent space, coloured by type (Kratos, Figure 3).

    Parameters
    ----------
    results_path
        JSON that ``benchmarks/representations.py`` wrote.
    out_png
        The picture.

    Raises
    ------
    ValueError
        If no row has coordinates.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    rows = with_places(results_path)
    rows = rows[rows["data"] == ordered(rows["data"].unique(), SETS)[0]]
    rows = rows[rows["seed"] == rows["seed"].min()].set_index("method")
    names = ordered(rows.index, PLACES)
    width = 2 if len(names) in (2, 4) else min(len(names), 3)
    height = -(-len(names) // width)
    fig = Figure(figsize=(3.5 * width + 2, 3.5 * height), layout="constrained")
    axes = fig.subplots(height, width, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, name in zip(axes, names, strict=False):
        row = rows.loc[name]
        at = np.asarray(row["umap"], dtype=float) / 100
        types, codes = row["label_names"], np.asarray(row["label"])
        colors = colormaps["tab10" if len(types) <= 10 else "tab20"].colors
        for code, label in enumerate(types):
            cells = at[codes == code]
            size = float(np.clip(9_000 / len(at), 2, 12))
            ax.scatter(*cells.T, s=size, color=colors[code], linewidth=0, label=label)
        ax.set_axis_on()
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_color("lightgrey")
        agreement = f"k-means: ARI {row['ari']:.2f}, AMI {row['ami']:.2f}"
        if np.isfinite(row.get("ari_predicted", np.nan)):
            agreement += f"; predicted: {row['ari_predicted']:.2f}, {row['ami_predicted']:.2f}"
        ax.set_title(f"{PLACES.get(name, name)}\n{agreement}", fontsize=9)
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(
        handles, labels, loc="outside right center", frameon=False, fontsize=9, markerscale=3
    )
    _save(fig, out_png)
