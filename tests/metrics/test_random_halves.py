"""Halves: every cell once, every group in both."""

import numpy as np
import pandas as pd
import pytest

from ace.metrics import random_halves

LABELS = np.repeat(["a", "b", "c"], [41, 10, 2])


@pytest.mark.parametrize("n_repeats", [1, 7])
def test_every_cell_once_and_every_group_in_both(n_repeats):
    halves = random_halves(LABELS, n_repeats)
    assert len(halves) == n_repeats
    for one, other in halves:
        assert sorted([*one, *other]) == list(range(53))
        assert (np.diff(one) > 0).all()
        assert (np.diff(other) > 0).all()
        sizes = [pd.Series(LABELS[cells]).value_counts() for cells in (one, other)]
        assert (sizes[0] - sizes[1]).abs().to_dict() == {"a": 1, "b": 0, "c": 0}


def test_random_state():
    def drawn(*arguments, **more):
        return [[half.tolist() for half in pair] for pair in random_halves(*arguments, **more)]

    assert drawn(LABELS, 3) == drawn(LABELS, 3)
    assert drawn(LABELS, 2) == drawn(LABELS, 3)[:2]
    assert drawn(LABELS, 3) != drawn(LABELS, 3, random_state=1)
    assert len({tuple(one) for one, _ in drawn(LABELS, 10)}) == 10


def test_categories_are_labels():
    labels = pd.Series(LABELS).astype("category")
    for pair, same in zip(random_halves(labels), random_halves(LABELS), strict=True):
        np.testing.assert_array_equal(pair[0], same[0])


@pytest.mark.parametrize(
    ("labels", "n_repeats", "message"),
    [
        (["a", "a", "b"], 1, r"The groups \['b'\] have one cell only"),
        ([], 1, "labels is empty"),
        (["a", None], 1, "1 labels are missing"),
        (["a", "a"], 0, "n_repeats must be a positive whole number"),
        ("ab", 1, "labels must name a group"),
    ],
)
def test_errors_say_what_was_expected(labels, n_repeats, message):
    with pytest.raises(ValueError, match=message):
        random_halves(labels, n_repeats)
