"""Structure: whether the top genes keep each cell's neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from ace._checks import _arguments, _arrays, _panels
from ace._checks._arguments import whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from ace._checks._arrays import Matrix
    from ace._checks._panels import Panels


def knn_jaccard(
    X: Matrix,
    labels: ArrayLike,
    panels: Panels,
    n_top: float | Sequence[float] = 20,
    n_neighbors: int = 30,
    *,
    n_jobs: int | None = None,
) -> pd.Series:
    r"""Jaccard distance between neighbourhoods by all genes and by a panel (ACE, Eq. 9).

    .. math:: JD(i) = 1 - \frac{|S_i \cap S'_i|}{|S_i \cup S'_i|}

    where :math:`S_i` are the nearest neighbours of cell :math:`i` with all genes and
    :math:`S'_i` those with the top genes of the group that the cell belongs to, both among
    all cells, without the cell itself, by Euclidean distance. 0 means that the panel keeps the
    neighbourhoods.

    Parameters
    ----------
    X
        Cells × genes, sparse or dense. A matrix on disk or a dask array is read into memory.
    labels
        The group of each cell.
    panels
        For each group, column indices of its genes, best first. Cells of groups without a panel
        are neighbours, but are not judged.
    n_top
        Number of genes, or several numbers. Or shares of all genes, 0.01 for 1 %, rounded down.
    n_neighbors
        Number of neighbours.
    n_jobs
        Number of threads of the neighbour search.

    Returns
    -------
    distances
        Mean over the judged cells, indexed by ``n_top``.

    Raises
    ------
    TypeError
        If ``X`` is an AnnData, or ``panels`` is not a mapping.
    ValueError
        If a number is out of range, there are not more cells than neighbours, a panel is shorter
        than asked for or names columns or groups that do not exist, or values are not finite or
        above 1e15.

    References
    ----------
    Lu et al. (2021), *ACE: Explaining cluster from an adversarial perspective*, §5.1.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.simulated_panels(random_state=0)
    >>> panels = {group: range(140) for group in adata.obs["group"].cat.categories}
    >>> float(ace.metrics.knn_jaccard(adata.X.log1p(), adata.obs["group"], panels, 140)[140])
    0.0
    """
    X = _arrays.matrix(X)
    n_cells, n_genes = X.shape
    sizes = _panels.panel_sizes(n_top, n_genes)
    names = _arrays.labels(labels, n_cells)
    checked = _panels.index_panels(panels, n_genes, sizes[-1], names)
    whole(n_neighbors, f"of {n_cells} cells, n_neighbors", 1, n_cells - 1)
    _arguments.n_jobs(n_jobs)
    _arrays.finite_values(X, "X")

    judged = np.isin(names, list(checked))
    full = np.zeros((n_cells, n_neighbors), dtype=np.intp)
    # Brute force works on sparse and dense input alike, and gives the same neighbours for both.
    rows = X.tocsr() if hasattr(X, "tocsr") else X
    full[judged] = _neighbours(rows, np.flatnonzero(judged), n_neighbors, n_jobs)

    distance = np.full((len(sizes), n_cells), np.nan)
    for group, columns in checked.items():
        cells = np.flatnonzero(names == group)
        values = _arrays.dense_columns(X, columns)
        for i, size in enumerate(sizes):
            sub = _neighbours(values[:, :size], cells, n_neighbors, n_jobs)
            shared = (full[cells][:, :, None] == sub[:, None, :]).sum(axis=(1, 2))
            distance[i, cells] = 1 - shared / (2 * n_neighbors - shared)
    return pd.Series(
        distance[:, judged].mean(axis=1),
        index=pd.Index(sizes, name="n_top"),
        name="jaccard_distance",
    )


def _neighbours(
    values: Matrix, cells: NDArray[np.intp], n_neighbors: int, n_jobs: int | None
) -> NDArray[np.intp]:
    """Nearest neighbours of some cells among all, without themselves."""
    search = NearestNeighbors(n_neighbors=n_neighbors + 1, algorithm="brute", n_jobs=n_jobs)
    found = search.fit(values).kneighbors(values[cells], return_distance=False)
    # Among cells that are alike a cell need not come first, nor come at all.
    itself = found == cells[:, None]
    itself[~itself.any(axis=1), -1] = True
    return found[~itself].reshape(len(cells), n_neighbors)
