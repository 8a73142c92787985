from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ace._checks import column_of
from ace._checks._columns import labels_of
from ace._checks._figures import has_votes, selected_groups, something
from ace._checks._groups import not_measurements
from ace._docs import doc_params
from ace._keys import DEFAULT_ANNOTATION_KEY, AnnotationKeys
from ace.get import annotation_df
from ace.pl import _texts
from ace.pl._colors import CONFIDENCE
from ace.pl._figure import figure_of, finish, fit_figure, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

#: Name of the column of novel cells.
NOVEL = "novel"
# Sizes in inches.
_CELL = 0.3
_CELL_OF_COUNTS = 0.38
_LEGEND = (0.9, 1.15)
_BAR = (0.1, 1.0)
_GAP = 0.2
# Diameter of the largest dot relative to its cell, without and with numbers below the dots.
_LARGEST = 0.92
_LARGEST_OF_COUNTS = 0.68
# Shift of the dots upwards, relative to the height of a cell, to leave room for the numbers.
_SHIFT = 0.12
# Width and height of a digit relative to the font size.
_DIGIT = (0.64, 0.73)
# Confidence above which numbers are white, because the dot is dark.
_DARK = 0.9
# Maximum number of characters per line of a name.
_WRAP = 32


@doc_params(
    adata=_texts.ANNOTATED,
    key=_texts.ANNOTATION_KEY,
    output=_texts.output(
        f"Axes to draw in; the legends are drawn beside them. {_texts.GROWING} groups and labels."
    ),
    returned=_texts.returned("the axes of the dots, with the legends among its ``child_axes``"),
)
def confusion(
    adata: AnnData,
    groupby: str,
    *,
    groups: str | Sequence[str] | None = None,
    majority: bool = False,
    novel: bool = False,
    counts: bool = False,
    key: str = DEFAULT_ANNOTATION_KEY,
    show: bool | None = None,
    save: bool | str | PathLike[str] | None = None,
    ax: Axes | None = None,
    return_fig: bool = False,
) -> Figure | Axes | None:
    """Draw how the cells of each group were labelled, as a dot plot.

    Rows are the groups of a column of ``obs`` (such as clusters, another annotation or the true
    cell types), columns are the predicted labels. The area of a dot is the fraction of the row's
    cells with that label, its colour their mean confidence. Groups that have the name of a label
    follow the order of the labels; the others are placed by their most frequent label. Cells whose
    label was given, or that have no group, are excluded.

    Parameters
    ----------
    {adata}
    groupby
        Column of ``adata.obs`` to compare with.
    groups
        Groups to draw, in this order. If ``None``, all with annotated cells.
    majority
        Draw the majority votes of the clusters (``over_clustering``) instead of the labels of the
        cells. The colour is the confidence of the labels of the cells in either case.
    novel
        Draw novel cells in a separate column, ``"novel"``.
    counts
        Write the number of cells next to each dot, or inside it if it is large enough.
    {key}
    {output}

    Returns
    -------
    {returned}

    Raises
    ------
    KeyError
        If the annotation, the column, a group or the majority votes do not exist.
    ValueError
        If the column holds measurements, or there are no annotated cells to draw.

    Examples
    --------
    >>> import ace
    >>> cells = ace.datasets.pbmc68k_reduced()
    >>> atlas, query = cells[::2].copy(), cells[1::2].copy()
    >>> ace.tl.annotate(query, "bulk_labels", reference=atlas, max_epochs=2)
    >>> ax = ace.pl.confusion(query, "louvain", groups=["4", "0"], show=False)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['4', '0']
    """
    cells = _cells(adata, groupby, majority=majority, novel=novel, key=key)
    grouped = cells.groupby(["group", "label"], observed=False)
    number = grouped.size().unstack("label")
    number = number.loc[_rows(number, groups, groupby)]
    number = number.loc[:, (number > 0).any(axis=0)]
    something(
        number.columns, f"no annotated cells in the selected groups of adata.obs[{groupby!r}]"
    )
    confidence = grouped["confidence"].mean().unstack("label").loc[number.index, number.columns]
    share = number.div(number.sum(axis=1).clip(lower=1), axis=0)

    own_figure = ax is None
    if ax is None:
        from matplotlib import pyplot as plt

        cell = _CELL_OF_COUNTS if counts else _CELL
        size = (max(number.shape[1], 3) * cell, max(number.shape[0], 3) * cell)
        ax = plt.figure(figsize=size).add_axes((0, 0, 1, 1))
    fig = figure_of(ax)
    extent = ax.get_window_extent()
    width, height = extent.width / fig.dpi, extent.height / fig.dpi
    # Size of a cell and of the largest dot in points.
    across = 72 * min(width / number.shape[1], height / number.shape[0])
    largest = across * (_LARGEST_OF_COUNTS if counts else _LARGEST)
    dots = _draw_dots(ax, share.to_numpy(), confidence.to_numpy(), largest)
    if counts:
        _write_counts(ax, number, confidence, largest**2 * share, across)
        ax.set_ylim(number.shape[0] - 0.5 + _SHIFT, -0.5 + _SHIFT)
    else:  # no lines through the numbers
        rows, columns = np.arange(number.shape[0]), np.arange(number.shape[1])
        ax.hlines(rows, -0.5, len(columns) - 0.5, color="0.93", linewidth=0.6, zorder=0)
        ax.vlines(columns, -0.5, len(rows) - 0.5, color="0.93", linewidth=0.6, zorder=0)
    _name_axes(ax, number, groupby, "majority vote" if majority else "predicted", counts=counts)

    x = 1 + _GAP / width
    sizes = ax.inset_axes(
        (x, 1 - _LEGEND[1] / height, _LEGEND[0] / width, _LEGEND[1] / height), label="sizes"
    )
    _draw_sizes(sizes, largest)
    bottom = 1 - (_LEGEND[1] + 2 * _GAP + _BAR[1]) / height
    bar = ax.inset_axes((x, bottom, _BAR[0] / width, _BAR[1] / height), label="colorbar")
    fig.colorbar(dots, cax=bar)
    bar.set_title("mean confidence", fontsize="small", loc="left")
    bar.tick_params(labelsize="small", length=2)
    bar.spines[:].set_visible(False)
    if own_figure:
        fit_figure(ax)
    return finish(fig, ax, name="confusion", show=show, save=save, return_fig=return_fig)


