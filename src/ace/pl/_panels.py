from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ace._checks._arguments import whole
from ace._docs import doc_params
from ace._keys import DEFAULT_KEY, ExplanationKeys
from ace.get import explain_df
from ace.pl import _texts
from ace.pl._colors import DEPLETED, ENRICHED
from ace.pl._figure import figure_of, finish, given_axes, grid_of_axes, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    import pandas as pd
    from anndata import AnnData
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ace._ranking import Ranking

_LABELS = {True: "enriched in the data", False: "depleted in the data"}
_COLORS = {True: ENRICHED, False: DEPLETED}
_MIXED, _MIXED_LABEL = "±", "mixed: differs between groups"
_XLABEL = "signed score (direction by the method)"


@doc_params(
    adata=_texts.ADATA,
    groups=_texts.GROUPS,
    gene_symbols=_texts.GENE_SYMBOLS,
    key=_texts.KEY,
    output=_texts.output(f"Axes to draw in, one per group. {_texts.GROWING} groups."),
    returned=_texts.returned("the axes (a list for several groups)"),
)
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
    save: bool | str | PathLike[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw the top genes of each group as signed bars.

    One panel per group; the gene with the largest absolute score is at the top. Bars of positive
    scores point to the right, bars of negative scores to the left: the direction according to the
    method. The colour is the direction in the data: whether the gene is enriched or depleted in
    the group compared with its reference. The colours are distinguishable with colour vision
    deficiency. The two directions differ for some genes, above all for mixed ones, which are
    clearly higher than in some groups of the reference and clearly lower than in others; these are
    marked by "±" (see :func:`ace.get.explain_df`). Genes that are not ranked (score NaN or 0)
    are not drawn, so a group may have fewer than ``n_genes`` genes. If the quality of the panels
    is stored, the title states the size of the panel and its AUROC on held-out cells, and a dashed
    line separates the genes of the panel from the others.

    Parameters
    ----------
    {adata}
    {groups}
    n_genes
        Maximum number of genes per panel.
    {gene_symbols}
    {key}
    sharex
        Use the same scale in all panels. Scores of different groups may differ by orders of
        magnitude.
    ncols
        Number of panels per row.
    {output}

    Returns
    -------
    {returned}

    Raises
    ------
    KeyError
        If the explanation, a group or the column of gene names does not exist.
    ValueError
        If ``n_genes`` or ``ncols`` is not positive, or the number of axes differs from the number
        of groups.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.explain(adata, groupby="louvain")
    >>> axes = ace.pl.panels(adata, groups=["0", "4"], n_genes=5, show=False)
    >>> [ax.get_title().splitlines()[0] for ax in axes]
    ['0', '4']
    """
    whole(n_genes, "n_genes")
    df = explain_df(adata, groups, key=key, gene_symbols=gene_symbols)
    names = list(df["group"].cat.categories)
    top = df[(df["rank"] <= n_genes) & (df["score"].abs() > 0)]
    top = top.assign(mixed=top["mixed"].fillna(False).astype(bool))
    # All panels have the same number of rows, so that bars have the same height.
    n_rows = max(1, int(top.groupby("group", observed=False).size().max()))

    if ax is None:
        fig, axes = grid_of_axes(
            len(names), ncols=ncols, panel_size=(2.7, 0.19 * n_rows + 0.75), margin=(0.3, 0.7)
        )
    else:
        axes = given_axes(ax, len(names), what="one per group")
        fig = figure_of(axes[0])

    stored = ExplanationKeys(key).read(adata)
    suffix = _reference_suffix(stored.params["reference"])
    label = "gene" if gene_symbols is None else "symbol"
    for axis, name in zip(axes, names, strict=True):
        _draw(axis, top[top["group"] == name], label=label, n_rows=n_rows)
        title = wrap(name + suffix, 26) + _certificate(stored, name)
        axis.set_title(title, fontsize="medium", parse_math=False)
    if sharex:
        limits = np.array([axis.get_xlim() for axis in axes])
        for axis in axes:
            axis.set_xlim(limits[:, 0].min(), limits[:, 1].max())

    if ax is None:
        fig.supxlabel(_XLABEL, fontsize="medium")
        width = min(ncols, len(axes), 3)
        fig.legend(handles=_handles(top), loc="outside upper left", ncols=width, frameon=False)
    else:
        for axis, name in zip(axes, names, strict=True):
            axis.set_xlabel(_XLABEL)
            handles = _handles(top[top["group"] == name])
            if handles:
                axis.legend(handles=handles, loc="best", frameon=False, fontsize="x-small")
    return finish(
        fig,
        axes[0] if len(axes) == 1 else axes,
        name="panels",
        show=show,
        save=save,
        return_fig=return_fig,
    )


def _draw(ax: Axes, top: pd.DataFrame, *, label: str, n_rows: int) -> None:
    rows = np.arange(len(top))
    n_in_panel = int(top["in_panel"].fillna(False).sum())
    if 0 < n_in_panel < len(top):
        ax.axhline(n_in_panel - 0.5, color="0.6", linewidth=0.8, linestyle="--", zorder=0)
    for sign in (True, False):
        chosen = (top["enriched"] == sign).to_numpy()
        if chosen.any():
            ax.barh(rows[chosen], top["score"][chosen], height=0.78, color=_COLORS[sign])
    ax.set_axisbelow(True)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_ylim(n_rows - 0.4, -0.6)
    names = [
        f"{name} {_MIXED}" if mixed else name
        for name, mixed in zip(top[label], top["mixed"], strict=True)
    ]
    ax.set_yticks(rows, labels=names, fontsize="small", parse_math=False)
    # Scores may decrease so fast that the colour of the last bars is not visible.
    for text, sign in zip(ax.get_yticklabels(), top["enriched"], strict=True):
        text.set_color(_COLORS[bool(sign)])
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize="small")
    ax.locator_params(axis="x", nbins=4)
    ax.spines[["left", "top", "right"]].set_visible(False)
    if top.empty:
        ax.text(0.5, 0.5, "no gene has a score", transform=ax.transAxes, ha="center", va="center")


def _handles(top: pd.DataFrame) -> list[Artist]:
    """Entries of the legend for the genes that are drawn."""
    handles: list[Artist] = [
        Patch(color=_COLORS[sign], label=_LABELS[sign])
        for sign in (True, False)
        if (top["enriched"] == sign).any()
    ]
    if top["mixed"].any():
        handles.append(
            Line2D(
                [], [], marker=f"${_MIXED}$", color="black", linestyle="none", label=_MIXED_LABEL
            )
        )
    return handles


def _certificate(stored: Ranking, group: str) -> str:
    """Line of the title on the quality of the panel, if it is known."""
    size = stored.panel_size(group)
    if stored.quality is None or np.isnan(size):
        return ""
    if size == 0:
        return "\nno panel is better than chance"
    rows = stored.quality[(stored.quality["group"] == group)].set_index("n_genes")
    auroc = rows.loc[int(size), "auroc"]
    return f"\n{int(size)} gene{'s' * (size > 1)}: AUROC {auroc:.3f}"


def _reference_suffix(reference: str) -> str:
    """Name the reference, unless it is the rest or part of the group's name."""
    return "" if reference in {"rest", "each"} else f" vs {reference}"
