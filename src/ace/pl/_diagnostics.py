from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ace._checks import MIN_FIDELITY
from ace._checks._figures import has_values, something
from ace._docs import doc_params
from ace._keys import DEFAULT_KEY
from ace.get import diagnostics_df
from ace.pl import _texts
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
# Columns that are drawn on the range from 0 to 1.
_FRACTIONS = {"fidelity", "flip_rate"}


@doc_params(
    adata=_texts.ADATA,
    groups=_texts.GROUPS,
    key=_texts.KEY,
    output=_texts.output(f"Axes to draw in, one per column. {_texts.GROWING} groups and columns."),
    returned=_texts.returned("the axes (a list for several columns)"),
)
def diagnostics(
    adata: AnnData,
    *,
    groups: str | Sequence[str] | None = None,
    columns: str | Sequence[str] | None = None,
    key: str = DEFAULT_KEY,
    show: bool | None = None,
    save: bool | str | PathLike[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw the diagnostics of an explanation, one panel per column and one bar per group.

    The columns are those of :func:`ace.get.diagnostics_df`. Groups with a fidelity below 0.85
    (dashed line) are highlighted: the explained scorer does not reproduce their labels, so their
    panels of genes may be unreliable.

    Parameters
    ----------
    {adata}
    {groups}
    columns
        Columns to draw. If ``None``, all with values except ``n_reference`` and ``seconds``.
    {key}
    {output}

    Returns
    -------
    {returned}

    Raises
    ------
    KeyError
        If the explanation, a group or a column does not exist.
    ValueError
        If no column has values, or the number of axes differs from the number of columns.

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
        axes = given_axes(ax, len(drawn), what="one per column")
        fig = figure_of(axes[0])

    for i, (axis, column) in enumerate(zip(axes, drawn, strict=True)):
        _draw(axis, df[column].to_numpy(dtype=np.float64), column)
        # The panels have the same rows, which only the first labels.
        names = list(df["group"]) if i == 0 else []
        axis.set_yticks(np.arange(len(names)), labels=names, fontsize="small", parse_math=False)
    return finish(
        fig,
        axes[0] if len(axes) == 1 else axes,
        name="diagnostics",
        show=show,
        save=save,
        return_fig=return_fig,
    )


def _columns(df: pd.DataFrame, columns: str | Sequence[str] | None, *, key: str) -> list[str]:
    """Columns to draw; raise if one has no values, or if there are none."""
    filled = [c for c in df.columns if c != "group" and df[c].notna().any()]
    if columns is None:
        drawn = [c for c in _DEFAULT if c in filled]
    else:
        drawn = [columns] if isinstance(columns, str) else list(columns)
        has_values(drawn, filled, f"the diagnostics of adata.uns[{key!r}]")
    something(drawn, f"the diagnostics of adata.uns[{key!r}] have no values, or columns is empty")
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
        # Fractions are written to the right of 1, where the dashed line does not cross them.
        if not np.isnan(value):
            ax.annotate(
                f"{value:.3f}" if column in _FRACTIONS else _short(value),
                (1 if column in _FRACTIONS else max(value, 0), row),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize="x-small",
            )
    ax.set_axisbelow(True)
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
    """Format with three significant digits, and counts in full."""
    return f"{value:.0f}" if value >= 100 or value == round(value) else f"{value:.3g}"
