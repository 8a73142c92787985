"""Overlap of panels, by hand."""

import numpy as np
import pandas as pd
import pytest

from ace.metrics import panel_overlap, rank_biased_overlap, stability

PANELS = {
    "ACE": {"T": ["a", "b", "c"], "B": ["x", "y", "z"]},
    "Wilcoxon": {"T": ["a", "d", "b"], "B": ["z", "y", "x"]},
    "COSG": {"T": ["e", "f", "g"], "B": ["x", "u", "v"]},
}


def test_by_hand():
    df = panel_overlap(PANELS, 3, group="T")
    assert df.columns.tolist() == df.index.tolist() == ["ACE", "Wilcoxon", "COSG"]
    np.testing.assert_allclose(df, [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])
    df = panel_overlap(PANELS, 3, group="B", measure="n_shared")
    assert df.to_numpy().tolist() == [[3, 3, 1], [3, 3, 1], [1, 1, 3]]
    assert df.dtypes.map(lambda t: t.kind).eq("i").all()
    df = panel_overlap(PANELS, 2, group="B", measure="n_shared")
    assert df.to_numpy().tolist() == [[2, 1, 1], [1, 2, 0], [1, 0, 2]]


def test_mean_over_groups():
    mean = panel_overlap(PANELS, 3)
    both = [panel_overlap(PANELS, 3, group=group) for group in "TB"]
    pd.testing.assert_frame_equal(mean, (both[0] + both[1]) / 2)
    assert mean.loc["ACE", "Wilcoxon"] == 0.75


def test_rank_biased():
    df = panel_overlap(PANELS, 3, group="T", measure="rbo", persistence=0.7)
    expected = rank_biased_overlap(PANELS["ACE"]["T"], PANELS["Wilcoxon"]["T"], persistence=0.7)
    assert df.loc["ACE", "Wilcoxon"] == df.loc["Wilcoxon", "ACE"] == expected
    np.testing.assert_allclose(np.diag(df), 1)


@pytest.mark.parametrize("measure", ["jaccard", "n_shared", "rbo"])
def test_agrees_with_stability(measure):
    table = stability(PANELS, 3).set_index(["run_1", "run_2", "group"])[measure].unstack()
    df = panel_overlap(PANELS, 3, measure=measure)
    for (one, other), values in table.iterrows():
        assert df.loc[one, other] == pytest.approx(values.mean())


def test_groups_of_one_method_only():
    panels = PANELS | {"GRS": {"T": ["a"]}}
    assert panel_overlap(panels, 3, group="T").loc["GRS", "ACE"] == 1 / 3
    with pytest.raises(ValueError, match=r"method 'GRS' has no panel for \['B'\]"):
        panel_overlap(panels, 3)
    with pytest.raises(ValueError, match=r"methods \['GRS'\] have no panel for group 'B'"):
        panel_overlap(panels, 3, group="B")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"panels": {}}, "panels is empty"),
        ({"panels": PANELS["ACE"]}, "panels of method 'T' must be"),
        ({"measure": "dice"}, "measure='dice' is not one of"),
        ({"n_top": 0}, "n_top must be a positive integer"),
        ({"persistence": 2}, "persistence must be a number between"),
    ],
)
def test_errors_say_what_was_expected(arguments, message):
    with pytest.raises(ValueError, match=message):
        panel_overlap(**({"panels": PANELS} | arguments))
