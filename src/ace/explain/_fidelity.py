"""Agreement of a scorer with the groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ace.explain._cells import GroupedCells
    from ace.explain._scorer import GroupScorer


def fidelity(scorer: GroupScorer, cells: GroupedCells) -> np.ndarray:
    """Share of the cells of each group that the scorer assigns to that group.

    If it is low, the scorer does not reproduce the groups, so its explanation does not apply to
    them.

    Parameters
    ----------
    scorer
        The scorer.
    cells
        Cells of its groups.

    Returns
    -------
    Array of shape ``(n_groups,)``, between 0 and 1.
    """
    scored = cells.log_odds(scorer)
    return np.array([np.mean(m.argmax(1) == g) for g, m in enumerate(scored)])
