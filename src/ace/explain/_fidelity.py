"""Agreement of a scorer with the groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ace.explain._folds import folds

if TYPE_CHECKING:
    from ace.explain._cells import GroupedCells
    from ace.explain._scorer import GroupScorer


def fidelity(scorer: GroupScorer, cells: GroupedCells, *, random_state: int = 0) -> np.ndarray:
    """Share of the held-out cells of each group that the scorer assigns to that group.

    A scorer with prototypes is fitted again without the cells that it is judged on, in five folds.
    Any other scorer is judged as it is: if it was trained on these cells, its fidelity is too
    high.

    If the fidelity is low, the scorer does not reproduce the groups, so its explanation does not
    apply to them.

    Parameters
    ----------
    scorer
        The scorer.
    cells
        Cells of its groups.
    random_state
        Seed of the folds.

    Returns
    -------
    Array of shape ``(n_groups,)``, between 0 and 1. A single cell cannot be held out.
    """
    own = [m.argmax(1) == g for g, m in enumerate(cells.log_odds(scorer))]
    for fold in folds(scorer, cells, random_state=random_state):
        for group, rows in enumerate(fold.held_out):
            own[group][rows] = fold.log_odds[group][rows].argmax(1) == group
    return np.array([np.mean(right) for right in own])
