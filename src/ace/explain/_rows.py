"""Rows of a matrix as dense tensors, a minibatch at a time."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Rows converted to dense at a time: 256 × 20 000 float32 features take 20 MB.
BATCH_SIZE = 256
#: Dense values held at a time, over all copies of the rows of a minibatch: 64 MB of float32.
MAX_VALUES = 2**24


def rows_at_once(n_features: int, n_copies: int) -> int:
    """Largest minibatch if each cell is expanded to ``n_copies`` copies."""
    return max(1, MAX_VALUES // (n_features * n_copies))


class Rows:
    """Rows of a dense or sparse matrix, read as dense float32 tensors.

    Parameters
    ----------
    matrix
        NumPy array, SciPy sparse matrix or array, or tensor, of shape ``(n_cells, n_features)``.
        It is not copied.
    context
        Further input of the scorer for each cell, such as its total or its batch, of shape
        ``(n_cells, n_context)``; ``None`` if the scorer takes none. Context is never attributed.

    Raises
    ------
    ValueError
        If the context does not have one row per cell.
    """

    def __init__(self, matrix: Any, context: np.ndarray | Tensor | None = None) -> None:
        self._own: Any = matrix.tocsr() if sp.issparse(matrix) else matrix
        self._context = None if context is None else torch.as_tensor(context).float()
        # For a subset: all rows, and which of them. Columns are read from all rows, which are
        # stored by columns once.
        self._whole: tuple[Rows, np.ndarray] | None = None
        if self._context is not None and len(self._context) != len(self):
            raise ValueError(
                f"the context must have one row per cell: {len(self)} cells, but "
                f"{len(self._context)} rows."
            )

    @property
    def _matrix(self) -> Any:
        if self._own is None and self._whole is not None:
            rows, of_whole = self._whole
            self._own = rows._matrix[of_whole]
        return self._own

    def __len__(self) -> int:
        return self._own.shape[0] if self._whole is None else len(self._whole[1])

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self._own.shape[1] if self._whole is None else self._whole[0].n_features

    def __getitem__(self, index: np.ndarray | slice) -> Tensor:
        rows = self._matrix[index]
        if isinstance(rows, Tensor):
            return rows.float()
        dense = rows.toarray() if sp.issparse(rows) else np.asarray(rows)
        return torch.from_numpy(np.ascontiguousarray(dense, dtype=np.float32))

    def subset(self, index: np.ndarray, *, alone: bool = False) -> Rows:
        """Some of the rows, with their context; a copy of them with ``alone``."""
        context = None if self._context is None else self._context[index]
        if alone:
            return Rows(self._matrix[index], context)
        part = Rows(self._matrix[:0], None if context is None else context[:0])
        # The values are copied when they are needed.
        part._own, part._whole, part._context = None, (self, index), context
        return part

    @cached_property
    def _by_column(self) -> Any:
        """The matrix, stored by columns if it is sparse."""
        return self._matrix.tocsc() if sp.issparse(self._matrix) else self._matrix

    def context(
        self, index: np.ndarray | slice, device: torch.device | None = None
    ) -> tuple[Tensor, ...]:
        """Context of some rows, as further arguments of the scorer: one tensor, or none."""
        if self._context is None:
            return ()
        return (self._context[index].to(device),)

    def columns(self, index: np.ndarray) -> np.ndarray:
        """Some columns of all rows, dense, shape ``(n_cells, len(index))``, float32."""
        if self._whole is not None:
            rows, of_whole = self._whole
            return rows.columns(index)[of_whole]
        part = self._by_column[:, index]
        if isinstance(part, Tensor):
            part = part.float().cpu().numpy()
        return np.asarray(part.toarray() if sp.issparse(part) else part, dtype=np.float32)

    def sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Sum of each column and sum of its squares, in double precision."""
        if sp.issparse(self._matrix):
            matrix = self._matrix
            if not matrix.has_canonical_format:
                matrix = matrix.copy()  # the square of a sum is not the sum of squares
                matrix.sum_duplicates()
            values = matrix.data.astype(np.float32).astype(np.float64)  # rounded like dense rows
            n, columns = self.n_features, matrix.indices
            return np.bincount(columns, values, n), np.bincount(columns, values**2, n)
        total, squares = np.zeros(self.n_features), np.zeros(self.n_features)
        for batch in self.batches():
            x = batch.double()
            total += x.sum(0).cpu().numpy()
            squares += x.square().sum(0).cpu().numpy()
        return total, squares

    def times(self, loadings: np.ndarray) -> np.ndarray:
        """Product of all rows with a matrix ``(n_features, k)``, computed sparsely if possible."""
        return np.asarray(self._matrix @ loadings)

    def transposed_times(self, index: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Product of the transpose of some rows with a matrix ``(len(index), k)``."""
        return np.asarray(self._matrix[index].T @ weights)

    @property
    def is_bare_array(self) -> bool:
        """Whether products can be taken directly: a NumPy or SciPy matrix without context."""
        matrix = self._own if self._whole is None else self._whole[0]._matrix
        is_array = sp.issparse(matrix) or isinstance(matrix, np.ndarray)
        return is_array and self._context is None

    def batches(self, batch_size: int = BATCH_SIZE) -> Iterator[Tensor]:
        """Yield all rows in order, ``batch_size`` at a time."""
        for start in range(0, len(self), batch_size):
            yield self[slice(start, start + batch_size)]
