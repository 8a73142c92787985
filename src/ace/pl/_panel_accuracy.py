from __future__ import annotations

from typing import TYPE_CHECKING

from ace._docs import doc_params
from ace._keys import DEFAULT_PANEL_KEY
from ace.get import panel_df
from ace.pl import _texts
from ace.pl._colors import DEPLETED, ENRICHED
from ace.pl._figure import figure_of, finish, grid_of_axes

if TYPE_CHECKING:
    from os import PathLike

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@doc_params(output=_texts.output(), returned=_texts.returned())
def panel_accuracy(
    adata: AnnData,
    *,
    key: str = DEFAULT_PANEL_KEY,
    show: bool | None = None,
    save: bool | str | PathLike[str] | None = None,
    ax: Axes | None = None,
    return_fig: bool = False,
) -> Figure | Axes | None:
    """Draw the accuracy of a panel for all groups against its number of genes.

    The cross-fitted balanced accuracy, with a band of one standard error, and the recall of the
    worst group.

    Parameters
    ----------
    adata
        Annotated data with the result of :func:`ace.tl.select_panel`.
    key
        The ``key_added`` of the panel.
    {output}

    Returns
    -------
    {returned}

    Raises
    ------
    KeyError
        If the panel does not exist.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.select_panel(adata, "bulk_labels", n_genes=20)
    >>> ace.pl.panel_accuracy(adata, show=False).get_xlabel()
    'genes'
    """
    df = panel_df(adata, "quality", key=key)
    if ax is None:
        fig, (ax,) = grid_of_axes(1, ncols=1, panel_size=(4.2, 3.2))
    else:
        fig = figure_of(ax)
    size, mean, error = df["n_genes"], df["balanced_accuracy"], df["balanced_accuracy_se"]
    ax.plot(size, mean, color=DEPLETED, marker="o", markersize=4, label="mean of the groups")
    ax.fill_between(size, mean - error, mean + error, color=DEPLETED, alpha=0.15, linewidth=0)
    ax.plot(
        size, df["worst_recall"], color=ENRICHED, marker="o", markersize=4, label="worst group"
    )
    ax.set_xlabel("genes")
    ax.set_ylabel("cross-fitted recall")
    ax.set_ylim(-0.02, 1.02)
    ax.locator_params(axis="x", integer=True)
    ax.grid(axis="y", color="0.92", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return finish(fig, ax, name="panel_accuracy", show=show, save=save, return_fig=return_fig)
