"""Cells as methods see them: grouped, sampled, dense only in minibatches."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Rows that are made dense at once. 256 × 20 000 float32 features are 20 MB.
BATCH_SIZE = 256


class Rows:
    """Rows of a dense or sparse matrix, handed out as dense float32 tensors.

    Parameters
    ----------
    matrix
        NumPy array, SciPy sparse matrix or array, or tensor, of shape ``(n_cells, n_features)``.
        It is kept as it is.
    context
        What else the scorer has to know of each cell (its size, its batch), of shape
        ``(n_cells, n_context)``; ``None``: nothing. It goes with the cell and is no feature.

    Raises
    ------
    ValueError
        If there is not one row of context for each cell.
    """

    def __init__(self, matrix: Any, context: np.ndarray | Tensor | None = None) -> None:
        self._matrix = matrix.tocsr() if sp.issparse(matrix) else matrix
        self._context = None if context is None else torch.as_tensor(context).float()
        if self._context is not None and len(self._context) != len(self):
            raise ValueError(
                f"{len(self)} cells need as many rows of context, got {len(self._context)}."
            )

    def __len__(self) -> int:
        return self._matrix.shape[0]

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self._matrix.shape[1]

    def __getitem__(self, index: np.ndarray | slice) -> Tensor:
        rows = self._matrix[index]
        if isinstance(rows, Tensor):
            return rows.float()
        dense = rows.toarray() if sp.issparse(rows) else np.asarray(rows)
        return torch.from_numpy(np.ascontiguousarray(dense, dtype=np.float32))

    def context(
        self, index: np.ndarray | slice, device: torch.device | None = None
    ) -> tuple[Tensor, ...]:
        """Context of some rows, to be handed to the scorer behind them: one tensor, or none."""
        if self._context is None:
            return ()
        return (self._context[index].to(device),)

    def columns(self, index: np.ndarray) -> np.ndarray:
        """Some columns of all rows, dense, shape ``(n_cells, len(index))``, float32."""
        part = self._matrix[:, index]
        if isinstance(part, Tensor):
            part = part.float().cpu().numpy()
        return np.asarray(part.toarray() if sp.issparse(part) else part, dtype=np.float32)

    def sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Sum of each column and of its squares, in double precision."""
        if sp.issparse(self._matrix):
            matrix = self._matrix
            if not matrix.has_canonical_format:
                matrix = matrix.copy()  # what is stored in two parts has the square of their sum
                matrix.sum_duplicates()
            values = matrix.data.astype(np.float32).astype(np.float64)  # as dense rows are
            n, columns = self.n_features, matrix.indices
            return np.bincount(columns, values, n), np.bincount(columns, values**2, n)
        total, squares = np.zeros(self.n_features), np.zeros(self.n_features)
        for batch in self.batches():
            x = batch.double()
            total += x.sum(0).cpu().numpy()
            squares += x.square().sum(0).cpu().numpy()
        return total, squares

    def times(self, loadings: np.ndarray) -> np.ndarray:
        """All rows times a matrix ``(n_features, k)``; sparse rows stay so."""
        return np.asarray(self._matrix @ loadings)

    def transposed_times(self, index: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Some rows, transposed, times a matrix ``(len(index), k)``; sparse rows stay so."""
        return np.asarray(self._matrix[index].T @ weights)

    @property
    def is_bare_array(self) -> bool:
        """Whether it is a matrix of NumPy or SciPy, for products as it is, without a context."""
        is_array = sp.issparse(self._matrix) or isinstance(self._matrix, np.ndarray)
        return is_array and self._context is None

    def batches(self, batch_size: int = BATCH_SIZE) -> Iterator[Tensor]:
        """Yield all rows in order, ``batch_size`` at a time."""
        for start in range(0, len(self), batch_size):
            yield self[slice(start, start + batch_size)]


class GroupedCells:
    """The cells that an explanation is computed from, group by group.

    Parameters
    ----------
    matrices
        For each group of the scorer, in its order, a matrix ``(n_cells, n_features)`` of (a
        sample of) its cells.
    sizes
        How many cells each group has in the data; by default the numbers given. A reference that
        is "the rest" is drawn in these proportions.
    contexts
        For each group the context of its cells, where the scorer takes one: see
        :class:`~ace.explain.GroupScorer`.

    Raises
    ------
    ValueError
        If matrices differ in their number of features, a group has no cell, or contexts do not
        match the matrices.
    """

    def __init__(
        self,
        matrices: Sequence[Any],
        sizes: Sequence[int] | np.ndarray | None = None,
        contexts: Sequence[np.ndarray | Tensor] | None = None,
    ) -> None:
        each = [None] * len(matrices) if contexts is None else contexts
        self.groups = [
            m if isinstance(m, Rows) else Rows(m, c) for m, c in zip(matrices, each, strict=True)
        ]
        widths = {rows.n_features for rows in self.groups}
        if len(widths) != 1:
            raise ValueError(f"groups must share their features, got widths {sorted(widths)}.")
        if any(len(rows) == 0 for rows in self.groups):
            raise ValueError("every group needs at least one cell.")
        self.n_features = widths.pop()
        #: The scorer that scored these cells last, and its log-odds of each group's cells.
        self.scored: tuple[object, list[np.ndarray]] | None = None
        #: The same for the coordinates of the cells in a linear embedding.
        self.embedded: tuple[object, list[np.ndarray]] | None = None
        self.sizes = np.asarray(sizes if sizes is not None else [len(g) for g in self.groups])

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, group: int) -> Rows:
        return self.groups[group]

    def others(self, source: int, reference: int | None) -> list[int]:
        """Groups that ``source`` is compared with."""
        if reference is not None:
            return [reference]
        return [g for g in range(len(self)) if g != source]

    def draw_reference(
        self,
        source: int,
        reference: int | None,
        n: int,
        rng: np.random.Generator,
        *,
        balanced: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw reference cells.

        Parameters
        ----------
        source, reference
            Codes of the two groups; ``None`` is the rest.
        n
            How many to draw.
        rng
            Source of randomness.
        balanced
            Give every group of the rest the same weight, not its share of the cells.

        Returns
        -------
        The group that each cell is of, in increasing order, and its row there.
        """
        others = np.array(self.others(source, reference))
        weights = np.ones(len(others)) if balanced else self.sizes[others].astype(float)
        # Systematic sampling: the share of every group is as exact as n allows.
        edges = np.cumsum(weights) / weights.sum()
        group_of = others[
            np.minimum(np.searchsorted(edges, (np.arange(n) + rng.random()) / n), len(others) - 1)
        ]
        row_of = np.empty(n, dtype=np.int64)
        for group in np.unique(group_of):
            where = np.flatnonzero(group_of == group)
            row_of[where] = draw(len(self[group]), len(where), rng)
        return group_of, row_of

    def gather(self, group_of: np.ndarray, row_of: np.ndarray) -> Tensor:
        """Cells of several groups as one dense tensor, shape ``(n, n_features)``."""
        gathered = torch.empty(len(group_of), self.n_features)
        for group in np.unique(group_of):
            where = np.flatnonzero(group_of == group)
            gathered[torch.from_numpy(where)] = self[group][row_of[where]].to(gathered.device)
        return gathered

    @cached_property
    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each feature in each group."""
        sums = [rows.sums() for rows in self.groups]
        counts = np.array([len(rows) for rows in self.groups])[:, None]
        mean = np.array([total for total, _ in sums]) / counts
        square = np.array([squares for _, squares in sums]) / counts
        return mean, np.maximum(square - mean**2, 0)

    @cached_property
    def feature_range(self) -> tuple[Tensor, Tensor]:
        """Smallest and largest value of each feature over all cells."""
        low = torch.full((self.n_features,), torch.inf)
        high = -low
        for rows in self.groups:
            for batch in rows.batches():
                low = torch.minimum(low, batch.amin(0).cpu())
                high = torch.maximum(high, batch.amax(0).cpu())
        return low, high

    def difference(self, source: int, reference: int | None) -> np.ndarray:
        """Standardised mean difference of every feature, source minus reference.

        The difference of the means over the root of the mean of the two variances: it tells the
        direction of a feature and breaks ties among features that a method scores alike.

        Returns
        -------
        Array of shape ``(n_features,)``.
        """
        mean, var = self._moments
        others = self.others(source, reference)
        share = self.sizes[others] / self.sizes[others].sum()
        other_mean = share @ mean[others]
        other_var = share @ (var[others] + (mean[others] - other_mean) ** 2)
        gap = mean[source] - other_mean
        size = np.maximum(np.abs(mean[source]) + np.abs(other_mean), 1e-30)
        gap[np.abs(gap) <= 1e-9 * size] = 0  # rounding is no difference
        # A feature that is constant on both sides still differs, and as clearly as can be.
        return gap / np.maximum(np.sqrt((var[source] + other_var) / 2), 1e-6 * size)


def draw(n_available: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """``n`` row numbers, each row as often as the others before any is used again."""
    rounds = -(-n // n_available)
    return np.concatenate([rng.permutation(n_available) for _ in range(rounds)])[:n]
