"""Figures of the kept results, for the documentation: drawn from the JSON, nothing is computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Okabe & Ito's palette: told apart with every common kind of colour vision.
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#666666"
#: Colour and dash of each method: ours without a model warm, with one blue, the others grey.
STYLES: dict[str, dict[str, Any]] = {
    "ACE + panel": {"color": BLUE, "linewidth": 2.2},
    "ACE + adversarial": {"color": BLUE, "linestyle": (0, (4, 1.5))},
    "ACE + expected_gradients": {"color": BLUE, "linestyle": (0, (1, 1))},
    "ACE + smoothgrad": {"color": SKY},
    "ACE + shap": {"color": SKY, "linestyle": (0, (4, 1.5))},
    "ace panel": {"color": VERMILLION, "linewidth": 2.2},
    "ace adversarial": {"color": VERMILLION, "linestyle": (0, (4, 1.5))},
    "ace expected_gradients": {"color": VERMILLION, "linestyle": (0, (1, 1))},
    "Wilcoxon, abs": {"color": "#222222"},
    "Wilcoxon, by score": {"color": "#222222", "linestyle": (0, (4, 1.5))},
    "t-test, abs": {"color": "#8C8C8C"},
    "logistic regression, abs": {"color": GREEN},
    "L1 logistic regression": {"color": GREEN, "linestyle": (0, (4, 1.5))},
    "COSG": {"color": PURPLE},
    "JSD specificity": {"color": PURPLE, "linestyle": (0, (4, 1.5))},
    "NS-Forest": {"color": PURPLE, "linestyle": (0, (1, 1))},
    "DESeq2": {"color": "#8C8C8C", "linestyle": (0, (4, 1.5))},
    "GCE": {"color": ORANGE},
    "GRS": {"color": ORANGE, "linestyle": (0, (4, 1.5))},
}
#: One size of panel: drawn as a level line.
LEVEL = "20 causal genes"
TITLES = {
    "symsim_220_clean": "SymSim, clean",
    "symsim_220_complex": "SymSim, complex",
    "symsim_140_clean": "SymSim, 140 genes",
    "simulated": "simulated_panels",
}
EMBEDDING_TITLES = {
    "pbmc3k_processed": "PBMC3k, scaled",
    "pbmc3k": "PBMC3k",
    "baron_mouse": "Baron mouse pancreas",
    "baron_mouse_all": "Baron mouse pancreas",
    "symsim_220_clean": "SymSim, clean",
    "symsim_220_complex": "SymSim, complex",
}
RELIABILITY_TITLES = {
    "kang": "Kang, both directions",
    "pbmc_symphony": "Blood cells, three chemistries",
    "cellmix": "Cell lines, three technologies",
    "pbmc68k": "PBMC68k, halves",
}
RELIABILITY_STYLES = {"SCNYM": BLUE, "logistic regression": GREEN, "SCANVI": VERMILLION}
DPI = 150


def draw_structure(results_path: Path, out_png: Path) -> None:
    """Draw the curves of ``structure.json`` (ACE, Figure 2 C and D), a panel for each data set.

    Parameters
    ----------
    results_path
        JSON that ``benchmarks/structure.py`` wrote.
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
        raise ValueError(f"{results_path} has no rows; make some with benchmarks/structure.py.")
    names = ordered(rows["data"].unique(), TITLES)
    fig = Figure(figsize=(3.9 * len(names) + 2.1, 4.0), layout="constrained")
    axes = fig.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for ax, name in zip(axes, names, strict=True):
        _draw_curves(ax, rows[rows["data"] == name])
        ax.set_title(TITLES.get(name, name), fontsize=11)
        ax.set_xlabel("number of genes")
    axes[0].set_ylabel("mean Jaccard distance of neighbourhoods")
    handles = {
        label: handle
        for ax in axes
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    labels = ordered(handles, [*STYLES, LEVEL])
    fig.legend(
        [handles[label] for label in labels],
        labels,
        loc="outside right center",
        frameon=False,
        fontsize=9,
        handlelength=2.6,
    )
    _save(fig, out_png)


def _draw_curves(ax: Axes, rows: pd.DataFrame) -> None:
    """Mean and standard deviation over seeds."""
    for name in ordered(rows["method"].unique(), list(STYLES)):
        part = rows[rows["method"] == name]
        x = np.array(part["n_genes"].iloc[0])
        curves = np.array(part["jaccard"].tolist())
        mean, spread = curves.mean(0), curves.std(0, ddof=1) if len(curves) > 1 else None
        if name == LEVEL:
            ax.axhline(mean[0], color=GREY, linestyle=(0, (6, 3)), linewidth=1, label=name)
            continue
        style = {"color": GREY, "linewidth": 1.3} | STYLES.get(name, {})
        ax.plot(x, mean, label=name, zorder=2.5 if style["linewidth"] > 2 else 2, **style)
        if spread is not None:
            band = {"color": style["color"], "alpha": 0.15, "linewidth": 0}
            ax.fill_between(x, mean - spread, mean + spread, **band)
    ax.set_xlim(0, None)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="y", color="0.92", linewidth=0.8)
    ax.set_axisbelow(True)