def _cells(adata: AnnData, groupby: str, *, majority: bool, novel: bool, key: str) -> pd.DataFrame:
    """Return the group, label and confidence of each annotated cell."""
    df = annotation_df(adata, key=key)
    column = column_of(adata, groupby)
    place = f"adata.obs[{groupby!r}]"
    not_measurements(column, place)
    if majority:
        has_votes(df, AnnotationKeys(key).majority)
    label = df["majority" if majority else "label"]
    # As text, because categories of the two columns may have different types.
    label = label.cat.rename_categories([str(c) for c in label.cat.categories])
    if novel:
        label = label.cat.set_categories(
            [*(c for c in label.cat.categories if c != NOVEL), NOVEL]
        ).where(~df["novel"], NOVEL)
    group = pd.Series(labels_of(column, place), index=adata.obs_names)
    cells = pd.DataFrame(
        {
            "group": group.cat.rename_categories([str(c) for c in group.cat.categories]),
            "label": label,
            "confidence": df["confidence"],
        }
    )
    return cells[~df["given"] & group.notna()]


def _rows(number: pd.DataFrame, groups: str | Sequence[str] | None, groupby: str) -> list[str]:
    """Groups to draw, from top to bottom."""
    if groups is not None:
        return selected_groups(groups, list(number.index), f"adata.obs[{groupby!r}]")
    labels = list(number.columns)
    main = number.to_numpy().argmax(axis=1)
    place = [
        labels.index(name) if name in labels else main[i] for i, name in enumerate(number.index)
    ]
    there = number.to_numpy().sum(axis=1) > 0
    return [str(number.index[i]) for i in np.argsort(place, kind="stable") if there[i]]


def _draw_dots(
    ax: Axes, share: np.ndarray, confidence: np.ndarray, largest: float
) -> PathCollection:
    row, column = np.nonzero(share)
    dots = ax.scatter(
        column,
        row,
        s=largest**2 * share[row, column],
        c=confidence[row, column],
        cmap=CONFIDENCE,
        vmin=0,
        vmax=1,
        edgecolors="0.3",
        linewidths=0.4,
        zorder=2,
    )
    ax.set_xlim(-0.5, share.shape[1] - 0.5)
    ax.set_ylim(share.shape[0] - 0.5, -0.5)
    return dots


def _write_counts(
    ax: Axes, number: pd.DataFrame, confidence: pd.DataFrame, area: pd.DataFrame, across: float
) -> None:
    """Write each number into its dot if it fits, otherwise below it."""
    for row, column in zip(*np.nonzero(number.to_numpy()), strict=True):
        text = str(number.iloc[row, column])
        # It must fit into the cell, below the largest dot.
        fontsize = min(7.0, 0.25 * across, 1.4 * across / len(text))
        diameter = area.iloc[row, column] ** 0.5
        within = fontsize * np.hypot(_DIGIT[0] * len(text), _DIGIT[1]) <= diameter
        ax.annotate(
            text,
            (column, row),
            xytext=(0, 0 if within else -diameter / 2 - 1),
            textcoords="offset points",
            ha="center",
            va="center_baseline" if within else "top",
            fontsize=fontsize,
            color="white" if within and confidence.iloc[row, column] > _DARK else "black",
            zorder=3,
        )


def _name_axes(ax: Axes, number: pd.DataFrame, groupby: str, what: str, *, counts: bool) -> None:
    rows, columns = number.shape
    names = [wrap(str(name), _WRAP) for name in number.index]
    if counts:
        names = [f"{n} ({total})" for n, total in zip(names, number.sum(axis=1), strict=True)]
    ax.set_yticks(np.arange(rows), labels=names, fontsize="small", parse_math=False)
    labels = [wrap(str(name), _WRAP) for name in number.columns]
    ax.set_xticks(
        np.arange(columns), labels=labels, fontsize="small", rotation=90, parse_math=False
    )
    ax.tick_params(length=0)
    ax.set_ylabel(groupby, fontsize="medium", parse_math=False)
    ax.set_xlabel(what, fontsize="medium")
    ax.spines[:].set_color("0.6")


def _draw_sizes(ax: Axes, largest: float) -> None:
    """Draw the legend of the areas."""
    shares = np.array([0.1, 0.25, 0.5, 1.0])
    at = np.arange(len(shares))
    ax.scatter(np.zeros(len(at)), at, s=largest**2 * shares, color="0.6", clip_on=False)
    for y, share in zip(at, shares, strict=True):
        ax.annotate(
            f"{share:.0%}",
            (0, y),
            xytext=(largest / 2 + 5, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
        )
    ax.set_xlim(-0.2, 1)
    ax.set_ylim(len(at) - 0.3, -0.7)
    ax.set_title("share of the row", fontsize="small", loc="left")
    ax.set_axis_off()
