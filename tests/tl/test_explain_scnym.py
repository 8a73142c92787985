"""Explanations of labels that scNym predicted."""

from __future__ import annotations

import pytest
import scanpy as sc

import ace
from ace.explain import Method

TRAIN = {"progress": False}
#: Known markers of types of Kang et al., as in Figure 2A of the paper.
MARKERS = {"B": "CD79A", "NK": "GNLY", "Mk": "PPBP"}
#: Known markers of types of the bundled cells.
TYPES = {
    "CD19+ B": ["CD79A", "CD79B", "MS4A1"],
    "CD56+ NK": ["GNLY", "NKG7", "PRF1"],
    "CD14+ Monocyte": ["FCGR3A", "FCN1", "AIF1"],
}


def _enriched(adata, group, n_genes):
    """Enriched genes among the first genes of a group."""
    df = ace.get.explain_df(adata, group)
    return set(df.loc[df["enriched"] & (df["rank"] <= n_genes), "gene"])


@pytest.fixture(scope="module")
def kang(data_dir):
    """Stimulated cells with labels transferred from unstimulated ones, and the model."""
    cells = sc.read_h5ad(data_dir / "kang_ifnb_merged.h5ad")
    sc.pp.filter_genes(cells, min_cells=10)
    sc.pp.normalize_total(cells, target_sum=1e4)
    sc.pp.log1p(cells)
    control, stimulated = (cells[cells.obs["condition"] == c].copy() for c in ("CTRL", "STIM"))
    # Three epochs only, to save time.
    model = ace.tl.annotate(
        stimulated, "cell_type", reference=control, max_epochs=3, **TRAIN, return_model=True
    )
    return stimulated, model


@pytest.mark.filterwarnings("ignore:groups of fewer than")  # a rare type goes to few cells
@pytest.mark.parametrize("method", ["guided_backprop", "expected_gradients"])
def test_figure_2a(kang, method):
    cells, model = kang
    ace.tl.explain(cells, groupby="scnym", model=model, method=method)
    assert cells.uns["ace"]["params"]["fidelity"] == 1  # predicted labels
    for group, marker in MARKERS.items():
        assert marker in _enriched(cells, group, 15)


@pytest.fixture(scope="module")
def _small(_pbmc_original):
    """Three types with few genes, half of the cells unlabelled, and the trained model."""
    adata = _pbmc_original[_pbmc_original.obs["bulk_labels"].isin(TYPES)].copy()
    sc.pp.highly_variable_genes(adata, n_top_genes=100)
    markers = [gene for genes in TYPES.values() for gene in genes]
    adata = adata[:, adata.var["highly_variable"] | adata.var_names.isin(markers)].copy()
    adata.obs["known"] = adata.obs["bulk_labels"].astype(str)
    adata.obs.loc[adata.obs_names[::2], "known"] = "Unknown"
    options = TRAIN | {"max_epochs": 30, "validation_size": 0.3}
    model = ace.tl.annotate(adata, "known", n_top_genes=None, **options, return_model=True)
    return adata, model


@pytest.fixture
def small(_small):
    adata, model = _small
    return adata.copy(), model


@pytest.mark.parametrize("method", sorted(Method.registry))
def test_every_method_finds_the_markers(small, method):
    adata, model = small
    before = model.predict(adata, soft=True)
    ace.tl.explain(adata, groupby="scnym", model=model, method=method, n_cells=20)
    assert adata.uns["ace"]["params"]["embedding"] == "SCNYM"
    assert adata.uns["ace"]["params"]["fidelity"] > 0.99
    for group, markers in TYPES.items():
        assert _enriched(adata, group, 10) & set(markers)
    assert model.predict(adata, soft=True).equals(before)


def test_a_source_against_a_reference(small):
    adata, model = small
    ace.tl.explain(
        adata, groupby="scnym", model=model, method="expected_gradients",
        groups=["CD19+ B"], reference="CD56+ NK",
    )  # fmt: skip
    df = ace.get.explain_df(adata).set_index("gene")
    assert df.loc["CD79A", "score"] > 0 > df.loc["GNLY", "score"]
    assert df.loc[["CD79A", "GNLY"], "rank"].max() <= 10
    # Markers of a third type do not distinguish these two.
    assert df.loc["FCGR3A", "rank"] > df.loc["GNLY", "rank"]
