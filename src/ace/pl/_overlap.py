from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ace._checks._arguments import whole
from ace._listed import listed
from ace.metrics import panel_membership
from ace.pl._colors import ENRICHED
from ace.pl._figure import figure_of, finish, fit_figure, wrap

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from os import PathLike

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ace._checks._panels import RankedPanels

# Inches; rows are higher where names take several lines.
_CELL, _LINE = 0.27, 0.16
_BARS = 1.3
_GAP = 0.08
_DARK, _LIGHT, _EMPTY = "0.25", "0.72", "0.88"


def overlap(
    panels: Mapping[Hashable, RankedPanels],
    *,
    group: Hashable | None = None,
    n_top: int = 18,
    highlight: Hashable | None = None,
    min_size: int = 1,
    show: bool | None = None,
    save: str | PathLike[str] | None = None,
    ax: Axes | None = None,
    return_fig: bool = False,
) -> Figure | Axes | None:
    """Draw which methods chose the same genes, as an UpSet plot (ACE, Figure 3D).

    A row a method, a column for each set of methods that has genes of its own: genes that the
    methods with a dot chose, and no others. The bar above tells how many, the largest first; each
    gene counts in one column only. The bars on the right tell how many genes of a panel some other
    method chose too (dark), and how many none did (light).

    Parameters
    ----------
    panels
        For each method, its panels: ``{group: genes, best first}``, a frame with a column for each
        group, or the names that :func:`ace.tl.explain` and scanpy store, such as
        ``adata.uns["ace"]["names"]``.
    group
        The group whose panels are compared; need not be named if there is one only.
    n_top
        Number of genes of a panel. Of a panel that has fewer, all.
    highlight
        A method whose dots, and genes that no other method chose, stand out.
    min_size
        Leave out columns of fewer genes. The bars on the right count all.
    show
        Show the figure; ``None`` does as ``scanpy.settings.autoshow`` says.
    save
        File to save to, the format told by its ending.
    ax
        Axes to draw the dots in; the bars stand above them and on their right.
    return_fig
        Return the figure and do not show it.

    Returns
    -------
    The figure with ``return_fig=True``; with ``show=False`` the axes of the dots, with those of
    the bars among its ``child_axes``; else ``None``.

    Raises
    ------
    ValueError
        If there is no such group or method, a panel names a gene twice, or nothing is left to
        draw.

    See Also
    --------
    ace.metrics.panel_membership : tells which genes these are.
    ace.metrics.panel_overlap : the overlap of every two methods as a number.

    References
    ----------
    Lex et al. (2014), *UpSet: Visualization of Intersecting Sets*; Lu et al. (2021), *ACE:
    Explaining cluster from an adversarial perspective*.

    Examples
    --------
    >>> import ace
    >>> import scanpy as sc
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.explain(adata, groupby="louvain")
    >>> sc.tl.rank_genes_groups(adata, groupby="louvain", method="t-test", use_raw=False)
    >>> panels = {key: adata.uns[key]["names"] for key in ("ace", "rank_genes_groups")}
    >>> ax = ace.pl.overlap(panels, group="4", highlight="ace", show=False)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['ace', 'rank_genes_groups']
    """
    whole(min_size, "min_size")
    chosen = panel_membership(panels, n_top, group=group)
    if highlight is not None and highlight not in chosen.columns:
        raise ValueError(
            f"highlight={highlight!r} is none of the methods {listed(chosen.columns)}."
        )
    sets = _sets(chosen, min_size)
    if sets.empty:
        raise ValueError(
            f"no set of methods has min_size={min_size} genes of its own; pass a smaller one."
        )

    names = [wrap(str(name), 30) for name in chosen.columns]
    own_figure = ax is None
    if ax is None:
        from matplotlib import pyplot as plt

        row = max(_CELL, *(_LINE * len(name.splitlines()) for name in names))
        size = (max(len(sets), 3) * _CELL, len(names) * row)
        ax = plt.figure(figsize=size).add_axes((0, 0, 1, 1))
    fig = figure_of(ax)
    extent = ax.get_window_extent()
    width, height = extent.width / fig.dpi, extent.height / fig.dpi

    of_highlight = chosen.columns == highlight
    _draw_dots(ax, sets.to_numpy(), of_highlight)
    ax.set_yticks(np.arange(len(names)), labels=names, fontsize="small", parse_math=False)

    above = ax.inset_axes((0, 1 + _GAP / height, 1, _BARS / height), label="sizes")
    alone = (sets.to_numpy() == of_highlight).all(axis=1) & of_highlight.any()
    _draw_sizes(above, np.asarray(sets.index), [ENRICHED if a else _DARK for a in alone])
    above.set_xlim(ax.get_xlim())
    right = ax.inset_axes((1 + _GAP / width, 0, _BARS / width, 1), label="shared")
    _draw_shared(right, chosen)
    right.set_ylim(ax.get_ylim())
    if own_figure:
        fit_figure(ax)
    return finish(fig, ax, show=show, save=save, return_fig=return_fig)


