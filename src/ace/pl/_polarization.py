from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np

from ace import _checks
from ace._checks import _value_checks
from ace._checks._columns import labels_of
from ace._checks._objects import annotated
from ace._keys import DEFAULT_FSSF_KEY, FssfKeys
from ace._listed import listed
from ace._matrix import LogCounts, read_rows
from ace._values import claimed_base
from ace.metrics import morans_i
from ace.pl._figure import figure_of, finish, given_axes, grid_of_axes, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Total of a cell's counts before the logarithm.
_TARGET = 1e4
# Cells of the lowest and highest scores that share a colour, so that a few do not take all of it.
_CLIPPED = (1, 99)


def polarization(
    adata: AnnData,
    groups: str | Sequence[str],
    genes: Sequence[str] | None = None,
    *,
    groupby: str | None = None,
    use_rep: str | None = None,
    key: str | None = DEFAULT_FSSF_KEY,
    layer: str | None = None,
    score: Literal["mean", "z"] = "mean",
    n_neighbors: int = 15,
    random_state: int = 0,
    size: float | None = None,
    show: bool | None = None,
    save: str | PathLike[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw how some genes are expressed across the latent space of one type (scARE, Figure 2).

    On the left, the cells of a group coloured by the expression of the genes, with Moran's I of it
    among the neighbours in the latent space: 1 is a smooth gradient, 0 no order at all. On the
    right the subclusters of :func:`ace.tl.fssf`, if there are any. The embedding is a UMAP of the
    latent space of these cells alone.

    Parameters
    ----------
    adata
        Annotated data, with the result of :func:`ace.tl.fssf` or with coordinates in ``obsm``.
        Nothing of it changes.
    groups
        Group whose cells are drawn, or several, with one row each.
    genes
        Names of genes; ``None``: those that ``ace.tl.fssf`` was called with.
    groupby
        Column of ``obs`` with the groups; ``None``: that of ``ace.tl.fssf``.
    use_rep
        Latent space in ``obsm``, such as ``"X_scare"``; ``None``: that of ``ace.tl.fssf``. One of
        two dimensions is drawn as it is.
    key
        The ``key_added`` of ``ace.tl.fssf``; ``None``: take nothing of it.
    layer
        Layer with the expression instead of ``X``: log-normalised values, or counts, which are
        normalised on the way.
    score
        ``"mean"``: mean of the genes' log-normalised values; ``"z"``: mean of their z-scores among
        the cells of the group, in which the few highest genes do not outweigh the others.
    n_neighbors
        Neighbours, for the UMAP and Moran's I.
    random_state
        Seed of the UMAP.
    size
        Area of a dot in points²; ``None``: by the number of cells.
    show
        Show the figure; ``None`` does as ``scanpy.settings.autoshow`` says.
    save
        File to save to, the format told by its ending.
    ax
        Axes to draw in, one for each panel.
    return_fig
        Return the figure and do not show it.

    Returns
    -------
    The figure with ``return_fig=True``; with ``show=False`` the axes, group by group; else
    ``None``.

    Raises
    ------
    KeyError
        If there are no such scores, column, layer or coordinates.
    ValueError
        If a group does not exist or has not more cells than ``n_neighbors``, or genes are missing.

    See Also
    --------
    ace.metrics.morans_i : Moran's I, without the figure.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> (ax,) = ace.pl.polarization(
    ...     adata, "0", ["CST3"], groupby="louvain", use_rep="X_umap", key=None, show=False
    ... )
    >>> ax.get_title()
    '0'
    """
    _checks.one_of(score, "score", ["mean", "z"])
    _checks.positive(n_neighbors, "n_neighbors", optional=False)
    _checks.seed(random_state)
    _checks.number(size, "size", above=True, optional=True)
    annotated(adata)
    keys = None if key is None else FssfKeys(key)
    if keys is not None and None not in (genes, groupby, use_rep) and keys.uns not in adata.uns:
        keys = None  # nothing of it is needed
    if keys is None and None in (genes, groupby, use_rep):
        raise ValueError("key=None takes genes=[...], groupby=... and use_rep=... of the caller.")
    stored = None if keys is None else keys.read(adata)
    if stored is not None and keys is not None:
        groupby = stored["params"]["groupby"] if groupby is None else groupby
        use_rep = keys.embedding if use_rep is None else use_rep
    assert groupby is not None
    z = _coordinates(adata, use_rep)
    column = _checks.column_of(adata, groupby)
    known = labels_of(column, f"adata.obs[{groupby!r}]").remove_unused_categories()
    names = np.array([*map(str, known.categories), None], dtype=object)
    labels = names[known.codes]
    groups = [str(groups)] if np.ndim(groups) == 0 else [str(name) for name in groups]
    for name in groups:
        _checks.one_of(name, "groups", sorted(names[:-1]))
    split = None
    if keys is not None and keys.subcluster in adata.obs:
        split = adata.obs[keys.subcluster]

    per_group = 1 if split is None else 2
    if ax is None:
        fig, axes = grid_of_axes(
            per_group * len(groups), ncols=2 if split is not None else 3, panel_size=(3.4, 2.9)
        )
    else:
        axes = given_axes(ax, per_group * len(groups), what=f"{per_group} for each group")
        fig = figure_of(axes[0])
    for i, name in enumerate(groups):
        rows = np.flatnonzero(labels == name)
        if len(rows) <= n_neighbors:
            raise ValueError(f"{name!r} has {len(rows)} cells, not more than {n_neighbors=}.")
        own = _genes_of(stored, name) if genes is None else list(genes)
        values = _score(adata, own, rows, layer, score)
        at = _embed(z[rows], n_neighbors, random_state)
        dot = min(15_000 / len(rows), 20.0) if size is None else size
        found = morans_i(z[rows], values, n_neighbors=n_neighbors)
        left = axes[per_group * i]
        what = {"mean": "mean expression", "z": "mean z-score"}[score]
        _draw_score(
            left, at, values, f"{what} of {len(own)} gene{'s' * (len(own) > 1)}", found, dot
        )
        left.set_title(wrap(name, 32), fontsize="medium", parse_math=False)
        if split is not None:
            _draw_subclusters(axes[per_group * i + 1], at, split.iloc[rows], name, dot)
    return finish(fig, axes, show=show, save=save, return_fig=return_fig)


def _coordinates(adata: AnnData, use_rep: str | None) -> np.ndarray:
    if use_rep not in adata.obsm:
        raise KeyError(
            f"there is no {use_rep!r} in adata.obsm, which has {listed(adata.obsm)}. Put the "
            "latent space there: adata.obsm['X_scare'] = model.get_latent_representation()."
        )
    return np.asarray(adata.obsm[use_rep])


def _genes_of(stored: dict[str, pd.DataFrame] | None, group: str) -> list[str]:
    """Genes that the scores are of; of the group, if each has its own."""
    assert stored is not None
    frame = stored["genes"]
    if "group" in frame:
        frame = frame[frame["group"].astype(str) == group]
        if not len(frame):
            raise ValueError(f"no genes were scored for {group!r}: pass genes=[...].")
    return [str(gene) for gene in frame["gene"]]


def _score(
    adata: AnnData, genes: list[str], rows: np.ndarray, layer: str | None, how: str
) -> np.ndarray:
    """Expression of the genes in each cell, one number."""
    _checks.unique_genes(adata)
    columns = _checks.known_genes(genes, adata.var_names, "adata")
    matrix = _checks.matrix_of(adata, layer)
    if _value_checks.values_of(matrix, layer, base=claimed_base(adata, layer)).is_linear:
        matrix = LogCounts(matrix, np.arange(adata.n_vars), _TARGET)
    part = read_rows(matrix, rows, columns)
    values = np.asarray(part.toarray() if hasattr(part, "toarray") else part, dtype=np.float64)
    if how == "z":
        spread = values.std(0)
        values = (values - values.mean(0)) / np.where(spread > 0, spread, 1)
    return values.mean(1)


def _embed(z: np.ndarray, n_neighbors: int, random_state: int) -> np.ndarray:
    """Two coordinates of each cell."""
    if z.shape[1] == 2:
        return z
    import scanpy as sc
    from anndata import AnnData

    cells = AnnData(np.ascontiguousarray(z, dtype=np.float32))
    with warnings.catch_warnings():
        # That a seed leaves one thread only.
        warnings.filterwarnings("ignore", message=".*n_jobs value.*", category=UserWarning)
        sc.pp.neighbors(cells, n_neighbors=n_neighbors, use_rep="X", random_state=random_state)
        sc.tl.umap(cells, random_state=random_state)
    return np.asarray(cells.obsm["X_umap"])


def _draw_score(
    ax: Axes, at: np.ndarray, values: np.ndarray, label: str, found: float, size: float
) -> None:
    order = np.random.default_rng(0).permutation(len(values))  # neither end hides the other
    low, high = np.percentile(values, _CLIPPED)
    dots = ax.scatter(
        at[order, 0],
        at[order, 1],
        s=size,
        c=values[order],
        vmin=low,
        vmax=high,
        linewidths=0,
        rasterized=True,
    )
    bar = figure_of(ax).colorbar(dots, ax=ax, label=label, aspect=25, pad=0.02, extend="both")
    bar.outline.set_visible(False)
    _bare(ax)
    ax.set_xlabel(f"Moran's I {found:.2f}", fontsize="small")


def _draw_subclusters(ax: Axes, at: np.ndarray, split: pd.Series, group: str, size: float) -> None:
    import scanpy as sc

    values = labels_of(split, f"adata.obs[{split.name!r}]").remove_unused_categories()
    names = [str(c).removeprefix(f"{group}:") for c in values.categories]
    palettes = sc.pl.palettes
    palette = palettes.default_20 if len(names) <= 20 else palettes.default_102
    codes = values.codes
    order = np.random.default_rng(0).permutation(len(codes))
    colors = np.array([*palette[: len(names)], "lightgrey"])  # the last for cells without one
    x, y = at[order, 0], at[order, 1]
    ax.scatter(x, y, s=size, c=list(colors[codes[order]]), linewidths=0, rasterized=True)
    for code, name in enumerate(names):
        ax.scatter([], [], s=24, color=colors[code], label=wrap(name, 20))
    if names:
        ax.legend(
            loc="center left",
            bbox_to_anchor=(1, 0.5),
            frameon=False,
            fontsize="small",
            ncols=-(-len(names) // 12),
            handletextpad=0.2,
        )
    _bare(ax)
    ax.set_title("subclusters", fontsize="medium")


def _bare(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set_visible(False)
