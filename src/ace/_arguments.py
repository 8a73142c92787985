"""Former name of :mod:`ace._checks._arguments`."""

from ace._checks._arguments import (
    LARGEST_SEED,
    TOO_LARGE,
    category,
    column_names,
    layers,
    n_jobs,
    number,
    one_of,
    positive,
    seed,
    share,
    whole,
)

__all__ = [
    "LARGEST_SEED",
    "TOO_LARGE",
    "category",
    "column_names",
    "layers",
    "n_jobs",
    "number",
    "one_of",
    "positive",
    "seed",
    "share",
    "whole",
]
