from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ace._checks import MIN_FIDELITY
from ace._keys import DEFAULT_KEY
from ace.get import diagnostics_df
from ace.pl._colors import DEPLETED, ENRICHED
from ace.pl._figure import figure_of, finish, given_axes, grid_of_axes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLES = {
    "fidelity": "fidelity",
    "n_cells": "cells explained",
    "n_reference": "cells of the reference",
    "panel_size": "genes in the panel",
    "flip_rate": "cells flipped",
    "l1": "size of the perturbation",
    "n_features": "genes perturbed",
    "delta": "completeness gap",
    "seconds": "seconds",
}
_DEFAULT = ("fidelity", "panel_size", "n_cells", "flip_rate", "l1", "n_features", "delta")
# Fractions are drawn on the whole of their range.
_FRACTIONS = {"fidelity", "flip_rate"}


def diagnostics(
    adata: AnnData,
    *,
    groups: str | Sequence[str] | None = None,
    columns: str | Sequence[str] | None = None,
    key: str = DEFAULT_KEY,
    show: bool | None = None,
    save: str | PathLike[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw how far the explanation of each group can be trusted.

    A panel a column of :func:`ace.get.diagnostics_df`, a bar a group, the value written at its
    end. Groups with a fidelity below 0.9 (dashed line) stand out by colour and hatching: the
    scorer that was explained does not tell them apart as the labels do, and a panel of genes for
    them should be doubted.

    Parameters
    ----------
    adata
        Annotated data with the result of :func:`ace.tl.explain`.
    groups
        Groups to draw, from top to bottom; ``None`` draws all.
    columns
        Columns to draw; ``None`` draws those the method has values for, without the reference's
        cells and the seconds.
    key
        The ``key_added`` that the explanation was stored under.
    show
        Show the figure; ``None`` does as ``scanpy.settings.autoshow`` says.
    save
        File to save to, the format told by its ending.
    ax
        Axes to draw in, as many as there are columns; without it a figure that grows with the
        number of groups and columns.
    return_fig
        Return the figure and do not show it.

    Returns
    -------
    The figure with ``return_fig=True``; with ``show=False`` the axes, a list of them for several
    columns; else ``None``.

    Raises
    ------
    KeyError
        If there is no such explanation, group or column.
    ValueError
        If no column has a value, or the number of ``ax`` is not that of columns.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.explain(adata, groupby="louvain")
    >>> ax = ace.pl.diagnostics(adata, columns="fidelity", show=False)
    >>> ax.get_title()
    'fidelity'
    """
    df = diagnostics_df(adata, groups, key=key)
    drawn = _columns(df, columns, key=key)
    if ax is None:
        longest = max(len(name) for name in df["group"])
        fig, axes = grid_of_axes(
            len(drawn),
            ncols=len(drawn),
            panel_size=(1.9, 0.21 * len(df) + 0.55),
            margin=(0.08 * longest, 0),
        )
    else:
        axes = given_axes(ax, len(drawn), what="one a column")
        fig = figure_of(axes[0])

    for i, (axis, column) in enumerate(zip(axes, drawn, strict=True)):
        _draw(axis, df[column].to_numpy(dtype=np.float64), column)
        # The panels share their rows, so only the first names them.
        names = list(df["group"]) if i == 0 else []
        axis.set_yticks(np.arange(len(names)), labels=names, fontsize="small", parse_math=False)
    return finish(
        fig, axes[0] if len(axes) == 1 else axes, show=show, save=save, return_fig=return_fig
    )


def _columns(df: pd.DataFrame, columns: str | Sequence[str] | None, *, key: str) -> list[str]:
    there = [c for c in df.columns if c != "group" and df[c].notna().any()]
    if columns is None:
        drawn = [c for c in _DEFAULT if c in there]
    else:
        drawn = [columns] if isinstance(columns, str) else list(columns)
        unknown = [c for c in drawn if c not in there]
        if unknown:
            raise KeyError(
                f"{unknown} has no values in the diagnostics of adata.uns[{key!r}]; there are "
                f"{there}."
            )
    if not drawn:
        raise ValueError(
            f"the diagnostics of adata.uns[{key!r}] hold no value to draw; explain again with "
            f"ace.tl.explain(adata, groupby=..., key_added={key!r})."
        )
    return drawn


def _draw(ax: Axes, values: np.ndarray, column: str) -> None:
    doubtful = values < MIN_FIDELITY if column == "fidelity" else np.zeros(len(values), dtype=bool)
    bars = ax.barh(
        np.arange(len(values)),
        np.nan_to_num(values),
        height=0.72,
        color=np.where(doubtful, ENRICHED, DEPLETED),
    )
    for bar, mark in zip(bars, doubtful, strict=True):
        if mark:
            bar.set(hatch="////", edgecolor="white")
    for row, value in enumerate(values):
        # A group that a column says nothing about has neither bar nor number. Fractions stand
        # right of 1, where the line of the wanted fidelity does not cross them.
        if not np.isnan(value):
            ax.annotate(
                f"{value:.3f}" if column in _FRACTIONS else _short(value),
                (1 if column in _FRACTIONS else max(value, 0), row),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize="x-small",
            )
    ax.set_title(_TITLES.get(column, column), fontsize="medium")
    ax.set_ylim(len(values) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize="small")
    ax.locator_params(axis="x", nbins=3)
    ax.spines[["top", "right"]].set_visible(False)
    if column in _FRACTIONS:
        ax.set_xlim(0, 1.3)
        ax.set_xticks([0, 0.5, 1])
    else:
        ax.margins(x=0.25)
    if column == "fidelity":
        ax.axvline(MIN_FIDELITY, color="black", linestyle="--", linewidth=0.8)


def _short(value: float) -> str:
    """Three significant digits, but counts in full."""
    return f"{value:.0f}" if value >= 100 or value == round(value) else f"{value:.3g}"
