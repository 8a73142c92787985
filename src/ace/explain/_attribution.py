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
        Signed score of each feature, shape ``(n_features,)``. The sign is the direction according
        to the method: a higher value of a feature with a positive score is evidence for the
        source.
    ranking
        Feature numbers, best first; ``abs(scores[ranking])`` never increases.
    per_cell
        Attributions of individual source cells, shape ``(n_cells, n_features)``, on request; NaN
        for cells that were not explained. The sign is that of the method: direction or
        contribution. (:func:`ace.tl.explain` stores them with the signs of the scores.)
    diagnostics
        Measures of the quality of the explanation (columns of the diagnostics frame).
    against
        Code of the group of the scorer that each feature distinguishes the source from most, shape
        ``(n_features,)``, integers. ``None`` if the method does not compare the source with
        individual groups; the group is then determined from the mean differences.
    """

    scores: np.ndarray
    ranking: np.ndarray
    per_cell: np.ndarray | None = None
    diagnostics: dict[str, float] = field(default_factory=dict)
    against: np.ndarray | None = None


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
