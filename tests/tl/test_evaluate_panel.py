"""Judge given panels."""

from __future__ import annotations

import numpy as np
import pytest

import ace

GROUPBY = "bulk_labels"


@pytest.fixture(scope="module")
def adata():
    return ace.datasets.pbmc68k_reduced()


def test_known_markers_are_better_than_other_genes(adata):
    before = adata.copy()
    markers = {"CD19+ B": ["CD79A", "MS4A1"], "CD56+ NK": ["GNLY", "NKG7"]}
    others = {group: ["TTC3", "ATP5O"] for group in markers}
    good = ace.tl.evaluate_panel(adata, markers, GROUPBY)
    bad = ace.tl.evaluate_panel(adata, others, GROUPBY)
    assert good["n_genes"].tolist() == bad["n_genes"].tolist() == [1, 2, 1, 2]
    assert (good["auroc"] > bad["auroc"] + 0.2).all()
    assert good["auroc"].min() > 0.85
    assert adata.uns.keys() == before.uns.keys()
    assert adata.obs.equals(before.obs)


def test_one_list_is_judged_for_every_group(adata):
    genes = [str(gene) for gene in adata.var_names[:6]]
    df = ace.tl.evaluate_panel(adata, genes, GROUPBY)
    groups = list(adata.obs[GROUPBY].cat.categories)
    assert list(dict.fromkeys(df["group"])) == groups
    assert df["n_genes"].tolist() == [1, 2, 3, 4, 5, 6] * len(groups)
    assert set(df["against"]) <= set(groups)


def test_genes_are_used_in_their_order(adata):
    best = ace.tl.evaluate_panel(adata, {"CD19+ B": ["CD79A", "TTC3"]}, GROUPBY)["auroc"]
    worst = ace.tl.evaluate_panel(adata, {"CD19+ B": ["TTC3", "CD79A"]}, GROUPBY)["auroc"]
    assert best[0] > worst[0] + 0.3
    assert best[1] == pytest.approx(worst[1], abs=0.01)


def test_the_certificate_is_that_of_the_explanation_if_the_genes_are_its_own(adata):
    """Genes that were chosen on all cells look slightly better."""
    ace.tl.explain(adata, "louvain", groups=["4"])
    own = ace.get.panel_quality_df(adata, "4").set_index("n_genes")["auroc"]
    panel = ace.get.panel_dict(adata, n_genes=8)
    given = ace.tl.evaluate_panel(adata, panel, "louvain").set_index("n_genes")["auroc"]
    assert given[8] == pytest.approx(own[8], abs=0.02)


def test_errors(adata):
    with pytest.raises(ValueError, match="Did you mean 'CD79B'"):
        ace.tl.evaluate_panel(adata, {"CD19+ B": ["CD79"]}, GROUPBY)
    with pytest.raises(ValueError, match="'B cells' is not one of"):
        ace.tl.evaluate_panel(adata, {"B cells": ["CD79A"]}, GROUPBY)
    with pytest.raises(TypeError, match="names of genes"):
        ace.tl.evaluate_panel(adata, {"CD19+ B": "CD79A"}, GROUPBY)
    with pytest.raises(ValueError, match="genes is empty"):
        ace.tl.evaluate_panel(adata, {"CD19+ B": []}, GROUPBY)
    with pytest.raises(ValueError, match="n_cells"):
        ace.tl.evaluate_panel(adata, ["CD79A"], GROUPBY, n_cells=0)


def test_few_cells_and_constant_genes(adata):
    adata = adata.copy()
    labels = np.array(["many"] * adata.n_obs, dtype=object)
    labels[:4] = "few"
    adata.obs["g"] = labels
    assert ace.tl.evaluate_panel(adata, {"few": ["CD79A"]}, "g").empty
    labels[:40] = "few"
    adata.obs["g"] = labels
    adata.X = adata.X.toarray()
    adata.X[:, adata.var_names.get_loc("CD79A")] = 0
    df = ace.tl.evaluate_panel(adata, {"few": ["CD79A"]}, "g")
    assert df["auroc"].tolist() == [0.5]
