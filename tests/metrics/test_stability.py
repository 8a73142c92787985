"""Stability of panels between runs."""

import numpy as np
import pandas as pd
import pytest

from ace.metrics import rank_biased_overlap, stability

RUNS = [
    {"T": ["a", "b", "c", "d"], "B": ["x", "y", "z", "u"]},
    {"T": ["b", "a", "e", "f"], "B": ["x", "y", "z", "u"]},
    {"T": ["g", "h", "a", "b"], "B": ["u", "z", "y", "x"]},
]


def test_by_hand():
    df = stability(RUNS, n_top=(2, 4))
    columns = ["group", "n_top", "run_1", "run_2", "n_genes", "n_shared", "jaccard", "rbo"]
    assert list(df.columns) == columns
    assert len(df) == 2 * 2 * 3
    by = df.set_index(["group", "n_top", "run_1", "run_2"]).sort_index()
    assert by.loc["T", 2]["n_shared"].tolist() == [2, 0, 0]
    assert by.loc["T", 2]["jaccard"].tolist() == [1, 0, 0]
    assert by.loc["T", 4]["n_shared"].tolist() == [2, 2, 2]
    np.testing.assert_allclose(by.loc["T", 4]["jaccard"], 1 / 3)
    assert by.loc["B", 4]["jaccard"].tolist() == [1, 1, 1]
    assert by.loc["B", 2]["jaccard"].tolist() == [1, 0, 0]
    np.testing.assert_allclose(by.loc[("B", 4, 0, 1), "rbo"], 1)
    for (group, size, run, other), row in by.iterrows():
        first, second = RUNS[run][group][:size], RUNS[other][group][:size]
        assert row["rbo"] == rank_biased_overlap(first, second)
        assert row["n_genes"] == size


def test_persistence_and_names_of_runs():
    runs = dict(zip(["seed 0", "seed 1"], RUNS, strict=False))
    df = stability(runs, 4, persistence=0.5)
    assert df[["run_1", "run_2"]].drop_duplicates().values.tolist() == [["seed 0", "seed 1"]]
    expected = rank_biased_overlap(RUNS[0]["T"], RUNS[1]["T"], persistence=0.5)
    assert df.set_index("group").loc["T", "rbo"] == expected


def test_order_of_the_runs_changes_nothing_but_their_order():
    one, other = stability(RUNS[:2], (1, 3)), stability(RUNS[1::-1], (1, 3))
    pd.testing.assert_frame_equal(one, other)


def test_short_panels_are_counted_as_they_are():
    df = stability([{"T": ["a", "b"]}, {"T": ["b", "c", "d", "e"]}], 4)
    (row,) = df.to_dict("records")
    assert (row["n_genes"], row["n_shared"], row["jaccard"]) == (3, 1, 1 / 5)
    (row,) = stability([{"T": []}, {"T": []}]).to_dict("records")
    assert np.isnan(row["jaccard"])
    assert np.isnan(row["rbo"])


def test_overlap_of_random_panels():
    """Two sets of k among p share k²/p genes on average."""
    rng = np.random.default_rng(0)
    runs = [{"T": rng.permutation(200)[:20]} for _ in range(60)]
    assert stability(runs, 20)["n_shared"].mean() == pytest.approx(20 * 20 / 200, rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"runs": RUNS[:1]}, "at least two runs to compare, got 1"),
        ({"runs": pd.DataFrame(RUNS[0])}, "the panels of one run; pass a list"),
        (
            {"runs": pd.DataFrame(RUNS[0]).to_records(index=False)},
            "the panels of one run; pass a list",
        ),
        ({"runs": RUNS[0]}, r"panels of run 'T' must be \{group: genes"),
        ({"runs": [RUNS[0], {"T": ["a"]}]}, r"run 1 has no panel for \['B'\]"),
        ({"n_top": 0}, "n_top must be a positive integer"),
        ({"n_top": 0.1}, "n_top must be a positive integer"),
        ({"persistence": 1}, "persistence must be a number between 0 and 1"),
    ],
)
def test_errors_say_what_was_expected(arguments, message):
    with pytest.raises(ValueError, match=message):
        stability(**({"runs": RUNS} | arguments))
