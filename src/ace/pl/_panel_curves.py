from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ace._checks._arguments import whole
from ace.pl._colors import METHODS
from ace.pl._figure import figure_of, finish, given_axes, grid_of_axes, wrap

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from os import PathLike

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# One colour a method; from the second round of colours on, dashes tell them apart.
_DASHES = ["-", (0, (4, 1.5)), (0, (1, 1))]
# Values of so many sizes are marked one by one; of more, the line is what there is to see.
_MARKED = 12
_LABELS = {"auroc": "AUROC", "redundancy": "redundancy\n(mean correlation of two genes)"}


def panel_curves(
    aurocs: pd.DataFrame | Mapping[Hashable, pd.DataFrame] | None = None,
    redundancies: pd.DataFrame | Mapping[Hashable, pd.DataFrame] | None = None,
    *,
    highlight: Hashable | None = None,
    band: Literal["sem", "sd"] | None = "sem",
    n_genes: int | None = None,
    show: bool | None = None,
    save: str | PathLike[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw how well panels tell groups, and how redundant they are, as they grow.

    As ACE's Figure 3B and C, and Kratos' Figures 4 to 6: for each method and number of genes, the
    mean over groups (and folds, and whatever else there are rows of) with a band around it.

    Parameters
    ----------
    aurocs
        For each method, the frame of :func:`ace.metrics.panel_auroc`; or one frame with a column
        ``method``; or the frame of one method.
    redundancies
        The same of :func:`ace.metrics.panel_redundancy`. At least one of both is drawn.
    highlight
        A method that is drawn in front and with a thick line.
    band
        ``"sem"``: standard error of the mean on either side, as in the ACE paper, where all rows
        count as independent, though folds of a group are less so; ``"sd"``: standard deviation;
        ``None``: no band.
    n_genes
        Number of genes that panels were chosen from: an axis on top tells their share in percent.
    show
        Show the figure; ``None`` does as ``scanpy.settings.autoshow`` says.
    save
        File to save to, the format told by its ending.
    ax
        Axes to draw in, as many as frames were given.
    return_fig
        Return the figure and do not show it.

    Returns
    -------
    The figure with ``return_fig=True``; with ``show=False`` the axes, a list of two if both are
    drawn; else ``None``.

    Raises
    ------
    ValueError
        If there is nothing to draw or no such method, or a frame has not the columns needed.

    References
    ----------
    Lu et al. (2021), *ACE: Explaining cluster from an adversarial perspective*, §5.2.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.simulated_panels(random_state=0)
    >>> adata.X = adata.X.log1p()
    >>> aurocs, redundancies = {}, {}
    >>> for method in ("expected_gradients", "panel"):
    ...     ace.tl.explain(adata, "group", method=method)
    ...     names = adata.uns["ace"]["names"]
    ...     panels = {g: adata.var_names.get_indexer(names[g]) for g in names.dtype.names}
    ...     aurocs[method] = ace.metrics.panel_auroc(adata.X, adata.obs["group"], panels, (3, 9))
    ...     redundancies[method] = ace.metrics.panel_redundancy(adata.X, panels, (3, 9))
    >>> left, right = ace.pl.panel_curves(aurocs, redundancies, n_genes=adata.n_vars, show=False)
    >>> left.get_ylabel()
    'AUROC'
    """
    if band not in ("sem", "sd", None):
        raise ValueError(f"band must be 'sem', 'sd' or None, got {band!r}.")
    given = {
        column: _by_method(frames, column)
        for column, frames in (("auroc", aurocs), ("redundancy", redundancies))
        if frames is not None
    }
    if not given:
        raise ValueError("nothing to draw; pass aurocs, redundancies or both.")
    methods = list(dict.fromkeys(name for frames in given.values() for name in frames))
    if highlight is not None and highlight not in methods:
        raise ValueError(f"highlight={highlight!r} is none of the methods {methods}.")
    if ax is None:
        # Room for the legend, beside the panels and as high as it is.
        lines = [line for method in methods for line in _name(method).splitlines()]
        width = 0.075 * max(map(len, lines), default=0) + 0.6 if len(methods) > 1 else 0
        size = (3.5, max(3.2, 0.19 * len(lines) + 0.07 * len(methods)))
        fig, axes = grid_of_axes(len(given), ncols=2, panel_size=size, margin=(width, 0))
    else:
        axes = given_axes(ax, len(given), what=" and ".join(given))
        fig = figure_of(axes[0])

    for axis, (column, frames) in zip(axes, given.items(), strict=True):
        for method, frame in frames.items():
            in_front = highlight is not None and method == highlight
            line = _line(methods.index(method), in_front=in_front)
            _draw(axis, frame, column, band, line | {"label": _name(method)})
        _label(axis, column, n_genes)
    if len(methods) > 1:
        _legend(fig, axes, own_figure=ax is None)
    return finish(
        fig, axes[0] if len(axes) == 1 else axes, show=show, save=save, return_fig=return_fig
    )


def _by_method(
    frames: pd.DataFrame | Mapping[Hashable, pd.DataFrame], column: str
) -> dict[Hashable, pd.DataFrame]:
    """Rows of each method."""
    if isinstance(frames, Mapping):
        found = dict(frames)
    elif "method" in frames:
        found = dict(iter(frames.groupby("method", sort=False, observed=True)))
    else:
        found = {"": frames}
    if not found:
        raise ValueError(f"there is no method to draw the {column} of; give {{method: frame}}.")
    for method, frame in found.items():
        lacking = [name for name in ("n_top", column) if name not in frame]
        if lacking or frame.empty:
            what = f"lacks the columns {lacking}" if lacking else "has no rows"
            raise ValueError(
                f"the frame of {method!r} {what}; give what ace.metrics.panel_{column} returns."
            )
    return found


def _name(method: Hashable) -> str:
    return wrap(str(method), 28)


def _line(place: int, *, in_front: bool) -> dict[str, Any]:
    """How the line of a method looks."""
    return {
        "color": METHODS[place % len(METHODS)],
        "linestyle": _DASHES[place // len(METHODS) % len(_DASHES)],
        "linewidth": 2.8 if in_front else 1.4,
        "markersize": 5 if in_front else 3.5,
        "zorder": 3 if in_front else 2,
    }


def _draw(
    ax: Axes, frame: pd.DataFrame, column: str, band: str | None, line: dict[str, Any]
) -> None:
    values = frame.groupby("n_top")[column]
    mean = values.mean()
    ax.plot(mean.index, mean, marker="o" if len(mean) <= _MARKED else None, **line)
    if band is not None:
        # One value has no spread: NaN, which leaves a gap.
        spread = values.sem() if band == "sem" else values.std()
        low, high = mean - spread, mean + spread
        color = line["color"]
        ax.fill_between(mean.index, low, high, color=color, alpha=0.15, linewidth=0, zorder=1)


def _label(ax: Axes, column: str, n_genes: int | None) -> None:
    ax.set_xlabel("genes")
    ax.set_ylabel(_LABELS[column])
    ax.grid(axis="y", color="0.92", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.locator_params(axis="x", integer=True)
    ax.spines[["top", "right"]].set_visible(False)
    if n_genes is not None:
        whole(n_genes, "n_genes")
        top = ax.secondary_xaxis(
            "top",
            functions=(
                lambda x: 100 * np.asarray(x) / n_genes,
                lambda x: n_genes * np.asarray(x) / 100,
            ),
        )
        top.set_xlabel("% of all genes")


def _legend(fig: Figure, axes: list[Axes], *, own_figure: bool) -> None:
    handles = {
        label: handle
        for axis in axes
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    lines, labels = list(handles.values()), list(handles)
    if own_figure:
        legend = fig.legend(lines, labels, loc="outside right center", frameon=False)
    else:
        legend = axes[0].legend(lines, labels, frameon=False, fontsize="small")
    for text in legend.get_texts():
        text.set_parse_math(False)
