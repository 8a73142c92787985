from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.patches import Rectangle

from ace._checks._arguments import whole
from ace._docs import doc_params
from ace._keys import DEFAULT_KEY, ExplanationKeys
from ace.get import explain_df
from ace.pl import _texts
from ace.pl._colors import group_colors
from ace.pl._dendrogram import draw_dendrogram, group_linkage
from ace.pl._figure import draw_strip, figure_of, finish, fit_figure, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

# Sizes in inches, from which the size of the figure follows.
_CELL = (0.27, 0.16)
_STRIP = 0.09
_GAP = 0.04
_TREE = 0.5
_BAR = (1.5, 0.1)
# Maximum number of characters per line of a group's name.
_WRAP = 32


@doc_params(
    adata=_texts.ADATA,
    groups=_texts.GROUPS,
    gene_symbols=_texts.GENE_SYMBOLS,
    key=_texts.KEY,
    output=_texts.output(
        "Axes to draw in; the colours of the groups, the dendrogram and the colour bar are drawn "
        f"around them. {_texts.GROWING} groups and genes."
    ),
    returned=_texts.returned("the axes of the heatmap, with the others among its ``child_axes``"),
)
def heatmap(
    adata: AnnData,
    *,
    groups: str | Sequence[str] | None = None,
    n_genes: int = 5,
    gene_symbols: str | None = None,
    key: str = DEFAULT_KEY,
    scale: bool = True,
    dendrogram: bool = False,
    cmap: str = "RdBu_r",
    show: bool | None = None,
    save: bool | str | PathLike[str] | None = None,
    ax: Axes | None = None,
    return_fig: bool = False,
) -> Figure | Axes | None:
    """Draw the signed scores of the top genes of each group as a heatmap of genes × groups.

    Colours show the direction according to the method, which may differ from that in the data
    (the column ``enriched`` of :func:`ace.get.explain_df`).

    The rows are the ``n_genes`` top genes of each group, one block per group, as in scanpy's
    plots; a gene that is in two blocks is drawn twice. Each block is outlined in the column of its
    own group and labelled with the group's colour (scanpy's if stored). Genes that are not ranked
    are left out of the block of that group. Missing scores, of genes that
    :func:`scanpy.tl.filter_rank_genes_groups` removed, are grey.

    Parameters
    ----------
    {adata}
    {groups}
    n_genes
        Maximum number of top genes per group.
    {gene_symbols}
    {key}
    scale
        Divide the scores of each group by their largest absolute value, because scores are
        comparable within a group but not always between groups.
    dendrogram
        Reorder the groups by hierarchical clustering (average linkage on 1 - Pearson correlation
        of the signed scores over all genes), and draw the dendrogram.
    cmap
        Diverging colour map, centred at 0.
    {output}

    Returns
    -------
    {returned}

    Raises
    ------
    KeyError
        If the explanation, a group or the column of gene names does not exist.
    ValueError
        If ``n_genes`` is not positive, or ``dendrogram=True`` with fewer than two groups.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.explain(adata, groupby="louvain")
    >>> ax = ace.pl.heatmap(adata, groups=["0", "4"], n_genes=2, show=False)
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['0', '4']
    """
    whole(n_genes, "n_genes")
    df = explain_df(adata, groups, key=key, gene_symbols=gene_symbols)
    names = list(df["group"].cat.categories)
    every = _scores(adata, df, names, key=key)
    if scale:
        largest = every.abs().max()
        # Scores of a group that are all 0 stay 0.
        every = every / largest.where(largest > 0, 1)

    tree = None
    if dendrogram:
        tree, order = group_linkage(every)
        names = [names[i] for i in order]
    rows = _rows(df, names, n_genes)
    scores = every.loc[rows["gene"], names].to_numpy()

    own_figure = ax is None
    if ax is None:
        ax = _new_axes(scores.shape)
    image = _draw_matrix(ax, scores, cmap=cmap)
    labels = rows["gene" if gene_symbols is None else "symbol"]
    ax.set_yticks(np.arange(len(rows)), labels=labels, fontsize="small", parse_math=False)
    wrapped = [wrap(name, _WRAP) for name in names]
    ax.set_xticks(
        np.arange(len(names)), labels=wrapped, fontsize="small", rotation=90, parse_math=False
    )

    # Strip, dendrogram and colour bar have a fixed size in inches; place them outwards.
    fig = figure_of(ax)
    extent = ax.get_window_extent()
    width, height = extent.width / fig.dpi, extent.height / fig.dpi
    colors = group_colors(adata, key=key)
    _draw_blocks(ax, rows, names, colors, width=width)
    above = _GAP
    strip = ax.inset_axes((0, 1 + above / height, 1, _STRIP / height), sharex=ax, label="groups")
    draw_strip(strip, np.arange(len(names))[None, :], [colors[name] for name in names])
    above += _STRIP + _GAP
    if tree is not None:
        tree_ax = ax.inset_axes((0, 1 + above / height, 1, _TREE / height), label="dendrogram")
        draw_dendrogram(tree_ax, tree)
        above += _TREE + _GAP
    above += _GAP
    bar = ax.inset_axes(
        (0, 1 + above / height, _BAR[0] / width, _BAR[1] / height), label="colorbar"
    )
    _draw_colorbar(bar, image, scaled=scale)
    if own_figure:
        fit_figure(ax)
    return finish(fig, ax, name="heatmap", show=show, save=save, return_fig=return_fig)


