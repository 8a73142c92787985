"""Detect what kind of values a matrix holds: counts, logarithms, scaled values, ..."""

from ace._values._describe import MOST_CELLS, claimed_base, describe, log_base
from ace._values._kinds import CONSTANT, NAMES, Values

__all__ = ["CONSTANT", "MOST_CELLS", "NAMES", "Values", "claimed_base", "describe", "log_base"]
