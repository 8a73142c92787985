"""Measures of the agreement of two rankings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable

#: Default persistence of the rank-biased overlap: the top 10 genes have 86 % of the weight.
PERSISTENCE = 0.9


def jaccard(first: list[Hashable], second: list[Hashable]) -> float:
    """Jaccard index of two panels; NaN if both are empty."""
    shared = len(set(first) & set(second))
    either = len(first) + len(second) - shared
    return shared / either if either else np.nan


def extrapolated_overlap(
    first: list[Hashable], second: list[Hashable], persistence: float
) -> float:
    """Webber's RBO_ext of two rankings without ties (Eq. 32); NaN if one is empty."""
    short, long = sorted((first, second), key=len)
    if not short:
        return np.nan
    depths = np.arange(1, len(long) + 1)
    seen_short: set[Hashable] = set()
    seen_long: set[Hashable] = set()
    shared = np.empty(len(long))
    for i, gene in enumerate(long):
        seen_long.add(gene)
        seen_short.update(short[i : i + 1])
        shared[i] = len(seen_short & seen_long)
    agreement = shared / depths
    # Extrapolation: the agreement at the end of the short ranking continues below it.
    n_short, at_end = len(short), shared[len(short) - 1]
    agreement += at_end * np.clip(depths - n_short, 0, None) / (n_short * depths)
    weights = (1 - persistence) / persistence * persistence**depths
    return float(weights @ agreement + persistence ** len(long) * agreement[-1])
