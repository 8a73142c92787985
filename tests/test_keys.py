"""Names of pairs: told apart again, whatever groups are called."""

from __future__ import annotations

from itertools import islice, permutations

import pytest

from ace._keys import pair_name, pairs_of

NAMES = [
    ["B", "A"],
    ["B", "A vs C"],
    ["A vs B", "A", "B"],
    ["a vs b", "b vs c", "c vs d", "d"],
    ["rest", "each", "0", ""],
    [" vs ", "vs", "x vs "],
    [f"cluster {i}" for i in range(13)],
]


@pytest.mark.parametrize("names", NAMES, ids=len)
def test_pairs_are_told_apart(names: list[str]) -> None:
    for order in islice(permutations(names), 24):
        pairs = [(a, b) for a in order for b in order if a != b]
        fields = [pair_name(a, b) for a, b in pairs]
        assert pairs_of(fields) == dict(zip(fields, pairs, strict=True))


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["A"],
        ["A", "B"],
        ["A vs B"],
        ["A vs B", "C vs D"],
        ["A vs B", "A vs C"],
        [pair_name(a, "C") for a in "AB"],
    ],
)
def test_other_fields_are_no_pairs(fields: list[str]) -> None:
    assert pairs_of(fields) is None
