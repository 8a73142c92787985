from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.patches import Rectangle

from ace._keys import DEFAULT_KEY
from ace.get import explain_df
from ace.pl._colors import group_colors
from ace.pl._dendrogram import draw_dendrogram, group_linkage
from ace.pl._figure import check_n_genes, draw_strip, figure_of, finish, fit_figure, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

# Inches. The figure is made of them, so that names stay as large for 30 groups as for 2.
_CELL = (0.27, 0.16)
_STRIP = 0.09
_GAP = 0.04
_TREE = 0.5
_BAR = (1.5, 0.1)
# Characters in a line of a group's name.
_WRAP = 32


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
    save: str | PathLike[str] | None = None,
    ax: Axes | None = None,
    return_fig: bool = False,
) -> Figure | Axes | None:
    """Draw the signed scores of the top genes of each group in all groups.

    Rows are the ``n_genes`` genes with the largest absolute scores of the first group, then those
    of the second, and so on; a gene that is among the top ones of two groups has a row in both
    blocks, as in scanpy's plots. Columns are the groups. A block is outlined where it meets its
    own group, and carries the group's colour: scanpy's, where it has stored one. Genes of score 0
    are not drawn in the block of their group. Cells without a score (of genes that
    :func:`scanpy.tl.filter_rank_genes_groups` removed) are grey.

    Parameters
    ----------
    adata
        Annotated data with the result of :func:`ace.tl.explain`.
    groups
        Groups to draw, in this order; ``None`` draws all.
    n_genes
        Top genes of each group, at most.
    gene_symbols
        Column of ``adata.var`` with the names to write.
    key
        The ``key_added`` that the explanation was stored under.
    scale
        Divide the scores of each group by its largest absolute score. Scores are comparable
        within a group but not always between groups; scaled, none is beyond -1 or 1, and zero
        stays zero. ``False`` draws the scores as they are.
    dendrogram
        Reorder the groups by average linkage on 1 - the correlation of their signed scores over
        all genes, so that groups with a similar explanation are neighbours, and draw the tree.
    cmap
        Diverging colour map; its middle is score 0.
    show
        Show the figure; ``None`` does as ``scanpy.settings.autoshow`` says.
    save
        File to save to, the format told by its ending.
    ax
        Axes to draw in; strips, tree and colour bar are put around them. Without it a figure that
        grows with the number of groups and genes.
    return_fig
        Return the figure and do not show it.

    Returns
    -------
    The figure with ``return_fig=True``; with ``show=False`` the axes of the matrix, with strips,
    tree and colour bar among its ``child_axes``; else ``None``.

    Raises
    ------
    KeyError
        If there is no such explanation, group or column.
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
    check_n_genes(n_genes)
    df = explain_df(adata, groups, key=key, gene_symbols=gene_symbols)
    if scale:
        largest = df["score"].abs().groupby(df["group"], observed=False).transform("max")
        # A group without any score keeps its zeros.
        df["score"] = df["score"] / largest.where(largest > 0, 1)
    names = list(df["group"].cat.categories)

    tree = None
    if dendrogram:
        tree, order = group_linkage(df.pivot(index="gene", columns="group", values="score")[names])
        names = [names[i] for i in order]
    rows = _rows(df, names, n_genes)
    scores = (
        df[df["gene"].isin(rows["gene"])]
        .pivot(index="gene", columns="group", values="score")
        .reindex(index=rows["gene"], columns=names)
        .to_numpy()
    )

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

    # Around the matrix, from its edges outwards, as wide in inches whatever its size.
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
    return finish(fig, ax, show=show, save=save, return_fig=return_fig)


def _rows(df: pd.DataFrame, names: list[str], n_genes: int) -> pd.DataFrame:
    """Top genes, block after block in the order of the groups."""
    top = df[(df["rank"] <= n_genes) & (df["score"] != 0)].copy()
    top["group"] = top["group"].cat.reorder_categories(names)
    return top.sort_values(["group", "rank"]).reset_index(drop=True)


def _new_axes(shape: tuple[int, ...]) -> Axes:
    """Axes of cells of a fixed size that fill their figure, which :func:`fit_figure` enlarges."""
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
    ax.tick_params(length=0)
    return image


def _draw_blocks(
    ax: Axes, rows: pd.DataFrame, names: list[str], colors: dict[str, str], *, width: float
) -> None:
    """Mark the blocks: colour and name right of the matrix, an outline in their own column."""
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
