"""Draw pairs of cells between which the values of genes are swapped."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Swaps:
    """Cells of a group, each with a donor in another subcluster, for every pair of subclusters.

    Parameters
    ----------
    pairs
        Codes of the two subclusters of each pair.
    pair
        Number of the pair that each swap belongs to. This and the other arrays have one value
        per swap.
    cells, donors
        Positions in the group of the cell that gets values, and of the cell that gives them.
    origin, source
        Subclusters of ``cells`` and of ``donors``.
    """

    pairs: list[tuple[int, int]]
    pair: np.ndarray
    cells: np.ndarray
    donors: np.ndarray
    origin: np.ndarray
    source: np.ndarray

    def score(self, found: np.ndarray) -> np.ndarray:
        """Return the score of each pair, given the subcluster nearest to each swapped cell."""
        moved = (found == self.source).astype(np.float64) - (found == self.origin)
        return np.bincount(self.pair, weights=moved) / self.n_cells

    @property
    def n_cells(self) -> np.ndarray:
        """Number of swapped cells of each pair."""
        return np.bincount(self.pair)


def draw_swaps(
    subcluster: np.ndarray, min_cells: int, max_cells: int | None, rng: np.random.Generator
) -> Swaps:
    """Draw a donor for each cell of each pair of subclusters.

    Parameters
    ----------
    subcluster
        Code of the subcluster of each cell of the group.
    min_cells
        Subclusters with fewer cells are left out.
    max_cells
        Number of cells of a subcluster to swap at most, drawn at random; ``None`` for all.
    rng
        Source of randomness.
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
    """Draw sets of the same size from the other genes.

    Parameters
    ----------
    genes
        Positions of the genes of the set.
    n_genes
        Number of genes of the model.
    n_random
        Number of sets to draw.
    rng
        Source of randomness.
    group
        Name of the group that the set is for, for the message.

    Raises
    ------
    ValueError
        If there are fewer other genes than genes in the set.
    """
    others = np.setdiff1d(np.arange(n_genes), genes)
    if n_random and len(others) < len(genes):
        raise ValueError(
            f"the gene set of {group!r} has {len(genes)} of the {n_genes} genes of the model, "
            "which leaves too few for random sets of the same size: pass n_random=0."
        )
    return [np.sort(rng.choice(others, len(genes), replace=False)) for _ in range(n_random)]
