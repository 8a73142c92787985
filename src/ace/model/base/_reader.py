"""Read rows of a matrix of any format as dense minibatches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.sparse import issparse
from scvi import settings

from ace import _checks
from ace._checks import _value_checks
from ace._matrix import in_memory, read_rows
from ace._values import claimed_base

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

    from ace._values import Values


class MatrixReader:
    """Read cells of an AnnData in the gene order of a model.

    The matrix is not converted (CSR, dense, on disk, dask); only the rows of one minibatch become
    dense. An in-memory CSC matrix is the exception: slicing its rows needs a pass over the whole
    matrix, so it is read through a CSR copy.

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
        # Kept, because a view or a file creates its matrix at each access.
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
        """Iterate over rows, ``size`` at a time, as they are stored."""
        for start in range(0, len(rows), size):
            yield self.rows(rows[start : start + size])

    def minibatches(self, rows: np.ndarray, batch_size: int | None) -> Iterator[torch.Tensor]:
        """Iterate over rows as dense tensors; raise if their values are not finite."""
        batch_size = settings.batch_size if batch_size is None else batch_size
        _checks.whole(batch_size, "batch_size")
        for start in range(0, len(rows), batch_size):
            x = self.dense(rows[start : start + batch_size])
            _checks.computable(x)
            yield torch.from_numpy(x)

    def require_finite(self, rows: np.ndarray) -> None:
        """Raise if values are not finite; sparse rows stay sparse."""
        for chunk in self.chunks(rows):
            _checks.computable(chunk)


def row_numbers(indices: Any, n_obs: int) -> np.ndarray:
    """Convert row numbers, a Boolean mask, a slice or ``None`` (all rows) to row numbers.

    Raises
    ------
    ValueError
        If they do not select rows.
    """
    if indices is None:
        return np.arange(n_obs)
    if isinstance(indices, slice):
        return np.arange(n_obs)[indices]
    rows = np.asarray(indices)
    if rows.ndim != 1 or (rows.dtype.kind not in "iub" and len(rows)):
        raise ValueError(
            "indices must be row numbers, a Boolean mask or a slice of the cells, got "
            f"{indices!r:.60}."
        )
    if rows.dtype == bool:
        if len(rows) != n_obs:
            raise ValueError(f"the mask has {len(rows)} values for {n_obs} cells.")
        return np.flatnonzero(rows)
    rows = rows.astype(np.int64)
    if len(rows) and (rows.min() < -n_obs or rows.max() >= n_obs):
        raise ValueError(f"indices must be rows of adata, which has {n_obs} cells.")
    return np.where(rows < 0, rows + n_obs, rows)
