"""Symmetry of pairs, by hand."""

import numpy as np
import pytest

from ace.metrics import pair_symmetry, rank_biased_overlap

THERE = [4.0, -3.0, 2.0, 1.0, 0.0]
BACK = [-1.0, 3.0, 2.0, 0.0, 0.5]


def test_by_hand():
    df = pair_symmetry({("A", "B"): THERE, ("B", "A"): BACK}, n_top=3)
    (row,) = df.to_dict("records")
    # 0, 1, 2 against 1, 2, 0: the third gene has the same sign in both.
    assert (row["group"], row["reference"]) == ("A", "B")
    assert (row["n_genes"], row["n_shared"], row["jaccard"]) == (3, 3, 1)
    assert row["opposite"] == pytest.approx(2 / 3)
    overlap = [0, 1 / 2, 1]
    expected = 0.1 * sum(0.9**d * a for d, a in enumerate(overlap)) + 0.9**3 * overlap[-1]
    assert row["rbo"] == pytest.approx(expected)
    assert row["correlation"] == pytest.approx(np.corrcoef(THERE, BACK)[0, 1])


def test_opposite_signs_are_perfect_symmetry():
    rng = np.random.default_rng(0)
    score = rng.normal(size=50)
    (row,) = pair_symmetry({("A", "B"): score, ("B", "A"): -2 * score}).to_dict("records")
    assert row["n_shared"] == row["n_genes"] == 20
    assert row["jaccard"] == row["opposite"] == 1
    assert row["rbo"] == pytest.approx(1)
    assert row["correlation"] == pytest.approx(-1)
    (same,) = pair_symmetry({("A", "B"): score, ("B", "A"): score}).to_dict("records")
    assert same["opposite"] == 0
    assert same["correlation"] == pytest.approx(1)


def test_genes_with_score_zero_are_left_out():
    df = pair_symmetry({("A", "B"): [1, 0, 0, 0], ("B", "A"): [0, 2, -1, 0]}, n_top=4)
    (row,) = df.to_dict("records")
    assert (row["n_genes"], row["n_shared"], row["jaccard"], row["rbo"]) == (1.5, 0, 0, 0)
    assert np.isnan(row["opposite"])
    (none,) = pair_symmetry({("A", "B"): [0, 0], ("B", "A"): [1, 0]}).to_dict("records")
    assert np.isnan(none["rbo"])
    assert np.isnan(none["correlation"])
    assert none["jaccard"] == 0


def test_panels_of_different_lengths():
    df = pair_symmetry({("A", "B"): [3, 2, 1, 0], ("B", "A"): [0, 1, 0, 0]}, n_top=4)
    assert df["rbo"].item() == pytest.approx(rank_biased_overlap([0, 1, 2], [1]))


def test_rankings_break_ties():
    scores = {("A", "B"): [1.0, 1.0, 1.0], ("B", "A"): [-1.0, -1.0, -1.0]}
    assert pair_symmetry(scores, n_top=1)["n_shared"].item() == 1
    rankings = {("A", "B"): [0, 1, 2], ("B", "A"): [1, 2, 0]}
    assert pair_symmetry(scores, rankings, n_top=1)["n_shared"].item() == 0
    assert pair_symmetry(scores, rankings, n_top=2)["n_shared"].item() == 1


def test_one_row_per_pair_with_both_directions():
    pairs = [(a, b) for a in "CAB" for b in "CAB" if a != b]
    scores = {pair: np.arange(1.0, 5.0) for pair in pairs}
    del scores["B", "A"]
    df = pair_symmetry(scores)
    assert list(zip(df["group"], df["reference"], strict=True)) == [("C", "A"), ("C", "B")]


def test_permuted_genes_change_nothing():
    rng = np.random.default_rng(0)
    scores = {("A", "B"): rng.normal(size=40), ("B", "A"): rng.normal(size=40)}
    order = rng.permutation(40)
    permuted = {pair: score[order] for pair, score in scores.items()}
    one, other = pair_symmetry(scores, n_top=10), pair_symmetry(permuted, n_top=10)
    assert one.drop(columns="correlation").equals(other.drop(columns="correlation"))
    np.testing.assert_allclose(one["correlation"], other["correlation"])


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        ({("A", "B"): [1.0]}, {}, r"no pair of groups in both directions.*\('A', 'B'\)"),
        ({("A", "B"): [1.0], ("B", "A"): [1.0, 2]}, {}, r"one value per gene.*\[\(1,\), \(2,\)\]"),
        ({}, {}, "one value per gene"),
        ({("A", "B"): [np.nan], ("B", "A"): [1.0]}, {}, "NaN or infinite"),
        ({("A", "B"): [1.0], ("B", "A"): [1.0]}, {"n_top": 0}, "n_top must be a positive"),
        (
            {("A", "B"): [1.0], ("B", "A"): [1.0]},
            {"rankings": {("A", "B"): [0]}},
            r"rankings has no \('B', 'A'\)",
        ),
        (
            {("A", "B"): [1.0], ("B", "A"): [1.0]},
            {"rankings": {("A", "B"): [1], ("B", "A"): [0]}},
            "columns outside 0 to 0",
        ),
        (
            {("A", "B"): [1.0], ("B", "A"): [1.0]},
            {"rankings": {("A", "B"): [0, 0], ("B", "A"): [0]}},
            "has a column twice",
        ),
    ],
)
def test_errors_say_what_was_expected(scores, options, message):
    with pytest.raises(ValueError, match=message):
        pair_symmetry(scores, **options)
