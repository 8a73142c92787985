"""Which cells get which genes of which others."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Swaps:
    """Cells of a group, each with a donor in another subcluster, for every pair of these."""

    pairs: list[tuple[int, int]]
    #: Which pair each swap is of; the arrays have one number for each swap.
    pair: np.ndarray
    #: Positions in the group: who gets values, and of whom.
    cells: np.ndarray
    donors: np.ndarray
    #: Subclusters of these.
    origin: np.ndarray
    source: np.ndarray

    def score(self, found: np.ndarray) -> np.ndarray:
        """Score of each pair, from the subclusters that swapped cells were found in."""
        right = (found == self.source).astype(np.float64) - (found == self.origin)
        return np.bincount(self.pair, weights=right) / self.n_cells

    @property
    def n_cells(self) -> np.ndarray:
        """Swapped cells of each pair."""
        return np.bincount(self.pair)


def draw_swaps(
    subcluster: np.ndarray, min_cells: int, max_cells: int | None, rng: np.random.Generator
) -> Swaps:
    """Draw a donor for each cell (of more than ``max_cells``, some) of each pair of subclusters.

    Subclusters of fewer than ``min_cells`` are in no pair.
    """
    large = np.flatnonzero(np.bincount(subcluster) >= min_cells)
    pairs = list(itertools.combinations(large.tolist(), 2))
    parts: list[tuple[np.ndarray, ...]] = []
    for number, pair in enumerate(pairs):
        for origin, source in (pair, pair[::-1]):
            cells = np.flatnonzero(subcluster == origin)
            if max_cells is not None and len(cells) > max_cells:
                cells = np.sort(rng.choice(cells, max_cells, replace=False))
            donors = rng.choice(np.flatnonzero(subcluster == source), len(cells))
            same = np.ones_like(cells)
            parts.append((number * same, cells, donors, origin * same, source * same))
    arrays = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Swaps(pairs, *(arrays or [np.empty(0, dtype=np.int64)] * 5))


def random_sets(
    genes: np.ndarray, n_genes: int, n_random: int, rng: np.random.Generator, group: str
) -> list[np.ndarray]:
    """Sets of as many of the other genes."""
    others = np.setdiff1d(np.arange(n_genes), genes)
    if n_random and len(others) < len(genes):
        raise ValueError(
            f"the set of {group!r} has {len(genes)} of the {n_genes} genes of the model, which "
            "leaves too few for random sets of that size: pass n_random=0 to do without them."
        )
    return [np.sort(rng.choice(others, len(genes), replace=False)) for _ in range(n_random)]
