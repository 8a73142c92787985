"""Attributions of individual cells as one matrix."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

#: Attributions are stored sparsely if fewer than one in this many differs from 0. With more, the
#: indices would take as much memory as the values.
FULL = 3


class CellLayer:
    """Collect the attributions of individual cells in one matrix.

    Some methods return a direction for each cell, others a contribution: a low value of a depleted
    gene contributes to the score of a group, and is positive. In the matrix, all have the signs of
    the scores: the mean of a gene over the explained cells of a group has the sign of its score.

    The matrix is sparse if the method changes few genes per cell, or if fewer than half of all
    values are explained. Otherwise it is a dense array, which then takes half the memory. Cells
    that were not explained are NaN in a dense array. In a sparse one they are 0, because a row of
    NaN takes more memory than a dense row; :attr:`explained` tells them apart.

    Parameters
    ----------
    shape
        Number of cells and genes in the data.
    cells
        Rows of all cells that are explained, in increasing order.
    columns
        Positions of the genes that the scorer uses.

    Attributes
    ----------
    explained
        Whether each cell was explained, shape ``(n_cells,)``.
    """

    def __init__(self, shape: tuple[int, int], cells: np.ndarray, columns: np.ndarray) -> None:
        self._shape, self._cells, self._columns = shape, cells, columns
        self.explained = np.zeros(shape[0], dtype=bool)
        # Sparse blocks; from the first block that is not sparse on, all are dense.
        self._blocks: list[tuple[np.ndarray, sp.csr_matrix]] = []
        self._dense: np.ndarray | None = None

    @property
    def _is_full(self) -> bool:
        return 2 * len(self._cells) * len(self._columns) >= self._shape[0] * self._shape[1]

    def add(self, cells: np.ndarray, values: np.ndarray, scores: np.ndarray) -> None:
        """Add the attributions of the cells of a group.

        Parameters
        ----------
        cells
            Rows of the cells.
        values
            Their attributions, shape ``(n_cells, n_columns)``; NaN for cells that were not
            explained. They are changed in place.
        scores
            Signed scores of the group, shape ``(n_columns,)``.
        """
        self.explained[cells] = ~np.isnan(values).all(1)
        values = np.nan_to_num(values, copy=False)
        values[:, values.sum(0, dtype=np.float64) * scores < 0] *= -1
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
        """Cells × genes, float32."""
        if self._dense is not None and self._is_full:
            self._dense[~self.explained] = np.nan
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
