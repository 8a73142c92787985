"""What every plot shares: where it is drawn, what becomes of it, and how names are written."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, TypeVar

from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ace._checks._arguments import whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    import numpy as np
    from matplotlib.figure import Figure

T = TypeVar("T")

#: Inches around what :func:`fit_figure` makes room for.
MARGIN = 0.08


def grid_of_axes(
    n: int, *, ncols: int, panel_size: tuple[float, float], margin: tuple[float, float] = (0, 0)
) -> tuple[Figure, list[Axes]]:
    """Make a figure that grows with its number of panels, so that 30 are as readable as 2.

    Parameters
    ----------
    n
        Number of panels.
    ncols
        Panels in a row, at most.
    panel_size
        Width and height of a panel in inches.
    margin
        Width and height in inches of what stands outside the panels.
    """
    from matplotlib import pyplot as plt

    whole(ncols, "ncols")
    ncols = min(n, ncols)
    nrows = -(-n // ncols)
    size = (ncols * panel_size[0] + margin[0], nrows * panel_size[1] + margin[1])
    fig = plt.figure(figsize=size, layout=ConstrainedLayoutEngine(h_pad=0.07, w_pad=0.05))
    grid = fig.add_gridspec(nrows, ncols)
    return fig, [fig.add_subplot(grid[i // ncols, i % ncols]) for i in range(n)]


def given_axes(ax: Axes | Sequence[Axes], n: int, *, what: str) -> list[Axes]:
    """Check that as many axes were given as there are panels to draw.

    Raises
    ------
    ValueError
        If there are fewer or more.
    """
    axes = [ax] if isinstance(ax, Axes) else list(ax)
    if len(axes) != n:
        raise ValueError(
            f"{n} panels ({what}) need as many axes, but ax holds {len(axes)}; pass a list of "
            f"{n}, for example list(plt.subplots(1, {n})[1].flat), or leave ax out."
        )
    return axes


def figure_of(ax: Axes) -> Figure:
    """Give the whole figure, also of axes in a subfigure."""
    fig = ax.get_figure(root=True)
    assert fig is not None  # only axes that were removed have none
    return fig


def fit_figure(ax: Axes) -> None:
    """Enlarge the figure to hold the names and insets around the axes, whatever their length.

    Constrained layout would shrink the matrix instead, and its cells with it.
    """
    fig = figure_of(ax)
    width, height = fig.get_size_inches()
    box = ax.get_tightbbox()
    assert box is not None  # nothing here is invisible
    x0, y0, x1, y1 = box.transformed(fig.dpi_scale_trans.inverted()).extents
    total = (x1 - x0 + 2 * MARGIN, y1 - y0 + 2 * MARGIN)
    fig.set_size_inches(total)
    ax.set_position(
        (
            (MARGIN - x0) / total[0],
            (MARGIN - y0) / total[1],
            width / total[0],
            height / total[1],
        )
    )


def draw_strip(ax: Axes, codes: np.ndarray, colors: list[str]) -> None:
    """Fill axes with the colours of groups, a matrix of their codes."""
    ax.imshow(
        codes,
        cmap=ListedColormap(colors),
        vmin=-0.5,
        vmax=len(colors) - 0.5,
        aspect="auto",
        interpolation="none",
    )
    ax.set_axis_off()


def finish(
    fig: Figure,
    axes: T,
    *,
    show: bool | None,
    save: str | PathLike[str] | None,
    return_fig: bool,
) -> Figure | T | None:
    """Save, show or hand back a finished plot as scanpy's plots do.

    scanpy's own machinery for this is private, and its ``save`` deprecated: it writes to a folder
    and under a name that the caller did not choose.
    """
    if save is not None:
        fig.savefig(save, bbox_inches="tight")
    if return_fig:
        return fig
    if show is None:
        import scanpy as sc

        show = sc.settings.autoshow
    if not show:
        return axes
    from matplotlib import pyplot as plt

    plt.show()
    return None


def wrap(name: str, width: int) -> str:
    """Break a long group name into lines of at most ``width`` characters."""
    return textwrap.fill(name, width)


def check_n_genes(n_genes: int) -> None:
    """Raise if fewer than one gene would be drawn.

    Raises
    ------
    ValueError
        If ``n_genes`` is not positive.
    """
    whole(n_genes, "n_genes")
