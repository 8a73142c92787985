from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np

from ace import _checks
from ace._checks import _value_checks
from ace._checks._columns import labels_of
from ace._checks._figures import (
    coordinates_of,
    enough_cells,
    given,
    selected_groups,
    something,
)
from ace._checks._objects import annotated
from ace._docs import doc_params
from ace._keys import DEFAULT_FSSF_KEY, FssfKeys
from ace._matrix import LogCounts, read_rows
from ace._values import claimed_base
from ace.metrics import morans_i
from ace.pl import _texts
from ace.pl._figure import figure_of, finish, given_axes, grid_of_axes, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Total counts per cell after normalisation.
_TARGET = 1e4
# Percentiles at which the colour scale is clipped.
_CLIPPED = (1, 99)


@doc_params(
    size=_texts.SIZE,
    output=_texts.output("Axes to draw in, one per panel."),
    returned=_texts.returned("the list of axes, group by group"),
)
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
    save: bool | str | PathLike[str] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    return_fig: bool = False,
) -> Figure | list[Axes] | None:
    """Draw the expression of a gene set across the latent space of a cell type (scARE, Figure 2).

    On the left, the cells of a group are coloured by the expression of the genes. Moran's I among
    the neighbours in the latent space measures how polarised it is: 1 for a smooth gradient, 0 for
    no spatial structure. On the right are the subclusters of :func:`ace.tl.fssf`, if it has been
    run. The embedding is a UMAP of the latent space of the cells of that group.

    Parameters
    ----------
    adata
        Annotated data with the result of :func:`ace.tl.fssf`, or with coordinates in ``obsm``. It
        is not modified.
    groups
        One or several groups to draw, in separate rows.
    genes
        Names of genes. If ``None``, those passed to ``ace.tl.fssf``.
    groupby
        Column of ``obs`` with the groups. If ``None``, that of ``ace.tl.fssf``.
    use_rep
        Key of the latent space in ``obsm``, such as ``"X_scare"``. If ``None``, that of
        ``ace.tl.fssf``. A two-dimensional space is drawn without UMAP.
    key
        The ``key_added`` of ``ace.tl.fssf``. If ``None``, its result is not used.
    layer
        Layer with counts or log-normalised expression. Counts are normalised. If ``None``, ``X``.
    score
        ``"mean"`` for the mean log-normalised expression, ``"z"`` for the mean of z-scores within
        the group, in which all genes have the same weight.
    n_neighbors
        Number of neighbours for the UMAP and Moran's I.
    random_state
        Seed of the UMAP.
    {size}
    {output}

    Returns
    -------
    {returned}

    Raises
    ------
    KeyError
        If the scores, a group, the column, the layer or the coordinates do not exist.
    ValueError
        If genes are unknown, or a group has no more than ``n_neighbors`` cells.

    See Also
    --------
    ace.metrics.morans_i : Computes Moran's I.

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
        keys = None  # not needed
    if keys is None:
        given({"genes": genes, "groupby": groupby, "use_rep": use_rep}, "key=None")
    stored = None if keys is None else keys.read(adata)
    if stored is not None and keys is not None:
        groupby = stored["params"]["groupby"] if groupby is None else groupby
        use_rep = keys.embedding if use_rep is None else use_rep
    assert groupby is not None
    z = coordinates_of(adata, use_rep)
    column = _checks.column_of(adata, groupby)
    known = labels_of(column, f"adata.obs[{groupby!r}]").remove_unused_categories()
    names = np.array([*map(str, known.categories), None], dtype=object)
    labels = names[known.codes]
    groups = selected_groups(groups, list(names[:-1]), f"adata.obs[{groupby!r}]")
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
        enough_cells(len(rows), n_neighbors, name)
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
    return finish(fig, axes, name="polarization", show=show, save=save, return_fig=return_fig)


def _genes_of(stored: dict[str, pd.DataFrame] | None, group: str) -> list[str]:
    """Genes that were scored: those of the group if each group has its own."""
    assert stored is not None
    frame = stored["genes"]
    if "group" in frame:
        frame = frame[frame["group"].astype(str) == group]
        something(frame, f"no genes were scored for {group!r}; pass genes=[...]")
    return [str(gene) for gene in frame["gene"]]


def _score(
    adata: AnnData, genes: list[str], rows: np.ndarray, layer: str | None, how: str
) -> np.ndarray:
    """Mean expression, or mean z-score, of the genes in each cell."""
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
    """Return two coordinates per cell: those given, or a UMAP."""
    if z.shape[1] == 2:
        return z
    import scanpy as sc
    from anndata import AnnData

    cells = AnnData(np.ascontiguousarray(z, dtype=np.float32))
    with warnings.catch_warnings():
        # UMAP warns that it uses one thread with a seed.
        warnings.filterwarnings("ignore", message=".*n_jobs value.*", category=UserWarning)
        sc.pp.neighbors(cells, n_neighbors=n_neighbors, use_rep="X", random_state=random_state)
        sc.tl.umap(cells, random_state=random_state)
    return np.asarray(cells.obsm["X_umap"])


def _draw_score(
    ax: Axes, at: np.ndarray, values: np.ndarray, label: str, found: float, size: float
) -> None:
    order = np.random.default_rng(0).permutation(len(values))  # high values do not hide low ones
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
    colors = np.array([*palette[: len(names)], "lightgrey"])  # grey: no subcluster
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
