"""Compare two ranked panels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable

#: Persistence of the rank-biased overlap: the first 10 genes carry 86 % of its weight.
PERSISTENCE = 0.9


def jaccard(first: list[Hashable], second: list[Hashable]) -> float:
    """Shared genes as a share of those that are in either; NaN of two empty panels."""
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
    # Below its end, the short ranking is taken to go on agreeing as much as it did there.
    n_short, at_end = len(short), shared[len(short) - 1]
    agreement += at_end * np.clip(depths - n_short, 0, None) / (n_short * depths)
    weights = (1 - persistence) / persistence * persistence**depths
    return float(weights @ agreement + persistence ** len(long) * agreement[-1])
