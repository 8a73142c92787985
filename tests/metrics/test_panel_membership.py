"""Methods that selected each gene."""

import numpy as np
import pytest

from ace.metrics import panel_membership, panel_overlap

PANELS = {
    "ACE": {"T": ["a", "b", "c"], "B": ["x", "y", "z"]},
    "Wilcoxon": {"T": ["d", "a", "b"], "B": ["z", "y", "x"]},
    "COSG": {"T": ["e", "b"], "B": ["x", "u", "v"]},
}


def test_by_hand():
    df = panel_membership(PANELS, group="T")
    assert df.columns.tolist() == ["ACE", "Wilcoxon", "COSG"]
    assert (df.index.name, df.columns.name) == ("gene", "method")
    # Selected by three, two and one methods; d and e are first in a panel, and c is third.
    assert df.index.tolist() == ["b", "a", "d", "e", "c"]
    assert df.to_numpy().tolist() == [
        [True, True, True],
        [True, True, False],
        [False, True, False],
        [False, False, True],
        [True, False, False],
    ]
    assert panel_membership(PANELS, 1, group="T").index.tolist() == ["a", "d", "e"]


def test_shared_genes_are_those_of_panel_overlap():
    chosen = panel_membership(PANELS, 3, group="B").to_numpy().astype(int)
    np.testing.assert_array_equal(
        chosen.T @ chosen, panel_overlap(PANELS, 3, group="B", measure="n_shared")
    )


def test_group_is_optional_if_there_is_only_one():
    panels = {method: {"T": own["T"]} for method, own in PANELS.items()}
    assert panel_membership(panels).equals(panel_membership(PANELS, group="T"))
    numbers = {method: {3: [4, 5]} for method in PANELS}
    assert panel_membership(numbers, group=3).index.tolist() == [4, 5]


def test_empty_panels():
    df = panel_membership({"ACE": {"T": []}, "COSG": {"T": []}})
    assert df.shape == (0, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"group": None}, r"there are panels for \['T', 'B'\]; pass one of them"),
        ({"group": "NK"}, r"\['ACE', 'Wilcoxon', 'COSG'\] have no panel for group 'NK'"),
        ({"panels": {}}, "panels is empty"),
        ({"panels": {"ACE": ["a", "b"]}}, "panels of method 'ACE' must be"),
        ({"n_top": 0}, "n_top must be a positive integer"),
    ],
)
def test_errors_say_what_was_expected(arguments, message):
    with pytest.raises(ValueError, match=message):
        panel_membership(**({"panels": PANELS, "group": "T"} | arguments))
