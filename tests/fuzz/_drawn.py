"""Draw arguments of calls, most of them valid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from tests.fuzz._cells import ODD_NAMES, pick

ODD_COUNTS = [0, -1, True, "3", 2.5, float("nan"), float("inf"), np.float32(2), [3], np.array([2])]
ODD_RATES = [-1.0, float("nan"), float("inf"), "x", True, None, [0.1], 2.0, np.array(0.5)]
ODD_SEEDS = [-1, True, "0", 1.5, 2**32, 2**70, float("nan"), None]


class Insane(AssertionError):
    """Raised if a result cannot be correct."""


def require(holds: Any, what: str) -> None:
    """Raise :class:`Insane` unless a condition holds."""
    if not holds:
        raise Insane(what)


class Drawn:
    """Arguments of one call, drawn at random.

    Parameters
    ----------
    rng
        Random number generator.
    oddness
        Probability that an argument is invalid or unusual.
    """

    def __init__(self, rng: np.random.Generator, *, oddness: float = 0.025) -> None:
        self.rng = rng
        self.oddness = oddness
        self.given: dict[str, Any] = {}

    def odd(self) -> bool:
        return bool(self.rng.random() < self.oddness)

    def _set(self, name: str, good: list[Any], odd: list[Any], default: float) -> None:
        if self.odd():
            self.given[name] = pick(self.rng, odd)
        elif self.rng.random() > default:
            self.given[name] = pick(self.rng, good)

    def count(self, name: str, *good: Any, default: float = 0.6) -> None:
        self._set(name, [*good, np.int64(good[0] or 1)], ODD_COUNTS, default)

    def rate(self, name: str, *good: Any, default: float = 0.7) -> None:
        self._set(name, [*good, np.float32(good[0])], ODD_RATES, default)

    def seed(self, name: str = "random_state") -> None:
        self._set(name, [0, 1, np.int64(3)], ODD_SEEDS, 0.7)

    def choice(self, name: str, *good: Any, default: float = 0.6) -> None:
        self._set(name, list(good), ["nothing", 3, None, "", [], np.nan, pd.NA, b"x"], default)

    def name(self, name: str = "key_added") -> None:
        self._set(name, ["mine", "ace2"], [*ODD_NAMES, None, 3, b"x", ["x"]], 0.8)

    def column(self, name: str, *good: Any, default: float = 0.0) -> None:
        odd = ["nowhere", "empty", "number", "flag", 3, None, "", ["ct"], np.nan]
        self._set(name, list(good), odd, default)
