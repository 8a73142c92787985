"""Functions that all plots share: axes, figure size, output and names."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, TypeVar

from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ace._checks._arguments import whole
from ace._checks._figures import one_per_panel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    import numpy as np
    from matplotlib.figure import Figure

T = TypeVar("T")

#: Margin of :func:`fit_figure`, in inches.
MARGIN = 0.08


def grid_of_axes(
    n: int, *, ncols: int, panel_size: tuple[float, float], margin: tuple[float, float] = (0, 0)
) -> tuple[Figure, list[Axes]]:
    """Create a figure whose size depends on the number of panels.

    Parameters
    ----------
    n
        Number of panels.
    ncols
        Maximum number of panels per row.
    panel_size
        Width and height of a panel in inches.
    margin
        Width and height in inches to add for names and legends outside the panels.
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
    """Return the axes as a list; raise a ``ValueError`` unless there is one per panel."""
    axes = [ax] if isinstance(ax, Axes) else list(ax)
    one_per_panel(axes, n, what)
    return axes


def figure_of(ax: Axes) -> Figure:
    """Return the top-level figure, also for axes in a subfigure."""
    fig = ax.get_figure(root=True)
    assert fig is not None  # only removed axes have none
    return fig


def fit_figure(ax: Axes) -> None:
    """Enlarge the figure to fit the names and insets around the axes.

    Constrained layout would shrink the axes instead.
    """
    fig = figure_of(ax)
    width, height = fig.get_size_inches()
    box = ax.get_tightbbox()
    assert box is not None  # only invisible axes have none
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
    """Draw a matrix of group codes in the colours of the groups."""
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
    """Save, show or return a plot as scanpy does.

    scanpy's function for this is private, and its ``save`` (deprecated) takes no path.
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
