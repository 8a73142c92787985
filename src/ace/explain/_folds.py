"""Cross-fitting: the scorer and the cells without a held-out part of the cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ace.explain._cells import GroupedCells
    from ace.explain._scorer import GroupScorer

N_FOLDS = 5


@dataclass(frozen=True)
class Fold:
    """One part of the cells is held out.

    Attributes
    ----------
    scorer
        The scorer, fitted again to the other cells if it can be: see
        :meth:`~ace.explain.GroupScorer.refitted`.
    fitted
        The other cells.
    held_out
        Rows of the held-out cells of each group; empty for groups of a single cell.
    log_odds
        Log-odds of all cells of each group by that scorer.
    """

    scorer: GroupScorer
    fitted: GroupedCells
    held_out: list[np.ndarray]
    log_odds: list[np.ndarray]


def folds(
    scorer: GroupScorer, cells: GroupedCells, *, n_folds: int = N_FOLDS, random_state: int = 0
) -> Iterator[Fold]:
    """Split the cells of each group into parts, and hold out one part after another.

    Parameters
    ----------
    scorer, cells
        The scorer and the cells of its groups.
    n_folds
        Number of parts.
    random_state
        Seed of the split.
    """
    rng = np.random.default_rng([random_state, 3])
    part = [_parts(len(rows), n_folds, rng) for rows in cells.groups]
    for fold in range(n_folds):
        held_out = [np.flatnonzero(own == fold) for own in part]
        if any(len(rows) for rows in held_out):
            rows = [np.flatnonzero(own != fold) for own in part]
            fitted = cells.subset(rows)
            refitted = scorer.refitted(fitted)
            log_odds = cells.log_odds_of_part(refitted, fitted, rows)
            yield Fold(refitted, fitted, held_out, log_odds)


def _parts(n_cells: int, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """Part of each cell; -1 for a single cell, which is never held out."""
    if n_cells == 1:
        return np.array([-1])
    # Start at any part, so that small groups are not all held out in the first ones.
    return (rng.permutation(n_cells) + rng.integers(n_folds)) % n_folds
