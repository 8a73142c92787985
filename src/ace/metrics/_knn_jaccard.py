"""Preservation of neighbourhoods by the top genes of a panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from ace._checks import _arguments, _arrays, _panels
from ace._checks._arguments import whole
from ace._docs import doc_params
from ace.metrics import _texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from ace._checks._arrays import Matrix
    from ace._checks._panels import Panels


@doc_params(
    X=_texts.X,
    labels=_texts.LABELS,
    panels=_texts.SCORED_PANELS,
    n_top=_texts.N_TOP,
    n_jobs=_texts.N_JOBS,
)
def knn_jaccard(
    X: Matrix,
    labels: ArrayLike,
    panels: Panels,
    n_top: float | Sequence[float] = 20,
    n_neighbors: int = 30,
    *,
    n_jobs: int | None = None,
) -> pd.Series:
    r"""Jaccard distance between neighbours by all genes and by the genes of a panel (ACE, Eq. 9).

    .. math:: JD(i) = 1 - \frac{|S_i \cap S'_i|}{|S_i \cup S'_i|}

    where :math:`S_i` are the nearest neighbours of cell :math:`i` by all genes, and :math:`S'_i`
    those by the top genes of its group. Neighbours are searched among all other cells, by
    Euclidean distance. 0 means that the panel preserves the neighbourhoods.

    Parameters
    ----------
    {X}
    {labels}
    {panels}
    {n_top}
    n_neighbors
        Number of neighbours.
    {n_jobs}

    Returns
    -------
    distances
        Mean over the cells of groups with a panel, indexed by ``n_top``.

    Raises
    ------
    TypeError
        If ``X`` is an AnnData, or ``panels`` is not a mapping.
    ValueError
        If an argument is out of range, a panel has fewer than ``n_top`` genes or invalid columns,
        a group with a panel has no cells, or values are not finite or exceed 1e15.

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
    whole(n_neighbors, f"n_neighbors (for {n_cells} cells)", 1, n_cells - 1)
    _arguments.n_jobs(n_jobs)
    _arrays.finite_values(X, "X")

    scored = np.isin(names, list(checked))
    full = np.zeros((n_cells, n_neighbors), dtype=np.intp)
    # Brute force supports sparse and dense input, and gives the same neighbours for both.
    rows = X.tocsr() if hasattr(X, "tocsr") else X
    full[scored] = _neighbours(rows, np.flatnonzero(scored), n_neighbors, n_jobs)

    distance = np.full((len(sizes), n_cells), np.nan)
    for group, columns in checked.items():
        cells = np.flatnonzero(names == group)
        values = _arrays.dense_columns(X, columns)
        for i, size in enumerate(sizes):
            sub = _neighbours(values[:, :size], cells, n_neighbors, n_jobs)
            shared = (full[cells][:, :, None] == sub[:, None, :]).sum(axis=(1, 2))
            distance[i, cells] = 1 - shared / (2 * n_neighbors - shared)
    return pd.Series(
        distance[:, scored].mean(axis=1),
        index=pd.Index(sizes, name="n_top"),
        name="jaccard_distance",
    )


def _neighbours(
    values: Matrix, cells: NDArray[np.intp], n_neighbors: int, n_jobs: int | None
) -> NDArray[np.intp]:
    """Nearest neighbours of some cells among all others."""
    search = NearestNeighbors(n_neighbors=n_neighbors + 1, algorithm="brute", n_jobs=n_jobs)
    found = search.fit(values).kneighbors(values[cells], return_distance=False)
    # With duplicate cells, a cell may not be its own first neighbour, or not be found at all.
    itself = found == cells[:, None]
    itself[~itself.any(axis=1), -1] = True
    return found[~itself].reshape(len(cells), n_neighbors)
