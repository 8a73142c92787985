"""Formats of ranked panels."""

import numpy as np
import pandas as pd
import pytest
import scanpy as sc

from ace._checks._panels import ranked_panels, same_groups
from ace.metrics._ranked import jaccard

PANELS = {"T": ["CD3D", "IL7R", "CCR7"], "B": ["CD79A", "MS4A1", "CD74"]}


@pytest.mark.parametrize(
    "convert",
    [
        dict,
        pd.DataFrame,
        lambda panels: pd.DataFrame(panels).to_records(index=False),
        lambda panels: {group: np.array(genes) for group, genes in panels.items()},
        lambda panels: {group: pd.Series(genes, dtype=object) for group, genes in panels.items()},
        lambda panels: {group: iter(genes) for group, genes in panels.items()},
    ],
)
def test_every_form_is_the_same(convert):
    assert ranked_panels(convert(PANELS), 2, of="x") == {
        "T": ["CD3D", "IL7R"],
        "B": ["CD79A", "MS4A1"],
    }


def test_numbers_and_names_of_groups():
    panels = {0: np.array([5, 3]), 1: range(4)}
    assert ranked_panels(panels, 18, of="x") == {"0": [5, 3], "1": [0, 1, 2, 3]}


def test_what_scanpy_stores(pbmc):
    sc.tl.rank_genes_groups(pbmc, "louvain", method="t-test", use_raw=False)
    names = pbmc.uns["rank_genes_groups"]["names"]
    found = ranked_panels(names, 5, of="x")
    assert found["4"] == names["4"][:5].tolist()
    assert list(found) == pbmc.obs["louvain"].cat.categories.tolist()


def test_removed_genes_do_not_count():
    panels = {"T": ["CD3D", np.nan, "IL7R", None, "CCR7"]}
    assert ranked_panels(panels, 3, of="x") == {"T": ["CD3D", "IL7R", "CCR7"]}


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        (["CD3D"], r"the panels of run 1 must be \{group: genes, best first\}, .* got list"),
        (np.array(["CD3D"]), "got ndarray"),
        ({}, "the panels of run 1 are empty"),
        ({"T": "CD3D"}, "for group 'T' must be a list of genes, got 'CD3D'"),
        ({"T": 3}, "must be a list of genes, got 3"),
        ({"T": ["CD3D", "CD3D"]}, "for group 'T' has a gene twice"),
    ],
)
def test_errors_say_what_was_expected(panels, message):
    with pytest.raises(ValueError, match=message):
        ranked_panels(panels, 18, of="run 1")


def test_duplicates_below_the_panel_are_ignored():
    assert ranked_panels({"T": ["a", "b", "b"]}, 2, of="x") == {"T": ["a", "b"]}


def test_same_groups():
    assert same_groups({"run 0": {"T": 0, "B": 0}, "run 1": {"B": 0, "T": 0}}) == ["T", "B"]
    with pytest.raises(ValueError, match=r"run 1 has no panel for \['T'\]"):
        same_groups({"run 0": {"T": 0, "B": 0}, "run 1": {"B": 0}})
    with pytest.raises(ValueError, match=r"run 0 has no panel for \['NK'\]"):
        same_groups({"run 0": {"B": 0}, "run 1": {"B": 0, "NK": 0}})


def test_jaccard_by_hand():
    assert jaccard(["a", "b", "c"], ["c", "d"]) == 1 / 4
    assert jaccard(["a"], []) == 0
    assert np.isnan(jaccard([], []))
