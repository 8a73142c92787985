from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ace._docs import doc_params
from ace._keys import DEFAULT_KEY, ExplanationKeys
from ace.get import panel_quality_df
from ace.pl import _texts
from ace.pl._colors import METHODS
from ace.pl._figure import figure_of, finish, given_axes, grid_of_axes, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Measures that are drawn, with their labels and line styles.
_LINES = {
    "auroc": ("AUROC", "-", METHODS[0]),
    "auroc_against": ("AUROC against the nearest group", "--", METHODS[0]),
    "f_beta": ("$F_{0.5}$", "-", METHODS[1]),
}


@doc_params(
    adata=_texts.ADATA,
    groups=_texts.GROUPS,
    key=_texts.KEY,
    output=_texts.output(f"Axes to draw in, one per group. {_texts.GROWING} groups."),
    returned=_texts.returned("the axes (a list for several groups)"),
)
def panel_quality(
    adata: AnnData,
    *,
    groups: str | Sequence[str] | None = None,
    key: str = DEFAULT_KEY,
    ncols: int = 4,
    show: bool | None = None,
    save: bool | str | PathLike[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw the quality of panels on held-out cells against their number of genes.

    For each group the AUROC against all cells of the reference and against the nearest group
    alone, and the F-measure, with bands of one standard error: the values of
    :func:`ace.get.panel_quality_df`. A vertical line marks the size of the panel. Groups with
    fewer than five cells have no values and are left out, unless axes are given.

    Parameters
    ----------
    {adata}
    {groups}
    {key}
    ncols
        Number of axes per row.
    {output}

    Returns
    -------
    {returned}

    Raises
    ------
    KeyError
        If the explanation or a group does not exist, or it was made with ``quality=False``.
    ValueError
        If no group has values, ``ncols`` is not positive, or the number of axes differs from the
        number of groups.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.explain(adata, groupby="louvain")
    >>> axes = ace.pl.panel_quality(adata, groups=["0", "4"], show=False)
    >>> axes[0].get_xlabel()
    'genes'
    """
    df = panel_quality_df(adata, groups, key=key)
    stored = ExplanationKeys(key).read(adata)
    names = list(df["group"].cat.categories)
    if df.empty:
        raise ValueError(
            f"no group of the explanation {key!r} has the five cells that are needed to judge a "
            "panel."
        )
    if ax is None:
        names = [name for name in names if (df["group"] == name).any()]
        fig, axes = grid_of_axes(len(names), ncols=ncols, panel_size=(2.5, 2.1), margin=(0.2, 0.5))
    else:
        axes = given_axes(ax, len(names), what="one per group")
        fig = figure_of(axes[0])
    lowest = min(0.5, float(df[list(_LINES)].min(axis=None)))
    for axis, name in zip(axes, names, strict=True):
        _draw(axis, df[df["group"] == name], stored.panel_size(name))
        axis.set_ylim(lowest - 0.02, 1.02)
        axis.set_title(wrap(name, 26), fontsize="medium", parse_math=False)
    handles, labels = axes[0].get_legend_handles_labels()
    if ax is None:
        fig.legend(handles, labels, loc="outside upper left", ncols=3, frameon=False)
    else:
        axes[0].legend(handles, labels, frameon=False, fontsize="small")
    return finish(
        fig,
        axes[0] if len(axes) == 1 else axes,
        name="panel_quality",
        show=show,
        save=save,
        return_fig=return_fig,
    )


def _draw(ax: Axes, df: pd.DataFrame, size: float) -> None:
    for measure, (label, style, color) in _LINES.items():
        values, error = df[measure], df[f"{measure}_se"]
        ax.plot(df["n_genes"], values, style, color=color, label=label, linewidth=1.4)
        ax.fill_between(
            df["n_genes"], values - error, values + error, color=color, alpha=0.15, linewidth=0
        )
    if np.isfinite(size) and size > 0:
        ax.axvline(size, color="0.4", linewidth=0.8, linestyle=":", zorder=0)
    ax.set_xlabel("genes")
    ax.tick_params(labelsize="small")
    ax.spines[["top", "right"]].set_visible(False)