def with_places(results_path: Path) -> pd.DataFrame:
    """Rows that have coordinates; without one, ValueError."""
    rows = read(results_path)
    if "umap" in rows:
        rows = rows[rows["umap"].map(lambda places: isinstance(places, list))]
    if rows.empty or "umap" not in rows:
        raise ValueError(f"no row of {results_path} has the field 'umap'.")
    return rows


def draw_embeddings(results_path: Path, out_png: Path) -> None:
    """Draw the embeddings of ``clusters.json`` (ACE, Figures 3A and A.1), a row for each data set.

    Rows of the file with the field ``umap`` are drawn, the first seed of each method: cells in the
    plane, once by ``cluster`` and once by ``label``, where the row has these. ``umap`` holds pairs
    of whole numbers, hundredths of the coordinates; ``cluster`` and ``label`` hold codes, or
    names, of the cells; ``cluster_names`` and ``label_names``, if there, name the codes.

    Parameters
    ----------
    results_path
        JSON that ``benchmarks/clusters.py`` wrote.
    out_png
        The picture.

    Raises
    ------
    ValueError
        If no row has coordinates.
    """
    from matplotlib.figure import Figure

    rows = with_places(results_path).sort_values("seed", kind="stable")
    rows = rows.drop_duplicates(["data", "method"])
    sets = ordered(rows["data"].unique(), EMBEDDING_TITLES)
    drawn = [
        [
            (row, field)
            for row in rows[rows["data"] == name].to_dict("records")
            for field in ("cluster", "label")
            if isinstance(row.get(field), list)
        ]
        for name in sets
    ]
    ncols = max(map(len, drawn))
    fig = Figure(figsize=(3.6 * ncols, 3.9 * len(sets)), layout="constrained")
    axes = fig.subplots(len(sets), ncols, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for name, line, panels in zip(sets, axes, drawn, strict=True):
        for ax, (row, field) in zip(line, panels, strict=False):
            _draw_cells(ax, row, field)
            what = {"cluster": "clusters", "label": "given labels"}[field]
            title = f"{EMBEDDING_TITLES.get(name, name)}: {row['method']}, {what}"
            ax.set_title(title, fontsize=9)
    _save(fig, out_png)


def _draw_cells(ax: Axes, row: dict[str, Any], field: str) -> None:
    """Cells in the colours of their groups, the names of these below."""
    from matplotlib import colormaps

    at = np.asarray(row["umap"], dtype=float) / 100
    codes, names = pd.factorize(np.asarray(row[field]), sort=True)
    given = row.get(f"{field}_names")
    if isinstance(given, list):
        names = [given[int(code)] for code in names]
    ax.set_axis_on()
    colors = colormaps["tab20" if len(names) > 10 else "tab10"].colors
    if field == "label" and isinstance(row.get("cluster"), list):
        colors = [colors[i % len(colors)] for i in _matching(codes, np.asarray(row["cluster"]))]
    size = float(np.clip(12_000 / len(at), 1.5, 12))
    for code, name in enumerate(names):
        cells = at[codes == code]
        color = colors[code % len(colors)]
        ax.scatter(*cells.T, s=size, color=color, linewidth=0, label=str(name), rasterized=True)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_color("lightgrey")
    ax.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.01),
        ncols=2 if max(len(str(name)) for name in names) > 6 else 5,
        frameon=False,
        fontsize=7,
        markerscale=max(1.0, (16 / size) ** 0.5),
        handletextpad=0.1,
        columnspacing=0.8,
        labelspacing=0.25,
    )


