from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from ace._checks._arguments import whole
from ace.pl._colors import DEPLETED, ENRICHED
from ace.pl._figure import figure_of, finish, given_axes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from ace.explain import Transitions

_CHANGE = LinearSegmentedColormap.from_list("removed_added", [DEPLETED, "white", ENRICHED])
_COLUMNS = ("original", "change", "result")
# Inches: the side of an image, between the images of a transition, between transitions.
_SIDE, _NEAR, _FAR = 0.78, 0.05, 0.3
# Above each row of transitions: their titles; above all: the names of the columns, the colorbar.
_TITLE, _HEADER, _BAR = 0.27, 0.2, 0.08


def transitions(
    result: Transitions,
    *,
    index: Sequence[int] | None = None,
    titles: Sequence[str] | None = None,
    ncols: int = 4,
    cmap: str = "gray_r",
    show: bool | None = None,
    save: str | PathLike[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw what makes another of each image: the original, what changes, and the result.

    Three images a transition, as in Figure 4 of the ACE paper. In the middle one pixels that are
    added are warm and pixels that are removed are cold, all transitions on one scale on which
    white is no change, over the outline of the original in grey.

    Parameters
    ----------
    result
        What :func:`ace.explain.transitions` gives.
    index
        Numbers of the transitions to draw, in this order; ``None`` draws all.
    titles
        A title for each; by default the two groups, such as "8 → 5".
    ncols
        Transitions in a row.
    cmap
        Colours of original and result, from the lowest value to the highest.
    show
        Show the figure; ``None`` does as ``scanpy.settings.autoshow`` says.
    save
        File to save to, the format told by its ending.
    ax
        Axes to draw in, three for each transition; without it a figure that grows with their
        number.
    return_fig
        Return the figure and do not show it.

    Returns
    -------
    The figure with ``return_fig=True``; with ``show=False`` the list of axes, three a transition;
    else ``None``.

    Raises
    ------
    IndexError
        If there is no transition of such a number.
    ValueError
        If there is nothing to draw, images are flat and not square, ``ncols`` is not positive, or
        the number of ``titles`` or ``ax`` does not match.

    Examples
    --------
    >>> import numpy as np
    >>> import ace
    >>> images = np.zeros((1, 8, 8))
    >>> images[0, 1:7, 3] = 1  # a one
    >>> perturbed = images.copy()
    >>> perturbed[0, 1, 1:3] = 1
    >>> result = ace.explain.Transitions(
    ...     images, perturbed, ("1",), ("7",), assigned=("7",), flipped=np.array([True])
    ... )
    >>> axes = ace.pl.transitions(result, show=False)
    >>> axes[1].get_title()
    '1 → 7'
    """
    chosen = _chosen(len(result), index)
    before, after = _as_squares(result.images)[chosen], _as_squares(result.perturbed)[chosen]
    if titles is None:
        titles = [f"{result.source[i]} → {result.target[i]}" for i in chosen]
    if len(titles) != len(chosen):
        raise ValueError(f"{len(chosen)} transitions need as many titles, got {len(titles)}.")

    own_figure = ax is None
    if ax is None:
        axes = _new_axes(len(chosen), ncols=ncols, shape=before.shape[1:])
    else:
        axes = given_axes(ax, 3 * len(chosen), what="three a transition")
    low, high = min(before.min(), after.min()), max(before.max(), after.max())
    largest = float(np.abs(after - before).max()) or 1.0
    for i, title in enumerate(titles):
        trio = axes[3 * i : 3 * i + 3]
        change = _draw_change(trio[1], before[i], after[i], largest=largest)
        for axis, image in ((trio[0], before[i]), (trio[2], after[i])):
            axis.imshow(image, cmap=cmap, vmin=low, vmax=high, interpolation="none")
        for axis in trio:
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set(color="0.8", linewidth=0.6)
        trio[1].set_title(title, fontsize="medium", pad=4, parse_math=False)
    if own_figure:
        _draw_legend(axes, change, largest=largest)
    return finish(figure_of(axes[0]), axes, show=show, save=save, return_fig=return_fig)


def _chosen(n: int, index: Sequence[int] | None) -> np.ndarray:
    chosen = np.arange(n) if index is None else np.atleast_1d(np.asarray(index, dtype=int))
    if len(chosen) == 0:
        raise ValueError("there is no transition to draw.")
    beyond = chosen[(chosen < -n) | (chosen >= n)]
    if len(beyond):
        raise IndexError(f"there are {n} transitions, but index holds {beyond.tolist()}.")
    return chosen % n


def _as_squares(images: np.ndarray) -> np.ndarray:
    """Images of shape ``(n_images, height, width)``; flat ones have to be square."""
    if images.ndim == 3:
        return images
    side = round(images.shape[1] ** 0.5)
    if side**2 != images.shape[1]:
        raise ValueError(
            f"images of {images.shape[1]} pixels in a row are no squares; explain them in shape "
            "(n_images, height, width)."
        )
    return images.reshape(-1, side, side)


def _new_axes(n: int, *, ncols: int, shape: tuple[int, ...]) -> list[Axes]:
    """Axes in threes, placed in inches: near each other within a transition, apart between."""
    from matplotlib import pyplot as plt

    whole(ncols, "ncols")
    ncols = min(n, ncols)
    nrows = -(-n // ncols)
    side = (_SIDE * shape[1] / max(shape), _SIDE * shape[0] / max(shape))
    step = (3 * side[0] + 2 * _NEAR + _FAR, side[1] + _TITLE)
    head = _HEADER + _BAR + 0.28
    width, height = ncols * step[0] - _FAR + 0.1, nrows * step[1] + head + 0.05
    fig = plt.figure(figsize=(width, height))
    axes = []
    for i in range(n):
        left = 0.05 + i % ncols * step[0]
        bottom = height - head - (i // ncols + 1) * step[1]
        for k in range(3):
            place = (left + k * (side[0] + _NEAR), bottom)
            axes.append(
                fig.add_axes(
                    (place[0] / width, place[1] / height, side[0] / width, side[1] / height)
                )
            )
    return axes


def _draw_change(ax: Axes, before: np.ndarray, after: np.ndarray, *, largest: float) -> AxesImage:
    image = ax.imshow(
        after - before, cmap=_CHANGE, vmin=-largest, vmax=largest, interpolation="none"
    )
    if before.min() < before.max():
        # Along the edges of pixels, as the changes are, not through their middles.
        fine = before.repeat(8, axis=0).repeat(8, axis=1)
        height, width = before.shape
        edge = 0.5 - 1 / 16
        ax.contour(
            fine,
            levels=[(before.min() + before.max()) / 2],
            extent=(-edge, width - 1 + edge, -edge, height - 1 + edge),
            colors="0.6",
            linewidths=0.6,
        )
    return image


def _draw_legend(axes: list[Axes], change: AxesImage, *, largest: float) -> None:
    """Name the columns over the first transition, and the colours over those."""
    fig = figure_of(axes[0])
    width, height = fig.get_size_inches()
    first = axes[0].get_position()
    for axis, name in zip(axes[:3], _COLUMNS, strict=True):
        axis.annotate(
            name,
            (0.5, 1),
            xycoords="axes fraction",
            xytext=(0, 72 * _TITLE - 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize="x-small",
            color="0.4",
        )
    bar = fig.add_axes(
        (first.x0 + 0.5 / width, 1 - 0.13 / height, 1.2 / width, _BAR / height), label="colorbar"
    )
    fig.colorbar(change, cax=bar, orientation="horizontal")
    bar.set_xticks([-largest, 0, largest], labels=[f"−{largest:.2g}", "0", f"+{largest:.2g}"])
    bar.tick_params(labelsize="x-small", length=2)
    bar.set_ylabel("removed", fontsize="x-small", rotation=0, ha="right", va="center")
    bar.annotate(
        "added", (1, 0.5), xycoords="axes fraction", xytext=(4, 0), textcoords="offset points",
        fontsize="x-small", va="center",
    )  # fmt: skip
    bar.spines[:].set_visible(False)
