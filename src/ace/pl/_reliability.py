from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ace._checks._objects import annotated
from ace._keys import DEFAULT_ANNOTATION_KEY, AnnotationKeys
from ace.pl._colors import DEPLETED, ENRICHED
from ace.pl._figure import figure_of, finish, given_axes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = ["lower", "upper", "confidence", "accuracy", "n_cells"]


def reliability(
    source: AnnData | dict[str, Any] | pd.DataFrame,
    *,
    key: str = DEFAULT_ANNOTATION_KEY,
    show: bool | None = None,
    save: str | PathLike[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw how often predictions are right against how sure they are.

    Above, a bar for each bin of confidence: the share of right predictions; the line across it is
    their mean confidence. A model whose confidence means what it says has both at one height, on
    the diagonal. What it is surer of than right is vermillion, the contrary hatched blue. Below,
    how many cells there are in each bin. The title is the expected calibration error (ECE): the
    mean distance of the two, each bin counting by its cells.

    Parameters
    ----------
    source
        Annotated data with the result of :func:`ace.tl.annotate` (labelled cells that were held
        out), or what :meth:`ace.model.SCNYM.get_calibration` gives of any cells.
    key
        The ``key_added`` that the annotation was stored under.
    show
        Show the figure; ``None`` does as ``scanpy.settings.autoshow`` says.
    save
        File to save to, the format told by its ending.
    ax
        Two axes to draw in, for the diagram and the histogram.
    return_fig
        Return the figure and do not show it.

    Returns
    -------
    The figure with ``return_fig=True``; with ``show=False`` the two axes; else ``None``.

    Raises
    ------
    KeyError
        If there is no such annotation, or it has no reliability because no cell was held out.
    ValueError
        If no bin holds a cell, or ``ax`` are not two.

    Examples
    --------
    >>> import ace
    >>> cells = ace.datasets.pbmc68k_reduced()
    >>> atlas, query = cells[::2].copy(), cells[1::2].copy()
    >>> model = ace.tl.annotate(query, "bulk_labels", reference=atlas, max_epochs=2)
    >>> diagram, histogram = ace.pl.reliability(model.get_calibration(query), show=False)
    >>> diagram.get_title()[:5]
    'ECE 0'
    """
    bins = _bins(source, key)
    if ax is None:
        from matplotlib import pyplot as plt

        fig, grid = plt.subplots(
            2, 1, figsize=(3.1, 4.4), height_ratios=(3, 1), sharex=True, layout="constrained"
        )
        axes: list[Axes] = list(grid)
    else:
        axes = given_axes(ax, 2, what="diagram and histogram")
        fig = figure_of(axes[0])
    _draw_diagram(axes[0], bins)
    _draw_histogram(axes[1], bins)
    if ax is None:  # bars may be anywhere in the diagram
        fig.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    else:
        axes[0].legend(loc="best", frameon=False, fontsize="x-small")
    return finish(fig, axes, show=show, save=save, return_fig=return_fig)


def _bins(source: AnnData | dict[str, Any] | pd.DataFrame, key: str) -> pd.DataFrame:
    if isinstance(source, pd.DataFrame):
        frame = source
    elif isinstance(source, dict):
        frame = source.get("reliability", pd.DataFrame())
    else:
        annotated(source, "source", reads_matrix=False)
        stored = AnnotationKeys(key).read(source)
        if "reliability" not in stored:
            raise KeyError(
                f"adata.uns[{key!r}] has no reliability, because no labelled cell was held out in "
                "the training. Pass model.get_calibration(adata) of cells with labels."
            )
        frame = stored["reliability"]
    missing = [column for column in _COLUMNS if column not in frame]
    if missing:
        raise KeyError(
            f"source has no {missing}: pass annotated data, or what model.get_calibration() gives."
        )
    if not frame["n_cells"].sum():
        raise ValueError("no bin holds a cell: there is nothing to draw.")
    return frame


def _draw_diagram(ax: Axes, bins: pd.DataFrame) -> None:
    filled = bins[bins["n_cells"] > 0]
    left, width = filled["lower"].to_numpy(), (filled["upper"] - filled["lower"]).to_numpy()
    accuracy, confidence = filled["accuracy"].to_numpy(), filled["confidence"].to_numpy()
    ax.plot([0, 1], [0, 1], color="0.5", linestyle="--", linewidth=0.8, zorder=0)
    ax.bar(left, accuracy, width, align="edge", color="0.8", edgecolor="white", label="right")
    for which, color, hatch, label in (
        (confidence > accuracy, ENRICHED, "", "surer than right"),
        (confidence < accuracy, DEPLETED, "////", "less sure than right"),
    ):
        if not which.any():  # no bars would stand in the legend in a colour that is not theirs
            continue
        ax.bar(
            left[which],
            np.abs(confidence - accuracy)[which],
            width[which],
            np.minimum(confidence, accuracy)[which],
            align="edge",
            color=color,
            alpha=0.55,
            hatch=hatch,
            edgecolor="white",
            label=label,
        )
    ax.hlines(confidence, left, left + width, color="black", linewidth=1.4, label="confidence")
    error = np.average(np.abs(confidence - accuracy), weights=filled["n_cells"])
    n_cells = int(filled["n_cells"].sum())
    ax.set_title(f"ECE {error:.3f} ({n_cells} cells)", fontsize="medium")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_ylabel("share that is right")
    ax.spines[["top", "right"]].set_visible(False)


def _draw_histogram(ax: Axes, bins: pd.DataFrame) -> None:
    width = bins["upper"] - bins["lower"]
    ax.bar(bins["lower"], bins["n_cells"], width, align="edge", color="0.6", edgecolor="white")
    ax.set_xlim(0, 1)
    ax.set_xlabel("confidence")
    ax.set_ylabel("cells")
    ax.locator_params(axis="y", nbins=3, integer=True)
    ax.spines[["top", "right"]].set_visible(False)
