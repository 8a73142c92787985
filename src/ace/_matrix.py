"""Read a cells × genes matrix of any format without making it dense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Number of values read at once: about 80 MB of sparse or dense float64.
CHUNK_VALUES = 10_000_000


def in_memory(matrix: Any) -> bool:
    """Whether a matrix is a NumPy array or a SciPy sparse matrix, not on disk or lazy."""
    return sp.issparse(matrix) or isinstance(matrix, np.ndarray)


def read_rows(matrix: Any, rows: np.ndarray | slice, columns: np.ndarray | None = None) -> Any:
    """Return rows of a matrix: CSR if it is sparse, otherwise a NumPy array.

    Parameters
    ----------
    matrix
        NumPy array, SciPy sparse matrix, dask array, or a matrix of an AnnData on disk.
    rows
        Row numbers in increasing order (as required for files), or a slice.
    columns
        Column numbers in any order. If ``None``, all columns are returned.
    """
    if columns is not None and isinstance(matrix, np.ndarray) and not isinstance(rows, slice):
        part = matrix[np.ix_(rows, columns)]
        return part.astype(np.float32) if part.dtype in (np.bool_, np.float16) else part
    part = matrix[rows]
    if hasattr(part, "compute"):  # dask
        part = part.compute()
    if part.dtype in (np.bool_, np.float16):  # cannot be negated or stored as sparse
        part = part.astype(np.float32)
    if sp.issparse(part):
        part = part.tocsr()
    return part if columns is None else part[:, columns]


def all_finite(part: Any) -> bool:
    """Whether all values are finite; needs no extra memory and does not overflow."""
    values = part.data if sp.issparse(part) else np.asarray(part)
    if values.size == 0 or values.dtype.kind not in "fc":
        return True
    with np.errstate(invalid="ignore"):
        return bool(np.isfinite(values.min()) and np.isfinite(values.max()))


@dataclass(frozen=True)
class GroupSummary:
    """Summary of every gene in every group, arrays of shape ``(n_groups, n_genes)``."""

    mean: np.ndarray
    fraction: np.ndarray
    counts: np.ndarray

    def of_rest(self, others: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Mean of each gene and fraction of expressing cells, over several groups combined."""
        share = self.counts[others] / self.counts[others].sum()
        return share @ self.mean[others], share @ self.fraction[others]


def summarise(matrix: Any, codes: np.ndarray, n_groups: int) -> GroupSummary:
    """Mean of each gene and fraction of cells with a non-zero value, for each group.

    Parameters
    ----------
    matrix
        Cells × genes. It is read once, in chunks.
    codes
        Group of each cell; cells with code -1 are left out.
    n_groups
        Number of groups.

    Returns
    -------
    The summary. If a gene has NaN or infinite values in a group, its mean is not finite.
    """
    cells = np.flatnonzero(codes >= 0)
    ones = np.ones(len(cells))
    member = sp.csr_array((ones, (codes[cells], cells)), shape=(n_groups, matrix.shape[0]))
    if sp.issparse(matrix) and not matrix.has_canonical_format:
        matrix = matrix.copy()  # duplicate entries would be counted twice
        matrix.sum_duplicates()
    total = np.zeros((n_groups, matrix.shape[1]))
    nonzero = np.zeros_like(total)
    for rows, columns, part in _chunks(matrix):
        members = member[:, rows]
        total[:, columns] += _dense(members @ part)
        nonzero[:, columns] += _dense(members @ _is_nonzero(part))
    counts = np.bincount(codes[cells], minlength=n_groups)
    per_cell = 1.0 / np.maximum(counts, 1)[:, None]
    return GroupSummary(mean=total * per_cell, fraction=nonzero * per_cell, counts=counts)


def _chunks(matrix: Any) -> Iterator[tuple[slice, slice, Any]]:
    """Blocks of a matrix along its storage axis."""
    n_rows, n_columns = matrix.shape
    whole = slice(None)
    if getattr(matrix, "format", None) == "csc":  # in memory or on disk
        n_values = matrix.nnz if sp.issparse(matrix) else n_rows * n_columns
        width = max(1, n_columns * CHUNK_VALUES // max(n_values, 1))
        for start in range(0, n_columns, width):
            columns = slice(start, start + width)
            yield whole, columns, matrix[:, columns]
        return
    height = max(1, CHUNK_VALUES // max(n_columns, 1))
    stored = matrix.counts if isinstance(matrix, LogCounts) else matrix
    if sp.issparse(stored):
        height = max(1, n_rows * CHUNK_VALUES // max(stored.nnz, 1))
    for start in range(0, n_rows, height):
        rows = slice(start, start + height)
        yield rows, whole, read_rows(matrix, rows)


def _is_nonzero(part: Any) -> Any:
    """1 for non-zero values, otherwise 0. The sparse structure is shared, with stored zeros."""
    if not sp.issparse(part):
        return (part != 0).astype(np.float32)
    flags = (part.data != 0).astype(np.float32)
    return type(part)((flags, part.indices, part.indptr), shape=part.shape, copy=False)


def _dense(product: Any) -> np.ndarray:
    return product.toarray() if sp.issparse(product) else np.asarray(product)


class LogCounts:
    """log1p of counts scaled to the same total per cell, computed when rows are read.

    Parameters
    ----------
    counts
        Cells × genes, of any format that :func:`read_rows` supports. Sparse matrices in memory
        are converted to CSR, for fast access to rows.
    columns
        Genes whose counts are summed to the total of a cell.
    target
        Total that cells are scaled to.
    """

    def __init__(self, counts: Any, columns: np.ndarray, target: float) -> None:
        self.counts = counts.tocsr() if sp.issparse(counts) and counts.format != "csr" else counts
        every = np.array_equal(columns, np.arange(counts.shape[1]))
        self._columns = None if every else columns
        self.target = target
        self.shape = counts.shape

    def scale(self, part: Any) -> np.ndarray:
        """Total of each cell divided by the target; 1 for cells without counts."""
        counted = part if self._columns is None else part[:, self._columns]
        total = counted.sum(1, dtype=np.float64)
        total = np.asarray(total, dtype=np.float64).ravel()
        return np.where(total > 0, total, self.target) / self.target

    def __getitem__(self, rows: np.ndarray | slice) -> Any:
        part = read_rows(self.counts, rows)
        factor = 1 / self.scale(part)
        if not sp.issparse(part):
            return np.log1p(np.asarray(part) * factor[:, None]).astype(np.float32)
        part = part.astype(np.float64)  # a copy
        part.sum_duplicates()  # the logarithm of a sum is not the sum of logarithms
        part.data = np.log1p(part.data * np.repeat(factor, np.diff(part.indptr)))
        return part.astype(np.float32)
