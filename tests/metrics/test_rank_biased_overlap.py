"""Rank-biased overlap, compared with its definition as an infinite sum and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ace.metrics import rank_biased_overlap

rankings = st.lists(st.integers(0, 12), unique=True, min_size=1, max_size=10)


def _infinite_sum(first, second, p, depths=4000):
    """(1 - p) Σ p^(d-1) A_d (Webber's Eq. 4), with the agreement A_d extrapolated (§4.3).

    Down to the end of the short ranking agreement is what it is; below, each further gene of
    the long one is taken to be in the short one as often as its genes were before; and below the
    long one, agreement stays.
    """
    short, long = sorted((first, second), key=len)
    total = 0.0
    for d in range(1, depths + 1):
        if d <= len(long):
            shared = len(set(short[:d]) & set(long[:d]))
            if d > len(short):
                at_end = len(set(short) & set(long[: len(short)]))
                shared += (d - len(short)) * at_end / len(short)
            agreement = shared / d
        total += (1 - p) * p ** (d - 1) * agreement
    return total


@given(first=rankings, second=rankings, p=st.sampled_from([0.5, 0.9, 0.98]))
def test_is_the_infinite_sum(first, second, p):
    value = rank_biased_overlap(first, second, persistence=p)
    assert value == pytest.approx(_infinite_sum(first, second, p), abs=1e-9)
    assert rank_biased_overlap(second, first, persistence=p) == pytest.approx(value, abs=1e-12)
    assert -1e-12 <= value <= 1 + 1e-12


def test_by_hand():
    # X = 0, 1, 3 at the depths 1, 2, 3.
    value = rank_biased_overlap(list("abc"), list("bca"), persistence=0.5)
    assert value == pytest.approx(0.5 / 0.5 * (0 + 0.5**2 / 2 + 0.5**3) + 0.5**3)
    # The long ranking has X = 1, 1, 2, the short one X_s = 1 at s = 1: Eq. 32 term by term.
    value = rank_biased_overlap(["a"], list("abc"), persistence=0.5)
    first = 1 * 0.5 + 1 / 2 * 0.25 + 1 / 3 * 0.125
    second = 1 * 1 / (1 * 2) * 0.25 + 1 * 2 / (1 * 3) * 0.125
    third = ((1 - 1) / 3 + 1 / 1) * 0.125
    assert value == pytest.approx(first + second + third)
    assert value == pytest.approx(1)  # all that is known agrees


def test_the_top_counts_most():
    best = list(range(10))
    swapped_at_the_top = [1, 0, *range(2, 10)]
    swapped_at_the_end = [*range(8), 9, 8]
    top, end = (rank_biased_overlap(best, o) for o in (swapped_at_the_top, swapped_at_the_end))
    assert top == pytest.approx(1 - 0.1)  # the first depth alone disagrees, of weight 1 - p
    assert end == pytest.approx(1 - 0.1 * 0.9**8 / 9)


def test_same_and_disjoint():
    assert rank_biased_overlap(range(20), range(20)) == pytest.approx(1)
    assert rank_biased_overlap(range(20), range(20, 40)) == 0
    assert np.isnan(rank_biased_overlap([], ["CD3D"]))


def test_kinds_of_sequences_are_the_same():
    names = np.array(["CD3D", "IL7R", "CCR7"])
    other = ["IL7R", "CD3D", "CCL5"]
    expected = rank_biased_overlap(names.tolist(), other)
    assert rank_biased_overlap(names, other) == expected
    assert rank_biased_overlap(names.astype(object), tuple(other)) == expected
    assert 0 < expected < 1


@pytest.mark.parametrize("persistence", [0, 1, -0.1, 90])
def test_persistence(persistence):
    with pytest.raises(ValueError, match="persistence must be a number between 0 and 1"):
        rank_biased_overlap([1], [1], persistence=persistence)


def test_ties_and_text():
    with pytest.raises(ValueError, match=r"ranking .second. has a gene twice"):
        rank_biased_overlap([1, 2], [2, 2])
    with pytest.raises(ValueError, match="must be a list of genes, got 'CD3D'"):
        rank_biased_overlap("CD3D", ["CD3D"])