def _matching(labels: np.ndarray, clusters: np.ndarray) -> list[int]:
    """For each label the cluster that shares most cells with it, each cluster at most once."""
    from scipy.optimize import linear_sum_assignment

    shared = pd.crosstab(labels, clusters).to_numpy()
    found, matched = linear_sum_assignment(shared, maximize=True)
    cluster_of = dict(zip(found.tolist(), matched.tolist(), strict=True))
    free = iter(range(shared.shape[1], shared.shape[1] + shared.shape[0]))
    return [cluster_of[i] if i in cluster_of else next(free) for i in range(len(shared))]


#: Cells that a bin of the reliability curve needs to be drawn.
FEWEST_IN_BIN = 10


def draw_reliability(results_path: Path, out_png: Path) -> None:
    """Draw accuracy against confidence of ``transfer.json``, a panel for each data set.

    Bins of all tasks and seeds are pooled; bins of a few cells say nothing and are left out.

    Parameters
    ----------
    results_path
        JSON that ``benchmarks/transfer.py`` wrote.
    out_png
        The picture.

    Raises
    ------
    ValueError
        If no row has a frame of bins.
    """
    from matplotlib.figure import Figure

    rows = read(results_path)
    if "reliability" in rows:
        framed = rows["reliability"].map(lambda v: isinstance(v, list))
        rows = rows[framed & (rows["comparison"] == "transfer")]
    if rows.empty or "reliability" not in rows:
        raise ValueError(f"no row of {results_path} has the field 'reliability'.")
    names = ordered(rows["data"].unique(), RELIABILITY_TITLES)
    fig = Figure(figsize=(3.7 * len(names), 4.0), layout="constrained")
    axes = fig.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for ax, name in zip(axes, names, strict=True):
        _draw_bins(ax, rows[rows["data"] == name])
        ax.set_title(RELIABILITY_TITLES.get(name, name), fontsize=11)
        ax.set_xlabel("confidence")
    axes[0].set_ylabel("accuracy")
    _save(fig, out_png)


def _draw_bins(ax: Axes, rows: pd.DataFrame) -> None:
    """A line for each method, through the middles of its bins."""
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    for name, color in RELIABILITY_STYLES.items():
        own = rows.loc[rows["method"] == name, "reliability"].tolist()
        if not own:
            continue
        n, confidence, right = np.sum(own, axis=0).T
        error = np.abs(confidence - right).sum() / n.sum()
        there = n >= min(FEWEST_IN_BIN, n.max())
        x, y = confidence[there] / n[there], right[there] / n[there]
        ax.plot(x, y, color=color, linewidth=1.5, label=f"{name}, ECE {error:.3f}")
        ax.scatter(x, y, s=4 + 90 * n[there] / n.sum(), color=color, linewidth=0, zorder=3)
    ax.set(xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(loc="lower right", frameon=False, fontsize=8)


def read(path: Path) -> pd.DataFrame:
    """Rows of a file of results; an empty frame if there is none."""
    if not Path(path).exists():
        return pd.DataFrame()
    return pd.DataFrame(json.loads(Path(path).read_text(encoding="utf-8"))["rows"])


def ordered(values: Any, order: Any) -> list[str]:
    """Values in a given order, what it does not name behind."""
    known = [v for v in order if v in values]
    return known + sorted(v for v in values if v not in known)


def _save(fig: Any, path: Path) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    # No date and no versions inside: the same numbers give the same file.
    fig.savefig(path, dpi=DPI, metadata={"Software": None})
