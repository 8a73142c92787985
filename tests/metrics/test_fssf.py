"""FSSF score of simulated points."""

import numpy as np
import pytest

from ace.metrics import fssf


@pytest.fixture
def cells():
    """Three distant subclusters of ten cells."""
    rng = np.random.default_rng(0)
    names = np.repeat(["a", "b", "c"], 10)
    centre = {"a": [0, 0], "b": [50, 0], "c": [0, 50]}
    return np.array([centre[n] for n in names]) + rng.normal(size=(30, 2)), names


def test_by_hand(cells):
    z, names = cells
    # Ten cells of a with genes of b: six are assigned to b, three to a and one to c.
    swapped = np.array([[50, 0]] * 6 + [[0, 0]] * 3 + [[0, 50]])
    score = fssf(z, names, swapped, ["b"] * 10, ["a"] * 10, n_neighbors=5)
    assert score == pytest.approx((6 - 3) / 10)
    # Both directions are pooled.
    both = np.concatenate([swapped, [[0, 0]] * 10])
    score = fssf(z, names, both, ["b"] * 10 + ["a"] * 10, ["a"] * 10 + ["b"] * 10, n_neighbors=5)
    assert score == pytest.approx((16 - 3) / 20)


def test_extremes(cells):
    z, names = cells
    origin, source = names[:20], np.repeat(["b", "a"], 10)
    assert fssf(z, names, z[:20], source, origin) == -1
    assert fssf(z, names, np.roll(z[:20], 10, axis=0), source, origin, n_neighbors=5) == 1
    assert fssf(z, names, z[20:], ["b"] * 10, ["a"] * 10, n_neighbors=5) == 0


def test_majority_of_the_neighbours_decides():
    z = [[0.0], [2.0], [2.1], [9.0]]
    # The nearest cell is in a, but two of the three nearest are in b.
    assert fssf(z, list("abbb"), [[0.9]], ["b"], ["a"], n_neighbors=1) == -1
    assert fssf(z, list("abbb"), [[0.9]], ["b"], ["a"], n_neighbors=3) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z": np.zeros(4)}, "z must be a matrix of cells × dimensions, got 1"),
        ({"swapped": np.zeros((2, 3))}, "same number of dimensions, got 2 and 3"),
        ({"swapped": np.zeros((0, 2))}, "swapped is empty"),
        ({"swapped": np.full((2, 2), np.nan)}, "swapped holds NaN"),
        ({"source": ["b"]}, "each of 2 cells"),
        ({"source": ["b", "d"]}, r"values of subclusters, \['a', 'b', 'c'\], got \['d'\]"),
        (
            {"n_neighbors": 31},
            "n_neighbors \\(for 30 original cells\\) must be a whole number from 1 to 30",
        ),
    ],
)
def test_errors_say_what_was_expected(cells, change, message):
    z, names = cells
    arguments = {
        "z": z,
        "subclusters": names,
        "swapped": z[:2],
        "source": ["b", "b"],
        "origin": ["a", "a"],
    }
    with pytest.raises(ValueError, match=message):
        fssf(**arguments | change)
