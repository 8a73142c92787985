from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Patch

from ace._keys import DEFAULT_KEY, ExplanationKeys
from ace.get import explain_df
from ace.pl._colors import DEPLETED, ENRICHED
from ace.pl._figure import check_n_genes, figure_of, finish, given_axes, grid_of_axes, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LABELS = {True: "enriched", False: "depleted (left of zero)"}
_COLORS = {True: ENRICHED, False: DEPLETED}


def panels(
    adata: AnnData,
    *,
    groups: str | Sequence[str] | None = None,
    n_genes: int = 10,
    gene_symbols: str | None = None,
    key: str = DEFAULT_KEY,
    sharex: bool = False,
    ncols: int = 4,
    show: bool | None = None,
    save: str | PathLike[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw the top genes of each group as signed bars.

    A panel a group, the gene with the largest absolute score on top. Bars of genes that are
    enriched in the group go right of zero, bars of depleted ones left, in two colours that readers
    with any kind of colour vision tell apart; the names are written in the same colours. Genes of
    score 0 take no part in the explanation and are not drawn, so a panel may hold fewer genes than
    asked for.

    Parameters
    ----------
    adata
        Annotated data with the result of :func:`ace.tl.explain`.
    groups
        Groups to draw, in this order; ``None`` draws all.
    n_genes
        Genes in a panel, at most.
    gene_symbols
        Column of ``adata.var`` with the names to write.
    key
        The ``key_added`` that the explanation was stored under.
    sharex
        Draw all panels on one scale. Off by default: scores of a well separated group may be many
        times those of another.
    ncols
        Panels in a row.
    show
        Show the figure; ``None`` does as ``scanpy.settings.autoshow`` says.
    save
        File to save to, the format told by its ending.
    ax
        Axes to draw in, as many as there are groups; without it a figure that grows with the
        number of groups.
    return_fig
        Return the figure and do not show it.

    Returns
    -------
    The figure with ``return_fig=True``; with ``show=False`` the axes, a list of them for several
    groups; else ``None``.

    Raises
    ------
    KeyError
        If there is no such explanation, group or column.
    ValueError
        If ``n_genes`` or ``ncols`` is not positive, or the number of ``ax`` not that of groups.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.explain(adata, groupby="louvain")
    >>> axes = ace.pl.panels(adata, groups=["0", "4"], n_genes=5, show=False)
    >>> [ax.get_title() for ax in axes]
    ['0', '4']
    """
    check_n_genes(n_genes)
    df = explain_df(adata, groups, key=key, gene_symbols=gene_symbols)
    names = list(df["group"].cat.categories)
    top = df[(df["rank"] <= n_genes) & (df["score"] != 0)]
    # Bars are as thick in a panel of three genes as in one of ten, but no panel has room that
    # none of them needs.
    n_rows = max(1, int(top.groupby("group", observed=False).size().max()))

    if ax is None:
        fig, axes = grid_of_axes(
            len(names), ncols=ncols, panel_size=(2.7, 0.19 * n_rows + 0.75), margin=(0.3, 0.7)
        )
    else:
        axes = given_axes(ax, len(names), what="one a group")
        fig = figure_of(axes[0])

    suffix = _reference_suffix(ExplanationKeys(key).read(adata).params["reference"])
    label = "gene" if gene_symbols is None else "symbol"
    for axis, name in zip(axes, names, strict=True):
        _draw(axis, top[top["group"] == name], label=label, n_rows=n_rows)
        axis.set_title(wrap(name + suffix, 26), fontsize="medium", parse_math=False)
    if sharex:
        limits = np.array([axis.get_xlim() for axis in axes])
        for axis in axes:
            axis.set_xlim(limits[:, 0].min(), limits[:, 1].max())

    if ax is None:
        handles = [
            Patch(color=_COLORS[sign], label=_LABELS[sign])
            for sign in (True, False)
            if (top["enriched"] == sign).any()
        ]
        fig.supxlabel("signed score", fontsize="medium")
        fig.legend(handles=handles, loc="outside upper left", ncols=2, frameon=False)
    else:
        for axis in axes:
            axis.set_xlabel("signed score")
            if axis.containers:
                axis.legend(loc="lower right", frameon=False, fontsize="small")
    return finish(
        fig, axes[0] if len(axes) == 1 else axes, show=show, save=save, return_fig=return_fig
    )


def _draw(ax: Axes, top: pd.DataFrame, *, label: str, n_rows: int) -> None:
    rows = np.arange(len(top))
    for sign in (True, False):
        chosen = (top["enriched"] == sign).to_numpy()
        if chosen.any():
            ax.barh(
                rows[chosen],
                top["score"][chosen],
                height=0.78,
                color=_COLORS[sign],
                label=_LABELS[sign],
            )
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_ylim(n_rows - 0.4, -0.6)
    ax.set_yticks(rows, labels=top[label], fontsize="small", parse_math=False)
    # A panel may fall off so fast that the colour of its last bars cannot be seen.
    for text, sign in zip(ax.get_yticklabels(), top["enriched"], strict=True):
        text.set_color(_COLORS[bool(sign)])
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize="small")
    ax.locator_params(axis="x", nbins=4)
    ax.spines[["left", "top", "right"]].set_visible(False)
    if top.empty:
        ax.text(0.5, 0.5, "no gene has a score", transform=ax.transAxes, ha="center", va="center")


def _reference_suffix(reference: str) -> str:
    """Say against what, unless it is the rest or the name of the pair says it already."""
    return "" if reference in {"rest", "each"} else f" vs {reference}"
