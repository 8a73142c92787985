"""Attributions of individual cells as one matrix."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

#: Attributions are stored sparsely if fewer than one in this many differs from 0. With more, the
#: indices would take as much memory as the values.
FULL = 3


class CellLayer:
    """Collect the attributions of individual cells in one matrix.

    The matrix is sparse if the method changes few genes per cell, or if fewer than half of all
    values are explained. Otherwise it is a dense array, which then takes half the memory.

    Parameters
    ----------
    shape
        Number of cells and genes in the data.
    cells
        Rows of all cells that are explained, in increasing order.
    columns
        Positions of the genes that the scorer uses.
    """

    def __init__(self, shape: tuple[int, int], cells: np.ndarray, columns: np.ndarray) -> None:
        self._shape, self._cells, self._columns = shape, cells, columns
        # Sparse blocks; from the first block that is not sparse on, all are dense.
        self._blocks: list[tuple[np.ndarray, sp.csr_matrix]] = []
        self._dense: np.ndarray | None = None

    @property
    def _is_full(self) -> bool:
        return 2 * len(self._cells) * len(self._columns) >= self._shape[0] * self._shape[1]

    def add(self, cells: np.ndarray, values: np.ndarray) -> None:
        """Add attributions, shape ``(n_cells, n_columns)``; NaN (not explained) becomes 0."""
        values = np.nan_to_num(values, copy=False)
        if self._dense is None and FULL * np.count_nonzero(values) < values.size:
            self._blocks.append((cells, sp.csr_matrix(values, dtype=np.float32)))
            return
        if self._dense is None:
            shape = self._shape if self._is_full else (len(self._cells), len(self._columns))
            self._dense = np.zeros(shape, np.float32)
            while self._blocks:
                known, block = self._blocks.pop()
                self._write(known, block.toarray())
        self._write(cells, values)

    def _write(self, cells: np.ndarray, values: np.ndarray) -> None:
        assert self._dense is not None
        if self._is_full:
            self._dense[np.ix_(cells, self._columns)] = values
        else:
            self._dense[np.searchsorted(self._cells, cells)] = values

    def matrix(self) -> np.ndarray | sp.csr_matrix:
        """Cells × genes, float32, 0 where nothing was explained."""
        if self._dense is not None and self._is_full:
            return self._dense
        if self._dense is not None:
            lengths = np.full(len(self._cells), len(self._columns))
            data, indices = self._dense.ravel(), np.tile(self._columns, len(self._cells))
        else:
            order = np.argsort(np.concatenate([cells for cells, _ in self._blocks]))
            stacked = sp.csr_matrix(sp.vstack([block for _, block in self._blocks]))[order]
            lengths, data = np.diff(stacked.indptr), stacked.data
            indices = self._columns[stacked.indices]
        counts = np.zeros(self._shape[0], dtype=np.int64)
        counts[self._cells] = lengths
        layer = sp.csr_matrix((data, indices, np.append(0, np.cumsum(counts))), shape=self._shape)
        layer.sort_indices()
        layer.eliminate_zeros()
        return layer
