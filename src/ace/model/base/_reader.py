"""Rows of a matrix as dense minibatches, whatever holds the matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse

from ace import _checks, _value_checks
from ace._matrix import in_memory, read_rows
from ace._values import claimed_base

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

    from ace._kinds import Values


class MatrixReader:
    """Read cells of an AnnData in the gene order of a model.

    The matrix stays as it is (CSR, dense, on disk, dask) until the rows of one minibatch
    are asked for; only those become dense. An in-memory CSC matrix is the exception: its rows
    cannot be sliced without a pass over the whole, so it is read through a CSR copy.

    Parameters
    ----------
    adata
        The cells. Only read.
    layer
        Layer to read, ``None`` for ``X``.
    genes
        Genes of the model, in its order.

    Raises
    ------
    KeyError
        If the layer does not exist.
    ValueError
        If genes are missing or ambiguous, or there is no matrix.
    """

    def __init__(
        self, adata: AnnData, layer: str | None, genes: Sequence[str] | np.ndarray
    ) -> None:
        self._adata = adata
        self.layer = layer
        _checks.unique_genes(adata)
        columns = _checks.gene_positions(adata.var_names, list(genes), "the model")
        same = len(genes) == adata.n_vars and np.array_equal(columns, np.arange(adata.n_vars))
        self._columns = None if same else columns
        self.n_genes = len(genes)
        # Held on to: the matrix of a view or of a file is made anew at each access.
        matrix = _checks.matrix_of(adata, layer)
        self.matrix = matrix.tocsr() if issparse(matrix) and matrix.format != "csr" else matrix

    def __len__(self) -> int:
        return self._adata.n_obs

    def values(self, groups: np.ndarray | None = None) -> Values:
        """Detect the kind of values; cells are sampled from each of ``groups`` (codes)."""
        return _value_checks.values_of(
            self.matrix,
            self.layer,
            base=claimed_base(self._adata, self.layer),
            groups=groups,
            columns=self._columns,
        )

    def rows(self, rows: np.ndarray) -> Any:
        """Rows as they are stored (sparse or dense), columns in the order of the model."""
        if in_memory(self.matrix):
            return read_rows(self.matrix, rows, self._columns)
        # On disk, rows can only be read in increasing order, and each once.
        unique, inverse = np.unique(rows, return_inverse=True)
        return read_rows(self.matrix, unique, self._columns)[inverse]

    def dense(self, rows: np.ndarray) -> np.ndarray:
        """Rows as a float32 array of shape ``(len(rows), n_genes)``."""
        part = self.rows(rows)
        if issparse(part):
            part = part.toarray()
        return np.ascontiguousarray(part, dtype=np.float32)

    def chunks(self, rows: np.ndarray, size: int = 1024) -> Iterator[Any]:
        """Walk over rows, ``size`` at a time, as they are stored."""
        for start in range(0, len(rows), size):
            yield self.rows(rows[start : start + size])
