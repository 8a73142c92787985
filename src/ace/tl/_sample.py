"""The cells that an explanation is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ace._matrix import read_rows
from ace.explain import GroupedCells

if TYPE_CHECKING:
    from ace.tl._comparisons import Comparisons, Groups
    from ace.tl._sources import Scored


@dataclass(frozen=True)
class Sample:
    """Cells drawn from each group.

    Attributes
    ----------
    rows
        Rows of the cells drawn from each group, in increasing order.
    cells
        Their values, in the order of the groups of the scorer.
    code
        For each group its code in the scorer.
    """

    rows: list[np.ndarray]
    cells: GroupedCells
    code: list[int]

    def coded(self, comparisons: Comparisons) -> list[tuple[int, int | None]]:
        """The comparisons by the codes of the groups in the scorer."""
        return [(self.code[s], None if t is None else self.code[t]) for s, t in comparisons.pairs]


def draw_sample(
    matrix: Any,
    groups: Groups,
    sizes: np.ndarray,
    scored: Scored,
    n_cells: int | None,
    random_state: int,
) -> Sample:
    """Draw cells from each group, and read them once.

    Parameters
    ----------
    matrix
        Expression, cells × genes.
    groups
        The groups.
    sizes
        Number of cells of each group.
    scored
        The scorer, which may have the groups in another order.
    n_cells
        Largest number of cells per group; ``None`` for all.
    random_state
        Seed.
    """
    rows = [draw_rows(groups.codes, g, n_cells, random_state) for g in range(len(groups))]
    code = [scored.scorer.groups.index(name) for name in groups.names]
    order = np.argsort(code)
    cells = _read(matrix, [rows[g] for g in order], sizes[order], scored)
    return Sample(rows, cells, code)


def draw_rows(codes: np.ndarray, group: int, n_cells: int | None, random_state: int) -> np.ndarray:
    """Draw rows of a group, in increasing order."""
    own = np.flatnonzero(codes == group)
    if n_cells is None or len(own) <= n_cells:
        return own
    rng = np.random.default_rng([random_state, 0, group])
    return np.sort(rng.choice(own, n_cells, replace=False))


def _read(matrix: Any, drawn: list[np.ndarray], sizes: np.ndarray, scored: Scored) -> GroupedCells:
    """Read cells once, in the order of the matrix, and split them by group."""
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
