"""Panels as a dictionary."""

from __future__ import annotations

import pytest
import scanpy as sc

import ace


def test_known_panels(explained):
    assert ace.get.panel_dict(explained) == {
        "T/NK cells": ["g2", "g0", "g3"],  # scores of 0 are left out
        "naïve γδ T": ["g1", "g3", "g2", "g0"],
        "0": ["g0", "g3", "g2"],
    }
    assert ace.get.panel_dict(explained, n_genes=1) == {
        "T/NK cells": ["g2"],
        "naïve γδ T": ["g1"],
        "0": ["g0"],
    }
    assert ace.get.panel_dict(explained, "0", n_genes=2, direction="depleted") == {
        "0": ["g0", "g2"]
    }
    assert list(ace.get.panel_dict(explained, ["0", "T/NK cells"])) == ["0", "T/NK cells"]


def test_panel_size(explained):
    explained.uns["ace"]["diagnostics"]["panel_size"] = [1, 0, float("nan")]
    assert ace.get.panel_dict(explained) == {"T/NK cells": ["g2"], "0": ["g0", "g3", "g2"]}
    found = ace.get.panel_dict(explained, direction="enriched")
    assert found == {"T/NK cells": ["g0"], "0": ["g3"]}


def test_symbols(explained):
    explained.var["symbol"] = ["S0", "S1", "S2", "S3"]
    found = ace.get.panel_dict(explained, "0", n_genes=2, gene_symbols="symbol")
    assert found == {"0": ["S0", "S3"]}


def test_scanpy_draws_it_in_the_order_of_the_categories(pbmc):
    order = ["CD56+ NK", "Dendritic", "CD19+ B", "CD14+ Monocyte"]
    adata = pbmc[pbmc.obs["bulk_labels"].isin(order)].copy()
    adata.obs["bulk_labels"] = adata.obs["bulk_labels"].cat.reorder_categories(order)
    ace.tl.explain(adata, "bulk_labels")
    panels = ace.get.panel_dict(adata, n_genes=2, direction="enriched")
    assert list(panels) == order
    assert list(ace.get.explain_df(adata)["group"].cat.categories) == order
    assert list(ace.get.diagnostics_df(adata)["group"]) == order
    axes = sc.pl.dotplot(adata, panels, groupby="bulk_labels", show=False)
    drawn = [label.get_text() for label in axes["mainplot_ax"].get_yticklabels()]
    assert drawn == order


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_genes": 0}, ValueError, "n_genes must be a positive whole number or None"),
        ({"direction": "up"}, ValueError, "direction='up' is not one of"),
        ({"groups": "1"}, KeyError, r"no groups \['1'\]"),
        ({"key": "other"}, KeyError, "no explanation in"),
    ],
)
def test_errors(explained, arguments, error, message):
    with pytest.raises(error, match=message):
        ace.get.panel_dict(explained, **arguments)
