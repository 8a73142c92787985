"""Functions that all plots share: axes, figure size, output and names."""

from __future__ import annotations

import logging
import os
import re
import textwrap
from pathlib import Path
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

logger = logging.getLogger(__name__)

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
    name: str,
    show: bool | None,
    save: bool | str | PathLike[str] | None,
    return_fig: bool,
) -> Figure | T | None:
    """Save, show or return a plot as scanpy does; ``name`` is the name of the function."""
    path = _path(name, save)
    if path is not None:
        fig.savefig(path, bbox_inches="tight")
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


def _path(name: str, save: bool | str | PathLike[str] | None) -> Path | None:
    """Return the file to save a figure to, as scanpy names it unless ``save`` is a path.

    scanpy's function for this is private, and its ``save`` takes no path.
    """
    import scanpy as sc

    settings = sc.settings
    save = settings.autosave if save is None else save
    if save is False:
        return None
    if save is not True and not _is_ending(save):
        return Path(save)
    stem, ending = os.path.splitext(f"{name}{'' if save is True else save}")
    folder = Path(settings.figdir)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}{settings.plot_suffix}{ending or '.' + settings.file_format_figs}"
    logger.warning("saving figure to file %s", path)
    return path


def _is_ending(save: str | PathLike[str]) -> bool:
    """Whether it is the end of a name, as scanpy's functions take it: "_1.png" or ".png"."""
    return isinstance(save, str) and re.fullmatch(r"_[^/\\]*|\.\w+", save) is not None


def wrap(name: str, width: int) -> str:
    """Break a long group name into lines of at most ``width`` characters."""
    return textwrap.fill(name, width)
