"""The cells that are explained: drawn, read once, and written back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from ace._matrix import read_rows
from ace.explain import GroupedCells

if TYPE_CHECKING:
    from ace.tl._scorers import Scored


def draw_cells(
    codes: np.ndarray, group: int, n_cells: int | None, random_state: int
) -> np.ndarray:
    """Cells of a group, at most ``n_cells`` at random, in increasing order."""
    own = np.flatnonzero(codes == group)
    if n_cells is None or len(own) <= n_cells:
        return own
    rng = np.random.default_rng([random_state, 0, group])
    return np.sort(rng.choice(own, n_cells, replace=False))


def read_cells(
    matrix: Any, drawn: list[np.ndarray], sizes: np.ndarray, scored: Scored
) -> GroupedCells:
    """Read the drawn cells once, in the order of the matrix, and hand them out by group."""
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


def layer_of_cells(
    rows: list[tuple[np.ndarray, np.ndarray]], shape: tuple[int, int], columns: np.ndarray
) -> sp.csr_matrix:
    """Sparse cells × genes matrix of the attributions of single cells."""
    cells = np.concatenate([index for index, _ in rows])
    values = np.nan_to_num(np.concatenate([v for _, v in rows]))
    spread = sp.csr_matrix(values) @ sp.csr_matrix(
        (np.ones(len(columns), np.float32), (np.arange(len(columns)), columns)),
        shape=(len(columns), shape[1]),
    )
    placed = sp.csr_matrix(
        (np.ones(len(cells), np.float32), (cells, np.arange(len(cells)))),
        shape=(shape[0], len(cells)),
    )
    return sp.csr_matrix(placed @ spread, dtype=np.float32)
