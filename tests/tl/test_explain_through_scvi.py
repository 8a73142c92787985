"""Explanations through models of counts, such as SCVI, of real blood cells."""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scvi
from sklearn.cluster import KMeans
from sklearn.neighbors import kneighbors_graph

import ace
from ace.explain import Method

GROUPBY = "bulk_labels"


@pytest.fixture(scope="module", autouse=True)
def _quiet():
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    scvi.settings.verbosity = logging.ERROR
    scvi.settings.seed = 0


@pytest.fixture(scope="module")
def _cells(_pbmc_original):
    """Distinct types, with random batches."""
    types = ["CD14+ Monocyte", "CD19+ B", "CD56+ NK", "CD8+/CD45RA+ Naive Cytotoxic", "Dendritic"]
    adata = _pbmc_original[_pbmc_original.obs[GROUPBY].isin(types)].copy()
    adata.obs[GROUPBY] = adata.obs[GROUPBY].cat.remove_unused_categories()
    adata.obs["batch"] = np.random.default_rng(0).choice(["one", "two"], adata.n_obs)
    return adata


@pytest.fixture(scope="module")
def model(_cells):
    adata = _cells.copy()
    scvi.model.SCVI.setup_anndata(adata, layer="counts", batch_key="batch")
    model = scvi.model.SCVI(adata, encode_covariates=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.train(max_epochs=25, enable_progress_bar=False)
    return model


@pytest.fixture
def cells(_cells):
    return _cells.copy()


@pytest.mark.filterwarnings("ignore:the scorer assigns only")
def test_known_markers(model, cells):
    before = cells.copy()
    ace.tl.explain(cells, GROUPBY, model=model)
    top = ace.get.explain_df(cells).query("rank <= 8 and enriched")
    found = {g: set(d["gene"]) for g, d in top.groupby("group", observed=True)}
    assert found["CD19+ B"] & {"CD79A", "CD79B", "MS4A1", "CD74", "HLA-DRA"}
    assert found["CD56+ NK"] & {"GNLY", "NKG7", "GZMB", "PRF1", "CTSW", "FCER1G"}
    myeloid = {"S100A8", "S100A9", "LYZ", "FCN1", "CD14", "AIF1", "LST1", "TYROBP", "PSAP"}
    assert len(found["CD14+ Monocyte"] & myeloid) >= 2
    params = cells.uns["ace"]["params"]
    assert (params["embedding"], params["layer"]) == ("SCVI", "counts")
    assert (params["values"], params["values_total"]) == ("log-normalised", 1e4)
    assert params["n_prototypes"] in (3, 5, 8, 12, 20)
    assert params["fidelity"] > 0.8
    # Nothing is registered or changed.
    assert set(cells.uns) - set(before.uns) == {"ace"}
    pd.testing.assert_frame_equal(cells.obs, before.obs)
    assert (cells.layers["counts"] != before.layers["counts"]).nnz == 0


@pytest.mark.filterwarnings("ignore:the scorer assigns only")
def test_summaries_are_of_log_normalised_values(model, cells):
    ace.tl.explain(cells, GROUPBY, model=model)
    # X holds the counts of these genes, normalised by scanpy.
    sc.tl.rank_genes_groups(cells, GROUPBY, method="t-test", use_raw=False, pts=True)
    for group in cells.obs[GROUPBY].cat.categories:
        ours = ace.get.explain_df(cells, group).set_index("gene")
        theirs = sc.get.rank_genes_groups_df(cells, group).set_index("names").loc[ours.index]
        np.testing.assert_allclose(
            ours["logfoldchange"], theirs["logfoldchanges"], rtol=1e-3, atol=1e-3
        )
        np.testing.assert_allclose(ours["pct_in"], theirs["pct_nz_group"], rtol=1e-6)
        np.testing.assert_allclose(ours["pct_out"], theirs["pct_nz_reference"], rtol=1e-6)


@pytest.mark.filterwarnings("ignore:the scorer assigns only")
@pytest.mark.parametrize("method", list(Method.registry))
def test_every_method(model, cells, method):
    options = {"n_samples": 1, "max_cells": 2} if method == "shap" else {}
    call = {"method": method, "groups": ["CD19+ B"], "n_cells": 20, **options}
    ace.tl.explain(cells, GROUPBY, model=model, **call)
    ace.tl.explain(cells, GROUPBY, model=model, key_added="again", **call)
    pd.testing.assert_frame_equal(cells.varm["ace_scores"], cells.varm["again_scores"])
    assert cells.varm["ace_scores"].shape == (cells.n_vars, 1)
    assert np.isfinite(cells.varm["ace_scores"].to_numpy()).all()


@pytest.mark.filterwarnings("ignore:the scorer assigns only")
def test_order_of_genes_and_cells_does_not_matter(model, cells):
    rng = np.random.default_rng(1)
    other = cells[rng.permutation(cells.n_obs), rng.permutation(cells.n_vars)].copy()
    # All cells, so that only rounding errors differ.
    call = {"method": "saliency", "n_cells": None, "n_prototypes": 1}
    ace.tl.explain(cells, GROUPBY, model=model, **call)
    ace.tl.explain(other, GROUPBY, model=model, **call)
    for group in cells.varm["ace_scores"]:
        ours = cells.varm["ace_scores"][group]
        theirs = other.varm["ace_scores"][group][ours.index]
        np.testing.assert_allclose(theirs, ours, rtol=1e-2, atol=1e-3 * np.abs(ours).max())


@pytest.mark.filterwarnings("ignore:the scorer assigns only")
def test_per_cell_attributions_sum_to_the_difference_of_log_odds(model, cells):
    call = {"groups": ["CD56+ NK", "Dendritic"], "n_cells": 20, "n_steps": 100}
    ace.tl.explain(
        cells, GROUPBY, model=model, method="integrated_gradients", per_cell=True, **call
    )
    layer = cells.layers["ace_cells"]
    assert layer.shape == cells.shape
    assert (np.diff(layer.indptr) > 0).sum() == 40
    assert (cells.uns["ace"]["diagnostics"]["delta"] < 0.05).all()


@pytest.mark.parametrize("kind", ["kmeans", "leiden"])
def test_clusters_of_the_latent_space_are_reproduced(model, cells, kind):
    cells.obsm["X_scVI"] = model.get_latent_representation()
    if kind == "kmeans":
        fitted = KMeans(5, n_init=3, random_state=0).fit(cells.obsm["X_scVI"])
        cells.obs["cluster"] = fitted.labels_  # numbers instead of categories
    else:
        # Like sc.pp.neighbors, without its compilation.
        near = kneighbors_graph(cells.obsm["X_scVI"], 15)
        options = {"flavor": "igraph", "directed": False, "n_iterations": 2, "resolution": 0.3}
        sc.tl.leiden(cells, adjacency=near.maximum(near.T), key_added="cluster", **options)
    ace.tl.explain(cells, "cluster", model=model)
    assert cells.uns["ace"]["params"]["fidelity"] > 0.9
    assert cells.uns["ace"]["params"]["n_prototypes"] == 3


def test_unlabelled_cells_of_scanvi_are_left_out(cells):
    cells.obs["known"] = cells.obs[GROUPBY].astype(str)
    cells.obs.loc[cells.obs_names[::4], "known"] = "Unknown"
    scvi.model.SCANVI.setup_anndata(
        cells, labels_key="known", unlabeled_category="Unknown", layer="counts"
    )
    model = scvi.model.SCANVI(cells)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.train(max_epochs=10, enable_progress_bar=False)
        ace.tl.explain(cells, "known", model=model)
    assert set(cells.uns["ace"]["names"].dtype.names) == set(cells.obs[GROUPBY].cat.categories)
    labelled = cells.obs["known"] != "Unknown"
    assert cells.uns["ace"]["diagnostics"]["n_cells"].sum() == labelled.sum()


def test_invalid_calls(model, cells):
    with pytest.raises(ValueError, match=r"trained on layer 'counts'.*leave layer out"):
        ace.tl.explain(cells, GROUPBY, model=model, layer="other")
    cells.obs["batch"] = "three"
    with pytest.raises(ValueError, match=r"not trained with: \['three'\]"):
        ace.tl.explain(cells, GROUPBY, model=model)
    scvi.model.SCVI.setup_anndata(cells, layer="counts")
    with pytest.raises(RuntimeError, match="this SCVI is not trained"):
        ace.tl.explain(cells, GROUPBY, model=scvi.model.SCVI(cells))


@pytest.mark.parametrize("how", ["use_rep", "model"])
def test_stored_coordinates_cannot_be_explained(cells, how):
    cells.obsm["X_pca_harmony"] = np.zeros((cells.n_obs, 5))
    with pytest.raises(ValueError, match="Harmony, Scanorama and BBKNN") as error:
        ace.tl.explain(cells, GROUPBY, **{how: "X_pca_harmony"})
    for way_out in ("model=None", "scvi.model.SCVI", "ace.model.ACE", "batch_key"):
        assert way_out in str(error.value)
    assert "ace" not in cells.uns


def test_missing_coordinates(cells):
    with pytest.raises(KeyError, match=r"no 'X_scvi' in adata\.obsm, which has"):
        ace.tl.explain(cells, GROUPBY, use_rep="X_scvi")
    with pytest.raises(KeyError, match="pass the trained model itself"):
        ace.tl.explain(cells, GROUPBY, model="X_scvi")
