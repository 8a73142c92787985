"""Former name of :mod:`ace._checks._value_checks`."""

from ace._checks._value_checks import (
    MAX_RATIO_OF_TOTALS,
    log_normalised,
    not_negative,
    same_values,
    values_of,
    warn_unless_counts,
    warn_unless_log,
)

__all__ = [
    "MAX_RATIO_OF_TOTALS",
    "log_normalised",
    "not_negative",
    "same_values",
    "values_of",
    "warn_unless_counts",
    "warn_unless_log",
]
