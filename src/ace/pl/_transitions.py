from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from ace._checks._arguments import whole
from ace._checks._figures import as_many, images, positions, something
from ace._docs import doc_params
from ace.pl import _texts
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
# Inches: side of an image, distance of the images of a transition, distance of transitions.
_SIDE, _NEAR, _FAR = 0.78, 0.05, 0.3
# Height of the titles above each row, of the column names and of the colour bar above all rows.
_TITLE, _HEADER, _BAR = 0.27, 0.2, 0.08


@doc_params(
    output=_texts.output(f"Axes to draw in, three per transition. {_texts.GROWING} transitions."),
    returned=_texts.returned("the list of axes, three per transition"),
)
def transitions(
    result: Transitions,
    *,
    index: Sequence[int] | None = None,
    titles: Sequence[str] | None = None,
    ncols: int = 4,
    cmap: str = "gray_r",
    show: bool | None = None,
    save: bool | str | PathLike[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw perturbed images: the original, the change, and the result (ACE, Figure 4).

    Three images per transition. In the middle one, added pixels are warm and removed pixels cold,
    on one scale for all transitions, with the outline of the original in grey.

    Parameters
    ----------
    result
        Result of :func:`ace.explain.transitions`.
    index
        Positions of the transitions to draw, in this order. If ``None``, all.
    titles
        Title of each transition. If ``None``, the two groups, such as "8 → 5".
    ncols
        Number of transitions per row.
    cmap
        Colour map of original and result.
    {output}

    Returns
    -------
    {returned}

    Raises
    ------
    IndexError
        If a position is out of range.
    ValueError
        If there is nothing to draw, flat images are not square, ``ncols`` is not positive, or the
        number of titles or axes is wrong.

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
    chosen = positions(index, len(result), "transitions")
    something(chosen, "no transitions")
    before, after = images(result.images)[chosen], images(result.perturbed)[chosen]
    if titles is None:
        titles = [f"{result.source[i]} → {result.target[i]}" for i in chosen]
    as_many(titles, len(chosen), "titles", "transition")

    own_figure = ax is None
    if ax is None:
        axes = _new_axes(len(chosen), ncols=ncols, shape=before.shape[1:])
    else:
        axes = given_axes(ax, 3 * len(chosen), what="three per transition")
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
    return finish(
        figure_of(axes[0]), axes, name="transitions", show=show, save=save, return_fig=return_fig
    )


def _new_axes(n: int, *, ncols: int, shape: tuple[int, ...]) -> list[Axes]:
    """Create three axes per transition, at positions in inches."""
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
        # Draw the outline along the edges of pixels, not through their centres.
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
    """Label the columns above the first transition, and draw the colour bar above them."""
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
