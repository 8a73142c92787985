"""Counts of the kinds of genes."""

import numpy as np
import pandas as pd
import pytest

from ace.metrics import causal_recovery


def test_counts():
    kind = pd.Categorical(
        ["noise", "causal", "dependent", "causal"], ["causal", "dependent", "noise"]
    )
    frame = causal_recovery({"a": [1, 3, 0], "b": [2, 0, 1]}, kind, n_top=2)
    assert list(frame.columns) == ["causal", "dependent", "noise"]
    assert frame.loc["a"].tolist() == [2, 0, 0]
    assert frame.loc["b"].tolist() == [0, 1, 1]
    assert (frame.sum(axis=1) == 2).all()


def test_kinds_that_do_not_occur_are_counted_as_zero():
    kind = pd.Categorical(["causal"] * 3, ["causal", "noise"])
    assert causal_recovery({"a": [0, 1]}, kind, 2).loc["a"].tolist() == [2, 0]


def test_permuted_genes_change_nothing():
    rng = np.random.default_rng(0)
    kind = rng.choice(["causal", "noise"], 50)
    panels = {"a": rng.permutation(50)[:20], "b": rng.permutation(50)[:20]}
    order = rng.permutation(50)
    moved = {group: np.argsort(order)[columns] for group, columns in panels.items()}
    pd.testing.assert_frame_equal(
        causal_recovery(moved, kind[order]), causal_recovery(panels, kind)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"a": [0, 1]}, ["causal", None], 1), "kind is missing for 1 genes"),
        (({"a": [0, 1]}, ["causal", "noise"], 0), "n_top must be a positive integer"),
        (({"a": [0, 1]}, ["causal", "noise"], 3), "fewer than n_top=3"),
        (({"a": [0, 2]}, ["causal", "noise"], 2), "outside 0 to 1"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        causal_recovery(*arguments)
