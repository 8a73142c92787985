"""The cells that are explained: drawn, read once, and written back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from ace._matrix import read_rows
from ace.explain import GroupedCells

if TYPE_CHECKING:
    from ace.tl._scorers import Scored

#: Attributions are kept sparse if fewer than one in this many differs from 0; with more, their
#: indices would take as much memory as the values.
FULL = 3


def draw_cells(
    codes: np.ndarray, group: int, n_cells: int | None, random_state: int
) -> np.ndarray:
    """Cells of a group, at most ``n_cells`` at random, in increasing order."""
    own = np.flatnonzero(codes == group)
    if n_cells is None or len(own) <= n_cells:
        return own
    rng = np.random.default_rng([random_state, 0, group])
    return np.sort(rng.choice(own, n_cells, replace=False))


def read_cells(
    matrix: Any, drawn: list[np.ndarray], sizes: np.ndarray, scored: Scored
) -> GroupedCells:
    """Read the drawn cells once, in the order of the matrix, and hand them out by group."""
    every = np.concatenate(drawn)
    order = np.argsort(every)
    columns = scored.columns
    in_order = columns.size == matrix.shape[1] and bool((np.diff(columns) == 1).all())
    part = read_rows(matrix, every[order], None if in_order else columns)
    position = np.argsort(order)
    ends = np.cumsum([len(d) for d in drawn])
    groups = [position[end - len(d) : end] for d, end in zip(drawn, ends, strict=True)]
    contexts = None
    if scored.context is not None:
        context = scored.context(every[order])
        contexts = [context[group] for group in groups]
    return GroupedCells([part[group] for group in groups], sizes, contexts)


class CellLayer:
    """Collect the attributions of single cells in one matrix.

    The matrix is sparse if the method changes few genes per cell, or if fewer than half of the
    values are explained. Otherwise it is a dense array, which then takes half the memory.

    Parameters
    ----------
    shape
        Number of cells and genes in the data.
    cells
        All cells that are explained, in increasing order.
    columns
        Positions of the genes that the scorer uses.
    """

    def __init__(self, shape: tuple[int, int], cells: np.ndarray, columns: np.ndarray) -> None:
        self._shape, self._cells, self._columns = shape, cells, columns
        #: Sparse blocks; after the first block that is not sparse, all are dense.
        self._blocks: list[tuple[np.ndarray, sp.csr_matrix]] = []
        self._dense: np.ndarray | None = None

    @property
    def _is_full(self) -> bool:
        return 2 * len(self._cells) * len(self._columns) >= self._shape[0] * self._shape[1]

    def add(self, cells: np.ndarray, values: np.ndarray) -> None:
        """Add attributions of cells, ``(n_cells, n_columns)``; NaN (not explained) becomes 0."""
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
