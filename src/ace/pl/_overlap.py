from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ace._checks._arguments import one_of, whole
from ace._checks._figures import something
from ace._docs import doc_params
from ace.metrics import panel_membership
from ace.pl import _texts
from ace.pl._colors import ENRICHED
from ace.pl._figure import figure_of, finish, fit_figure, wrap

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from os import PathLike

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ace._checks._panels import RankedPanels

# Sizes in inches; rows with names of several lines are higher.
_CELL, _LINE = 0.27, 0.16
_BARS = 1.3
_GAP = 0.08
_DARK, _LIGHT, _EMPTY = "0.25", "0.72", "0.88"


@doc_params(
    output=_texts.output("Axes for the dots; the bars are drawn above and to the right."),
    returned=_texts.returned("the axes of the dots, with the bars among its ``child_axes``"),
)
def overlap(
    panels: Mapping[Hashable, RankedPanels],
    *,
    group: Hashable | None = None,
    n_top: int = 18,
    highlight: Hashable | None = None,
    min_size: int = 1,
    show: bool | None = None,
    save: bool | str | PathLike[str] | None = None,
    ax: Axes | None = None,
    return_fig: bool = False,
) -> Figure | Axes | None:
    """Draw the overlap of the panels of several methods, as an UpSet plot (ACE, Figure 3D).

    Rows are methods; columns are the genes that exactly the methods with a dot selected, and the
    bars above them the numbers of these genes. The bars on the right show how many genes of each
    panel were also selected by another method (dark), and how many were not (light).

    Parameters
    ----------
    panels
        Panels of each method: ``{group: genes, best first}``, a frame with one column per group,
        or the names stored by :func:`ace.tl.explain` and scanpy, such as
        ``adata.uns["ace"]["names"]``.
    group
        Group whose panels are compared. It can be omitted if there is only one.
    n_top
        Maximum number of genes per panel.
    highlight
        Method to highlight, with the genes that only it selected.
    min_size
        Minimum number of genes per column. The bars on the right include all genes.
    {output}

    Returns
    -------
    {returned}

    Raises
    ------
    ValueError
        If the group or method does not exist, a panel contains a gene twice, or there is nothing
        to draw.

    See Also
    --------
    ace.metrics.panel_membership : Lists the genes and the methods that selected them.
    ace.metrics.panel_overlap : Computes the overlap of each two methods.

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
    if highlight is not None:
        one_of(highlight, "highlight", list(chosen.columns))
    sets = _sets(chosen, min_size)
    something(sets, f"no set of methods selected at least min_size={min_size} genes")

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
    return finish(fig, ax, name="overlap", show=show, save=save, return_fig=return_fig)


def _sets(chosen: pd.DataFrame, min_size: int) -> pd.DataFrame:
    """Sets of methods as rows of a Boolean frame, indexed by the number of genes, decreasing."""
    sizes = chosen.groupby(list(chosen.columns)).size() if len(chosen) else chosen.sum(axis=1)
    if sizes.empty:
        return chosen
    sets = sizes.index.to_frame(index=False).set_axis(chosen.columns, axis=1)
    sets.index = sizes.to_numpy()
    # Ties: sets of more methods first, then in the order of the methods.
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
    for row in range(0, n_methods, 2):  # stripes connect names and bars
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
    ax.set_ylim(0, 1.1 * sizes.max())  # room for the number above the largest bar
    ax.set_ylabel("genes", fontsize="small")
    ax.locator_params(axis="y", integer=True, nbins=4)
    ax.tick_params(axis="y", labelsize="x-small", length=2)
    ax.spines[["top", "right", "bottom"]].set_visible(False)


def _draw_shared(ax: Axes, chosen: pd.DataFrame) -> None:
    """Draw the number of genes of each method that others selected too, and that none did."""
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
