from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ace._docs import doc_params
from ace._keys import DEFAULT_PANEL_KEY
from ace.get import panel_df
from ace.pl import _texts
from ace.pl._figure import figure_of, finish, fit_figure, wrap

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Sizes in inches: a cell of the matrix, the smallest matrix, and the colour bar.
_CELL, _SMALLEST = 0.36, 1.2
_BAR, _GAP = (0.1, 1.0), 0.2
# Percentages below this one are not written.
_WRITTEN = 0.005
# Largest number of groups for which percentages are written.
_MOST_WRITTEN = 30
# Maximum number of characters per line of a name.
_WRAP = 32


@doc_params(
    output=_texts.output(
        f"Axes to draw in; the colour bar is drawn beside them. {_texts.GROWING} groups."
    ),
    returned=_texts.returned(),
)
def panel_confusion(
    adata: AnnData,
    *,
    key: str = DEFAULT_PANEL_KEY,
    show: bool | None = None,
    save: bool | str | PathLike[str] | None = None,
    ax: Axes | None = None,
    return_fig: bool = False,
) -> Figure | Axes | None:
    """Draw which groups a panel for all groups confuses with each other.

    Rows are the groups, with their number of cells, and columns the groups that their cells are
    assigned to by the genes of the panel. Colours and numbers are percentages of the row.
    Assignments are cross-fitted: genes are selected, and the classifier is fitted, on other cells.

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
    >>> ace.pl.panel_confusion(adata, show=False).get_ylabel()
    'bulk_labels'
    """
    df = panel_df(adata, "confusion", key=key)
    params = adata.uns[key]["params"]
    cells = df.pivot_table("n_cells", "group", "predicted", "sum", fill_value=0, observed=False)
    share = cells.div(cells.sum(axis=1), axis=0).to_numpy()
    own_figure = ax is None
    if ax is None:
        from matplotlib import pyplot as plt

        side = max(len(cells) * _CELL, _SMALLEST)
        ax = plt.figure(figsize=(side, side)).add_axes((0, 0, 1, 1))
    fig = figure_of(ax)
    image = ax.imshow(100 * share, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    if len(cells) <= _MOST_WRITTEN:
        _write(ax, share)
    _name(ax, cells, params["groupby"])
    ax.set_title(f"{params['n_genes']} genes", fontsize="medium")

    extent = ax.get_window_extent()
    width, height = extent.width / fig.dpi, extent.height / fig.dpi
    bar_height = min(_BAR[1] / height, 1)
    bar = ax.inset_axes(
        (1 + _GAP / width, 1 - bar_height, _BAR[0] / width, bar_height), label="colorbar"
    )
    fig.colorbar(image, cax=bar)
    bar.set_ylabel("% of the row", fontsize="small")
    bar.tick_params(labelsize="small", length=2)
    bar.spines[:].set_visible(False)
    if own_figure:
        fit_figure(ax)
    return finish(fig, ax, name="panel_confusion", show=show, save=save, return_fig=return_fig)


def _write(ax: Axes, share: np.ndarray) -> None:
    """Write the percentages into the cells."""
    for row, column in zip(*np.nonzero(share >= _WRITTEN), strict=True):
        ax.annotate(
            f"{100 * share[row, column]:.0f}",
            (column, row),
            ha="center",
            va="center",
            fontsize=7,
            color="white" if share[row, column] > 0.6 else "black",
        )


def _name(ax: Axes, cells: pd.DataFrame, groupby: str) -> None:
    """Label the rows with the groups and their sizes, the columns with the groups."""
    names = [wrap(str(name), _WRAP) for name in cells.index]
    sizes = cells.sum(axis=1)
    rows = [f"{name} ({n})" for name, n in zip(names, sizes, strict=True)]
    at = np.arange(len(names))
    ax.set_yticks(at, labels=rows, fontsize="small", parse_math=False)
    ax.set_xticks(at, labels=names, fontsize="small", rotation=90, parse_math=False)
    ax.tick_params(length=0)
    ax.set_ylabel(groupby, parse_math=False)
    ax.set_xlabel("assigned to")
    ax.spines[:].set_color("0.6")
