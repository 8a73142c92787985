"""Sampled cells, and the statistics from which their kind of values is determined."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import scipy.sparse as sp

    Undo = Callable[[np.ndarray], np.ndarray]

#: Relative range of totals (5th to 95th percentile) within which they count as equal.
SAME_TOTAL = 0.02
#: Largest multiple of a cell's unit that is used, and tolerance for being whole.
LARGEST_MULTIPLE, TOLERANCE = 10.0, 0.02


class SampledCells:
    """Sampled cells with a value other than 0, and statistics of each.

    Parameters
    ----------
    part
        Rows of the matrix, float64, without stored zeros.
    rows
        Their row numbers.
    """

    def __init__(self, part: sp.csr_array, rows: np.ndarray) -> None:
        kept = np.diff(part.indptr) > 0
        self.part = part if kept.all() else part[np.flatnonzero(kept)]
        self.rows = rows[kept]
        self.n = len(self.rows)
        self.data = self.part.data
        self.size = np.diff(self.part.indptr)
        self.row = np.repeat(np.arange(self.n), self.size)
        self.starts = self.part.indptr[:-1]
        if self.n:
            self.low = np.minimum.reduceat(self.data, self.starts)
            self.high = np.maximum.reduceat(self.data, self.starts)

    def of(self, chosen: np.ndarray) -> SampledCells:
        """Some of the cells."""
        return SampledCells(self.part[np.flatnonzero(chosen)], self.rows[chosen])

    def totals(self, undo: Undo) -> np.ndarray:
        """Total of each cell."""
        return np.bincount(self.row, undo(self.data), minlength=self.n)

    def count(self, which: np.ndarray) -> np.ndarray:
        """Number of selected values in each cell."""
        return np.bincount(self.row[which], minlength=self.n)

    def multiples(self, undo: Undo) -> tuple[np.ndarray, np.ndarray]:
        """Number of values per cell that can be multiples of its unit, and that are multiples.

        The unit is the lowest value, or a half or third of it, as a cell may lack single counts.
        """
        values = np.minimum(undo(self.data), np.finfo(float).max)
        with np.errstate(over="ignore"):
            ratio = values / np.minimum.reduceat(values, self.starts)[self.row]
        ratio[ratio > 3 * LARGEST_MULTIPLE] = 0.0  # too large to be informative
        tried, found = self._near(ratio, 1)
        for parts in (2, 3):
            poor = found < 0.7 * tried
            if not poor.any():
                break
            more, near = self._near(ratio * parts, parts)
            better = poor & (near * np.maximum(tried, 1) > (found + 0.3 * tried) * more)
            tried, found = np.where(better, more, tried), np.where(better, near, found)
        return tried, found

    def _near(self, ratio: np.ndarray, parts: int) -> tuple[np.ndarray, np.ndarray]:
        # The unit itself is trivially a multiple.
        tried = (ratio > 1.05 * parts) & (ratio < LARGEST_MULTIPLE)
        ratio = np.where(tried, ratio, 0)  # infinite after overflow
        near = tried & (np.abs(ratio - np.rint(ratio)) < TOLERANCE)
        return self.count(tried), self.count(near)


def same(values: np.ndarray) -> np.ndarray:
    """Return the values unchanged."""
    return values


def power(base: float) -> Undo:
    """Return a function that undoes log(1 + x) to a base."""
    factor = math.log(base)

    def undo(values: np.ndarray) -> np.ndarray:
        # No cell has e³⁵ counts: larger values cannot be logarithms.
        exponents = values * factor
        return np.expm1(np.where(exponents < 35.0, exponents, np.inf))

    return undo
