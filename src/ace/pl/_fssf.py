from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ace._checks._arguments import number
from ace._checks._figures import as_many, selected_groups, something
from ace._docs import doc_params
from ace._keys import DEFAULT_FSSF_KEY
from ace.get import fssf_df
from ace.pl import _texts
from ace.pl._colors import DEPLETED, ENRICHED
from ace.pl._figure import figure_of, finish, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Palette of Okabe & Ito, starting with the two colours of the directions.
_COLORS = [ENRICHED, DEPLETED, "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
# Width of a column of dots relative to the distance of two columns.
_SPREAD = 0.3


@doc_params(size=_texts.SIZE, output=_texts.output(), returned=_texts.returned())
def fssf(
    adata: AnnData,
    key: str | Sequence[str] = DEFAULT_FSSF_KEY,
    *,
    labels: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    size: float | None = None,
    show: bool | None = None,
    save: bool | str | PathLike[str] | None = None,
    ax: Axes | None = None,
    return_fig: bool = False,
) -> Figure | Axes | None:
    """Draw the subcluster founder scores of each group (scARE, Figure 1a).

    Filled dots are the scores of the genes, one per pair of subclusters; open circles beside them
    are the mean scores of random gene sets of the same size. Horizontal lines mark the medians.
    Several results, such as those of models trained with and without the attribution loss, are
    drawn side by side in different colours.

    Parameters
    ----------
    adata
        Annotated data with the result of :func:`ace.tl.fssf`.
    key
        The ``key_added`` of one or several results.
    labels
        Names of the results in the legend. If ``None``, their keys.
    groups
        Groups to draw, in this order. If ``None``, all with a score.
    {size}
    {output}

    Returns
    -------
    {returned}

    Raises
    ------
    KeyError
        If the scores, or those of a group, do not exist.
    ValueError
        If the number of ``labels`` differs from the number of keys.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.model.SCARE.setup_anndata(adata, layer="counts")
    >>> genes = ["CD74", "HLA-DRA", "CD79A"]
    >>> model = ace.model.SCARE(adata, ground_truth=genes)
    >>> model.train(max_epochs=3, enable_progress_bar=False)
    >>> ace.tl.fssf(adata, "phase", genes, model=model, n_random=10)
    >>> ace.pl.fssf(adata, show=False).get_ylabel()
    'FSSF'
    """
    number(size, "size", above=True, optional=True)
    keys = [key] if isinstance(key, str) else list(key)
    names = keys if labels is None else [str(label) for label in labels]
    something(keys, "key is empty")
    as_many(names, len(keys), "labels", "key")
    frames = [fssf_df(adata, key=k) for k in keys]
    shown = _groups(frames, groups)
    # Columns of each group: for each key the genes, and the random sets if there are any.
    columns = [
        (i, column)
        for i, frame in enumerate(frames)
        for column in ("fssf", "random_mean")
        if frame[column].notna().any()
    ]
    if ax is None:
        from matplotlib import pyplot as plt

        legend = 0.08 * max(len("random genes"), *(len(n) * (len(names) > 1) for n in names)) + 0.5
        width = max(len(shown) * (0.24 * len(columns) + 0.3), 0.8) + 0.9 + legend
        _, ax = plt.subplots(figsize=(width, 3.4), layout="constrained")
    most = max(int(frame["group"].value_counts().max()) for frame in frames)
    size = float(np.clip(300 / most, 6, 24)) if size is None else size
    step = len(columns) + 1.2
    for place, group in enumerate(shown):
        left = place * step - (len(columns) - 1) / 2
        for at, (i, column) in enumerate(columns):
            values = frames[i].loc[frames[i]["group"] == group, column].dropna().to_numpy()
            _draw_column(ax, left + at, values, _color(i), column, size)
    _label(ax, shown, step, names, columns)
    return finish(figure_of(ax), ax, name="fssf", show=show, save=save, return_fig=return_fig)


def _color(i: int) -> str:
    return _COLORS[i % len(_COLORS)]


def _groups(frames: list[pd.DataFrame], groups: Sequence[str] | None) -> list[str]:
    """Groups to draw, of those that have a score for any key."""
    scored = [set(frame["group"].astype(str)) for frame in frames]
    every = dict.fromkeys(str(g) for frame in frames for g in frame["group"].cat.categories)
    known = [group for group in every if any(group in found for found in scored)]
    return selected_groups(groups, known, "the scores")


def _draw_column(
    ax: Axes, x: float, values: np.ndarray, color: str, column: str, size: float
) -> None:
    if not len(values):
        return
    # Offsets that depend on the rank are reproducible and avoid overlapping dots.
    order = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    spread = (order * 0.618034) % 1 - 0.5  # golden ratio: neighbouring ranks are far apart
    face = color if column == "fssf" else "white"
    ax.scatter(
        x + 2 * _SPREAD * spread,
        values,
        s=size,
        facecolors=face,
        edgecolors=color,
        linewidths=0.8,
        alpha=0.75 if column == "fssf" else 1,
        zorder=2,
    )
    median = float(np.median(values))
    ax.hlines(median, x - 0.42, x + 0.42, color="black", linewidth=1.6, zorder=3)


def _label(
    ax: Axes, groups: list[str], step: float, names: list[str], columns: list[tuple[int, str]]
) -> None:
    from matplotlib.lines import Line2D

    ax.axhline(0, color="0.6", linewidth=0.8, linestyle="--", zorder=0)
    ax.set_ylim(-1.06, 1.06)
    ax.set_yticks([-1, -0.5, 0, 0.5, 1])
    ax.set_ylabel("FSSF")
    ax.set_xlim(-step / 2, (len(groups) - 0.5) * step)
    tilted = len(groups) > 1 and max(map(len, groups)) > 3 * len(columns) + 3
    ax.set_xticks(
        np.arange(len(groups)) * step,
        labels=[wrap(group, 24) for group in groups],
        rotation=40 if tilted else 0,
        ha="right" if tilted else "center",
        rotation_mode="anchor" if tilted else "default",
        fontsize="small",
        parse_math=False,
    )
    ax.tick_params(axis="x", length=0)
    ax.spines[["top", "right"]].set_visible(False)
    for place in range(1, len(groups)):
        ax.axvline((place - 0.5) * step, color="0.9", linewidth=0.8, zorder=0)
    # Colours distinguish keys; filled and open circles genes and random genes.
    entries = [] if len(names) == 1 else [(name, _color(i), True) for i, name in enumerate(names)]
    color = _color(0) if len(names) == 1 else "0.4"
    for column in dict.fromkeys(column for _, column in columns):
        is_own = column == "fssf"
        entries.append(("genes" if is_own else "random genes", color, is_own))
    handles = [
        Line2D(
            [],
            [],
            linestyle="",
            marker="o",
            markersize=5,
            markeredgecolor=color,
            markerfacecolor=color if filled else "white",
            label=label,
        )
        for label, color, filled in entries
    ]
    ax.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(1, 0.5),
        frameon=False,
        fontsize="small",
        handletextpad=0.2,
    )
