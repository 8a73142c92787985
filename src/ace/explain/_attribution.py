"""The result of a method for one comparison."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Attribution:
    """The attributions of one group against its reference.

    Attributes
    ----------
    scores
        Signed score of each feature, shape ``(n_features,)``: positive = enriched in the source.
    ranking
        Feature numbers, best first; ``abs(scores[ranking])`` never increases.
    per_cell
        Attributions of individual source cells, shape ``(n_cells, n_features)``, on request.
    diagnostics
        Measures of the quality of the explanation (columns of the diagnostics frame).
    """

    scores: np.ndarray
    ranking: np.ndarray
    per_cell: np.ndarray | None = None
    diagnostics: dict[str, float] = field(default_factory=dict)


def rank(
    magnitude: np.ndarray, tie_break: np.ndarray, names: Sequence[str] | None = None
) -> np.ndarray:
    """Order features by magnitude, then by a second score, then by name: never by position.

    Parameters
    ----------
    magnitude
        First criterion, larger is better, shape ``(n_features,)``. Compared in float32, the
        precision in which scores are stored.
    tie_break
        Second criterion, likewise.
    names
        Names, for features that are equal in both (such as genes that no cell expresses).

    Returns
    -------
    Feature numbers, best first.
    """
    last = name_order(names, len(magnitude))
    return np.lexsort((last, -np.float32(tie_break), -np.float32(magnitude)))


def name_order(names: Sequence[str] | None, n_features: int) -> np.ndarray:
    """Position of each feature in the alphabetical order of names; 0 if there are no names."""
    return np.zeros(n_features) if names is None else np.argsort(np.argsort(np.array(names)))
