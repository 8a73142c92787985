"""Settings and result of the explanation of one object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from ace import _checks
from ace.explain._method import Direction
from ace.tl._marginal_tests import TESTS

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Settings:
    """Arguments of :func:`ace.tl.explain` that apply to every category of ``within``.

    ``mask`` says of each gene whether it may be ranked.
    """

    method: str
    options: dict[str, Any]
    mask: np.ndarray | None
    direction: Direction
    quality: bool
    n_cells: int | None
    n_prototypes: int | None
    n_genes: int | None
    pvals: str | None
    per_cell: bool
    random_state: int

    def __post_init__(self) -> None:
        """Raise unless all values are valid."""
        for name in ("n_cells", "n_prototypes", "n_genes"):
            _checks.positive(getattr(self, name), name)
        _checks.seed(self.random_state)
        _checks.one_of(self.direction, "direction", get_args(Direction))
        if self.pvals is not None:
            _checks.one_of(self.pvals, "pvals", TESTS)

    @property
    def params(self) -> dict[str, Any]:
        """Those that are stored with the result as they are."""
        names = ("direction", "pvals", "n_cells", "n_genes", "random_state")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Explained:
    """What is stored of an explanation.

    Attributes
    ----------
    tables
        Records, scores and frames, as in :meth:`ace.tl._tables.ExplanationTables.parts`.
    params
        Parameters that depend on the cells: of the scorer and of the values.
    n_cells
        Number of cells that have a group.
    per_cell
        Attributions of individual cells, if they are kept.
    """

    tables: dict[str, Any]
    params: dict[str, Any]
    n_cells: int
    per_cell: Any | None = None
