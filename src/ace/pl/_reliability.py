from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ace._checks._figures import has_columns, has_reliability, something
from ace._checks._objects import annotated
from ace._docs import doc_params
from ace._keys import DEFAULT_ANNOTATION_KEY, AnnotationKeys
from ace.pl import _texts
from ace.pl._colors import DEPLETED, ENRICHED
from ace.pl._figure import figure_of, finish, given_axes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = ["lower", "upper", "confidence", "accuracy", "n_cells"]


@doc_params(
    key=_texts.ANNOTATION_KEY,
    output=_texts.output("Two axes to draw in, for the diagram and the histogram."),
    returned=_texts.returned("the two axes"),
)
def reliability(
    source: AnnData | dict[str, Any] | pd.DataFrame,
    *,
    key: str = DEFAULT_ANNOTATION_KEY,
    show: bool | None = None,
    save: bool | str | PathLike[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw a reliability diagram: the accuracy of predictions against their confidence.

    The upper panel has one bar per bin of confidence, as high as the accuracy in the bin; a
    horizontal line marks the mean confidence. The predictions are calibrated if both are equal;
    overconfident bins are vermillion, underconfident bins hatched blue. The lower panel is a
    histogram of the confidence. The title gives the expected calibration error (ECE), the mean
    difference of accuracy and confidence, weighted by the number of cells in each bin.

    Parameters
    ----------
    source
        Annotated data with the result of :func:`ace.tl.annotate`, for the labelled cells that were
        held out; or the result of :meth:`ace.model.SCNYM.get_calibration` for any labelled cells.
    {key}
    {output}

    Returns
    -------
    {returned}

    Raises
    ------
    KeyError
        If the annotation does not exist, or has no reliability because no cells were held out.
    ValueError
        If the table lacks columns, no bin has cells, or the number of axes is not two.

    Examples
    --------
    >>> import ace
    >>> cells = ace.datasets.pbmc68k_reduced()
    >>> atlas, query = cells[::2].copy(), cells[1::2].copy()
    >>> model = ace.tl.annotate(
    ...     query, "bulk_labels", reference=atlas, max_epochs=2, return_model=True
    ... )
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
    if ax is None:  # bars may fill the diagram
        fig.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    else:
        axes[0].legend(loc="best", frameon=False, fontsize="x-small")
    return finish(fig, axes, name="reliability", show=show, save=save, return_fig=return_fig)


def _bins(source: AnnData | dict[str, Any] | pd.DataFrame, key: str) -> pd.DataFrame:
    """Return the table of bins of any source."""
    if isinstance(source, pd.DataFrame):
        frame = source
    elif isinstance(source, dict):
        frame = source.get("reliability", pd.DataFrame())
    else:
        annotated(source, "source", reads_matrix=False)
        stored = AnnotationKeys(key).read(source)
        has_reliability(stored, key)
        frame = stored["reliability"]
    fix = "Pass annotated data, or the result of model.get_calibration()."
    has_columns(frame.columns, _COLUMNS, "source", fix)
    something(frame[frame["n_cells"] > 0], "no bin has cells")
    return frame


def _draw_diagram(ax: Axes, bins: pd.DataFrame) -> None:
    filled = bins[bins["n_cells"] > 0]
    left, width = filled["lower"].to_numpy(), (filled["upper"] - filled["lower"]).to_numpy()
    accuracy, confidence = filled["accuracy"].to_numpy(), filled["confidence"].to_numpy()
    ax.plot([0, 1], [0, 1], color="0.5", linestyle="--", linewidth=0.8, zorder=0)
    ax.bar(left, accuracy, width, align="edge", color="0.8", edgecolor="white", label="accuracy")
    for which, color, hatch, label in (
        (confidence > accuracy, ENRICHED, "", "overconfident"),
        (confidence < accuracy, DEPLETED, "////", "underconfident"),
    ):
        if not which.any():  # bars of a wrong colour would be in the legend
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
    ax.set_ylabel("accuracy")
    ax.spines[["top", "right"]].set_visible(False)


def _draw_histogram(ax: Axes, bins: pd.DataFrame) -> None:
    width = bins["upper"] - bins["lower"]
    ax.bar(bins["lower"], bins["n_cells"], width, align="edge", color="0.6", edgecolor="white")
    ax.set_xlim(0, 1)
    ax.set_xlabel("confidence")
    ax.set_ylabel("cells")
    ax.locator_params(axis="y", nbins=3, integer=True)
    ax.spines[["top", "right"]].set_visible(False)
