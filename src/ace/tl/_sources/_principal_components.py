"""Principal components of the matrix."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import scanpy as sc
import scipy.sparse as sp

from ace import _checks
from ace._checks import _columns
from ace._log import report
from ace._matrix import read_rows
from ace.explain import EmbeddingScorer, LinearEmbedding, fit_clustering
from ace.explain._rows import Rows
from ace.tl._sources._prototypes import cells_to_fit, sample
from ace.tl._sources._source import Scored, used_prototypes

if TYPE_CHECKING:
    from anndata import AnnData

    from ace.tl._comparisons import Groups

logger = logging.getLogger(__name__)

#: Largest number of cells that new principal components are fitted to.
N_CELLS_PCA = 20_000
N_COMPONENTS = 50
#: Number of cells that are read at a time to find the loadings of other genes.
N_CELLS_READ = 2000
#: Number of cells on which stored principal components are compared with the matrix.
N_CELLS_COMPARED = 100


class PrincipalComponents:
    """Principal components of the matrix, with prototypes for the groups.

    Those stored in ``adata`` if they are of this matrix, otherwise new ones.

    Parameters
    ----------
    adata
        The cells.
    layer
        Layer to read; ``None`` for ``adata.X``.
    unseen
        Also attribute to genes that the components were not computed from, such as those that are
        not highly variable. For principal components, the loading of a gene is the coefficient of
        its regression on the coordinates; these genes get the same coefficient.
    """

    name = "pca"
    expects_logarithms = True

    def __init__(self, adata: AnnData, layer: str | None, *, unseen: bool = False) -> None:
        self.layer = layer
        self._adata = adata
        self._unseen = unseen

    @property
    def matrix(self) -> Any:
        """Expression that is explained, all cells × all genes."""
        return _checks.matrix_of(self._adata, self.layer)

    def unlabelled(self, groupby: str) -> Any:
        """Return ``None``: all categories are groups."""
        return None

    def scorer(self, groups: Groups, n_prototypes: int | None, random_state: int) -> Scored:
        """Fit prototypes to the groups in the space of the principal components."""
        adata, matrix = self._adata, self.matrix
        rng = np.random.default_rng([random_state, 1])
        stored = _stored_components(adata, matrix, rng)
        loadings, columns, offset = stored or _new_components(adata, matrix, rng, random_state)
        fit = cells_to_fit(groups, rng)
        if stored is not None:
            z = np.asarray(adata.obsm["X_pca"])[fit]
        else:
            z = _project(read_rows(matrix, fit, columns), loadings) + offset
        clustering = fit_clustering(
            z, groups.codes[fit], n_prototypes=n_prototypes, random_state=random_state
        )
        attributed = loadings
        if self._unseen and len(columns) < adata.n_vars:
            loadings, attributed, columns = _with_unseen(matrix, fit, z, loadings, columns)
        embedding = LinearEmbedding(loadings, offset, attributed)
        scorer = EmbeddingScorer(
            embedding, clustering, groups.names, adata.var_names[columns], refits=True
        )
        return Scored(scorer, columns, used_prototypes(scorer, n_prototypes))


def _stored_components(
    adata: AnnData, matrix: Any, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Stored loadings, their genes and the offset, if ``obsm["X_pca"]`` is of this matrix.

    Whether the data were centred or not, stored coordinates and the projections of the cells
    differ by a constant vector, which is the offset.
    """
    if "PCs" not in adata.varm or "X_pca" not in adata.obsm:
        return None
    loadings = np.asarray(adata.varm["PCs"], dtype=np.float64)
    stored = np.asarray(adata.obsm["X_pca"])
    columns = np.flatnonzero(np.abs(loadings).sum(1) > 0)
    if stored.shape[1] != loadings.shape[1] or len(columns) == 0:
        return None
    cells = np.sort(sample(np.arange(adata.n_obs), N_CELLS_COMPARED, rng))
    loadings, stored = loadings[columns], stored[cells].astype(np.float64)
    projected = _project(read_rows(matrix, cells, columns), loadings)
    # The sign of a component is arbitrary, and loadings and coordinates in a file may differ.
    sign = np.where(
        ((stored - stored.mean(0)) * (projected - projected.mean(0))).sum(0) < 0, -1, 1
    )
    offsets = stored - projected * sign
    offset = offsets.mean(0)
    if not np.abs(offsets - offset).max() <= 1e-2 * np.abs(stored).max():
        report(logger, "adata.obsm['X_pca'] is not of this matrix: computing new components")
        return None
    return loadings * sign, columns, offset


def _new_components(
    adata: AnnData, matrix: Any, rng: np.random.Generator, random_state: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Principal components of the highly variable genes; of all genes without that column."""
    columns = np.arange(adata.n_vars)
    if "highly_variable" in adata.var:
        marked = _columns.column_of(adata.var, "highly_variable", "adata.var")
        columns = columns[_columns.flags_of(marked, "adata.var['highly_variable']")]
    if len(columns) == 0:
        raise ValueError(
            "adata.var['highly_variable'] is False for all genes, and adata has no principal "
            "components of this matrix. Run sc.pp.highly_variable_genes(adata) and "
            "sc.pp.pca(adata) again."
        )
    cells = np.sort(sample(np.arange(adata.n_obs), N_CELLS_PCA, rng))
    part = read_rows(matrix, cells, columns).astype(np.float32)
    n_components = min(N_COMPONENTS, min(part.shape) - 1)
    if n_components < 1:
        which = "highly variable genes" if "highly_variable" in adata.var else "genes"
        raise ValueError(
            f"principal components need at least two cells and two genes, got {part.shape[0]} "
            f"cells x {part.shape[1]} {which}. Use more genes, or pass a model (model=...)."
        )
    total, squares = Rows(part).sums()
    _checks.varied(total / len(cells), squares / len(cells) - (total / len(cells)) ** 2)
    _, components, _, _ = sc.pp.pca(
        part, n_comps=n_components, return_info=True, random_state=random_state
    )
    loadings = np.ascontiguousarray(components.T, dtype=np.float64)
    mean = np.asarray(part.mean(0), dtype=np.float64).ravel()
    return loadings, columns, -mean @ loadings


def _with_unseen(
    matrix: Any, cells: np.ndarray, z: np.ndarray, loadings: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loadings of all expressed genes: in the embedding, and for attributions; their columns."""
    n_genes = matrix.shape[1]
    unseen = np.setdiff1d(np.arange(n_genes), columns)
    centered = np.asarray(z, dtype=np.float64) - np.mean(z, axis=0)
    # Coordinates of a subset of the cells are correlated.
    solved = centered @ np.linalg.pinv(centered.T @ centered)
    coefficients = np.zeros((len(unseen), z.shape[1]))
    expressed = np.zeros(len(unseen), dtype=bool)
    for start in range(0, len(cells), N_CELLS_READ):
        chunk = slice(start, start + N_CELLS_READ)
        part = read_rows(matrix, cells[chunk], unseen)
        coefficients += np.asarray(part.T @ solved[chunk])
        expressed |= np.asarray((part != 0).sum(0)).ravel() > 0
    attributed = np.zeros((n_genes, loadings.shape[1]))
    attributed[columns], attributed[unseen[expressed]] = loadings, coefficients[expressed]
    seen = np.zeros_like(attributed)
    seen[columns] = loadings
    every = np.union1d(columns, unseen[expressed])
    return seen[every], attributed[every], every


def _project(part: Any, loadings: np.ndarray) -> np.ndarray:
    product = part @ loadings
    return product.toarray() if sp.issparse(product) else np.asarray(product)