def _scores(adata: AnnData, df: pd.DataFrame, names: list[str], *, key: str) -> pd.DataFrame:
    """Signed scores, genes × groups; NaN if they are not known."""
    scores = df.pivot(index="gene", columns="group", values="score")[names]
    every = ExplanationKeys(key).read_scores(adata, names)
    if not scores.isna().any(axis=None) or every is None:
        return scores
    # uns has the top genes of each group only; varm has the scores of all genes.
    known = pd.DataFrame(every, index=adata.var_names, columns=names)
    return scores.fillna(known.reindex(scores.index))


def _rows(df: pd.DataFrame, names: list[str], n_genes: int) -> pd.DataFrame:
    """Top genes of each group, in the order of the groups."""
    top = df[(df["rank"] <= n_genes) & (df["score"].abs() > 0)].copy()
    top["group"] = top["group"].cat.reorder_categories(names)
    return top.sort_values(["group", "rank"]).reset_index(drop=True)


def _new_axes(shape: tuple[int, ...]) -> Axes:
    """Create axes that fill a figure, with cells of a fixed size."""
    from matplotlib import pyplot as plt

    size = (max(shape[1] * _CELL[0], 1.2), max(shape[0], 4) * _CELL[1])
    return plt.figure(figsize=size).add_axes((0, 0, 1, 1))


def _draw_matrix(ax: Axes, scores: np.ndarray, *, cmap: str) -> AxesImage:
    largest = float(np.nanmax(np.abs(scores))) if np.isfinite(scores).any() else 0.0
    largest = largest or 1.0
    colors = colormaps[cmap].with_extremes(bad="lightgrey")
    image = ax.imshow(
        scores, cmap=colors, vmin=-largest, vmax=largest, aspect="auto", interpolation="none"
    )
    ax.grid(visible=False)  # sc.settings.set_figure_params draws one
    ax.tick_params(length=0)
    return image


def _draw_blocks(
    ax: Axes, rows: pd.DataFrame, names: list[str], colors: dict[str, str], *, width: float
) -> None:
    """Mark the block of each group: colour and name on the right, an outline in its column."""
    strip = ax.inset_axes((1 + _GAP / width, 0, _STRIP / width, 1), sharey=ax, label="blocks")
    draw_strip(strip, rows["group"].cat.codes.to_numpy()[:, None], [colors[n] for n in names])
    sizes = rows.groupby("group", observed=False).size()
    start = 0
    for column, name in enumerate(names):
        size = int(sizes[name])
        if size == 0:
            continue
        if start > 0:
            ax.axhline(start - 0.5, color="white", linewidth=1)
            strip.axhline(start - 0.5, color="white", linewidth=1)
        ax.add_patch(
            Rectangle((column - 0.5, start - 0.5), 1, size, fill=False, linewidth=0.9, zorder=3)
        )
        strip.annotate(
            wrap(name, _WRAP),
            (1, start + (size - 1) / 2),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
            parse_math=False,
        )
        start += size


def _draw_colorbar(ax: Axes, image: AxesImage, *, scaled: bool) -> None:
    bar = figure_of(ax).colorbar(image, cax=ax, orientation="horizontal", ticklocation="top")
    bar.ax.tick_params(labelsize="small", length=2)
    bar.ax.locator_params(axis="x", nbins=3)
    label = "signed score / largest of the group" if scaled else "signed score"
    bar.set_label(label, fontsize="small", loc="left")
    bar.outline.set_visible(False)