def _sets(chosen: pd.DataFrame, min_size: int) -> pd.DataFrame:
    """Sets of methods × methods, indexed by the number of genes, the largest first."""
    sizes = chosen.groupby(list(chosen.columns)).size() if len(chosen) else chosen.sum(axis=1)
    if sizes.empty:
        return chosen
    sets = sizes.index.to_frame(index=False).set_axis(chosen.columns, axis=1)
    sets.index = sizes.to_numpy()
    # Of sets of the same size those of more methods first, then in the order of the methods.
    order = sorted(
        range(len(sets)),
        key=lambda i: (-sets.index[i], -sets.iloc[i].sum(), (~sets.iloc[i]).tolist()),
    )
    sets = sets.iloc[order]
    return sets[sets.index >= min_size]


def _draw_dots(ax: Axes, sets: np.ndarray, of_highlight: np.ndarray) -> None:
    n_sets, n_methods = sets.shape
    ax.set_xlim(-0.5, n_sets - 0.5)
    ax.set_ylim(n_methods - 0.5, -0.5)
    for row in range(0, n_methods, 2):  # stripes lead the eye from the names to the bars
        ax.axhspan(row - 0.5, row + 0.5, color="0.965", linewidth=0, zorder=0)
    for column, members in enumerate(sets):
        (rows,) = np.nonzero(members)
        ax.vlines(column, rows.min(), rows.max(), color=_DARK, linewidth=1.6, zorder=1)
    for which, color in (
        (~sets, _EMPTY),
        (sets & ~of_highlight, _DARK),
        (sets & of_highlight, ENRICHED),
    ):
        x, y = np.nonzero(which)
        ax.scatter(x, y, s=42, color=color, linewidths=0, zorder=2)
    ax.set_xticks([])
    ax.tick_params(axis="y", length=0)
    ax.spines[:].set_visible(False)


def _draw_sizes(ax: Axes, sizes: np.ndarray, colors: list[str]) -> None:
    ax.bar(np.arange(len(sizes)), sizes, width=0.62, color=colors)
    for column, size in enumerate(sizes):
        ax.annotate(
            str(size),
            (column, size),
            xytext=(0, 1.5),
            textcoords="offset points",
            ha="center",
            fontsize="x-small",
        )
    ax.set_xticks([])
    ax.set_ylim(0, 1.1 * sizes.max())  # room for the number above the highest
    ax.set_ylabel("genes", fontsize="small")
    ax.locator_params(axis="y", integer=True, nbins=4)
    ax.tick_params(axis="y", labelsize="x-small", length=2)
    ax.spines[["top", "right", "bottom"]].set_visible(False)


def _draw_shared(ax: Axes, chosen: pd.DataFrame) -> None:
    """Genes of each method that another chose too, and that none did."""
    of_several = (chosen.sum(axis=1) > 1).to_numpy()
    shared = chosen[of_several].sum().to_numpy()
    total = chosen.sum().to_numpy()
    rows = np.arange(len(total))
    ax.barh(rows, shared, height=0.62, color=_DARK, label="by another method too")
    ax.barh(rows, total - shared, left=shared, height=0.62, color=_LIGHT, label="by no other")
    for row, (both, every) in enumerate(zip(shared, total, strict=True)):
        ax.annotate(
            f"{both}/{every}",
            (every, row),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize="x-small",
        )
    ax.set_xlim(0, max(total.max(), 1))
    ax.set_yticks([])
    ax.locator_params(axis="x", integer=True, nbins=3)
    ax.tick_params(axis="x", labelsize="x-small", length=2)
    ax.set_xlabel("genes", fontsize="small")
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        frameon=False,
        fontsize="x-small",
        title="chosen",
        title_fontsize="x-small",
        alignment="left",
        handlelength=1,
        borderpad=0,
        borderaxespad=0.4,
    )
