from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ace._checks._arguments import one_of, whole
from ace._checks._figures import has_columns, something
from ace._docs import doc_params
from ace.pl import _texts
from ace.pl._colors import METHODS
from ace.pl._figure import figure_of, finish, given_axes, grid_of_axes, wrap

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from os import PathLike

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Dashes distinguish methods that have the same colour.
_DASHES = ["-", (0, (4, 1.5)), (0, (1, 1))]
# Maximum number of panel sizes for which each value has a marker.
_MARKED = 12
_LABELS = {"auroc": "AUROC", "redundancy": "redundancy\n(mean correlation of two genes)"}


@doc_params(
    output=_texts.output("Axes to draw in, one per measure."),
    returned=_texts.returned("the axes (a list for two measures)"),
)
def panel_curves(
    aurocs: pd.DataFrame | Mapping[Hashable, pd.DataFrame] | None = None,
    redundancies: pd.DataFrame | Mapping[Hashable, pd.DataFrame] | None = None,
    *,
    highlight: Hashable | None = None,
    band: Literal["sem", "sd"] | None = "sem",
    n_genes: int | None = None,
    show: bool | None = None,
    save: bool | str | PathLike[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw the performance and the redundancy of panels against their number of genes.

    As in Figures 3B and 3C of ACE and Figures 4 to 6 of KRATOS: one line per method, the mean over
    all rows of each number of genes (groups, folds and so on), with an error band.

    Parameters
    ----------
    aurocs
        Results of :func:`ace.metrics.panel_auroc`: a frame for each method, one frame with a
        column ``method``, or the frame of a single method.
    redundancies
        Results of :func:`ace.metrics.panel_redundancy`, in the same form. At least one of
        ``aurocs`` and ``redundancies`` is required.
    highlight
        Method to draw in front and with a thicker line.
    band
        Error band: ``"sem"`` for the standard error of the mean, as in the ACE paper (it treats
        all rows as independent, although folds of the same group are not), or ``"sd"`` for the
        standard deviation. If ``None``, no band.
    n_genes
        Total number of genes, for an upper axis in per cent. If ``None``, no upper axis.
    {output}

    Returns
    -------
    {returned}

    Raises
    ------
    ValueError
        If there is nothing to draw, the method does not exist, or a frame lacks a column.

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
    one_of(band, "band", ["sem", "sd", None])
    given = {
        column: _by_method(frames, column)
        for column, frames in (("auroc", aurocs), ("redundancy", redundancies))
        if frames is not None
    }
    something(given, "pass aurocs, redundancies or both")
    methods = list(dict.fromkeys(name for frames in given.values() for name in frames))
    if highlight is not None:
        one_of(highlight, "highlight", methods)
    if ax is None:
        # Leave room for the legend beside the panels.
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
        fig,
        axes[0] if len(axes) == 1 else axes,
        name="panel_curves",
        show=show,
        save=save,
        return_fig=return_fig,
    )


def _by_method(
    frames: pd.DataFrame | Mapping[Hashable, pd.DataFrame], column: str
) -> dict[Hashable, pd.DataFrame]:
    """Return the frame of each method, after checking its columns."""
    if isinstance(frames, Mapping):
        found = dict(frames)
    elif "method" in frames:
        found = dict(iter(frames.groupby("method", sort=False, observed=True)))
    else:
        found = {"": frames}
    something(found, f"no methods with {column}; pass {{method: frame}}")
    for method, frame in found.items():
        fix = f"Pass the result of ace.metrics.panel_{column}."
        has_columns(frame.columns, ["n_top", column], f"the frame of {method!r}", fix)
        something(frame, f"the frame of {method!r} has no rows")
    return found


def _name(method: Hashable) -> str:
    return wrap(str(method), 28)


def _line(place: int, *, in_front: bool) -> dict[str, Any]:
    """Style of the line of a method."""
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
        # The spread of a single value is NaN, which is not drawn.
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
