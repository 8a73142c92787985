"""Cells that prototypes are fitted to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ace.tl._comparisons import Groups

#: Largest number of cells per group that prototypes are fitted to.
N_CELLS_FIT = 2000


def cells_to_fit(groups: Groups, rng: np.random.Generator) -> np.ndarray:
    """Rows of the cells that prototypes are fitted to, in increasing order."""
    each = [
        sample(np.flatnonzero(groups.codes == g), N_CELLS_FIT, rng) for g in range(len(groups))
    ]
    return np.sort(np.concatenate(each))


def sample(rows: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``n`` rows; all of them if there are no more."""
    return rows if len(rows) <= n else rng.choice(rows, n, replace=False)
