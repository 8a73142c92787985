"""Embeddings of cells with swapped genes equal those of the model itself."""

from __future__ import annotations

import logging
import warnings

import anndata as ad
import numpy as np
import pytest
import scipy.sparse as sp
import scvi
import torch

import ace
from ace.model.adapter import LatentSpaceAdapter
from ace.model.adapter._swapped_cells import SwappedCells

N_CELLS = 150
COVARIATES = {
    "layer": "counts",
    "batch_key": "batch",
    "continuous_covariate_keys": ["age"],
}


@pytest.fixture(scope="module", autouse=True)
def _quiet():
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    scvi.settings.verbosity = logging.ERROR


@pytest.fixture(scope="module")
def _cells(_pbmc_original):
    adata = _pbmc_original[:N_CELLS, :90].copy()
    rng = np.random.default_rng(0)
    adata.obs["batch"] = rng.choice(["one", "two"], N_CELLS)
    adata.obs["age"] = rng.normal(size=N_CELLS).astype(np.float32)
    return adata


def trained(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.train(max_epochs=1, enable_progress_bar=False)
    return model


@pytest.fixture(scope="module")
def models(_cells):
    """Encoders with covariates, several layers or a second encoder, and models of this package."""
    made = {}
    for name, options in {
        "covariates": {"encode_covariates": True, "n_layers": 2},
        "no batch norm": {"use_batch_norm": "none", "n_latent": 3},
        "library encoder": {"use_observed_lib_size": False},
    }.items():
        adata = _cells.copy()
        scvi.model.SCVI.setup_anndata(adata, **COVARIATES)
        made[name] = trained(scvi.model.SCVI(adata, **options))
    adata = _cells.copy()
    ace.model.SCARE.setup_anndata(adata, **COVARIATES)
    made["scare"] = trained(ace.model.SCARE(adata, ground_truth=list(adata.var_names[:5])))
    for cls, options in ((ace.model.ACE, {"n_clusters": 3}), (ace.model.KRATOS, {})):
        adata = _cells.copy()
        cls.setup_anndata(adata, **({} if options else {"labels_key": "bulk_labels"}))
        made[cls.__name__] = trained(cls(adata, **options))
    return made


MODELS = ["covariates", "no batch norm", "library encoder", "scare", "ACE", "KRATOS"]


def swapped_by_hand(adata, layer, rows, cells, donors, genes):
    """Create the swapped cells as a user would, keeping the covariates."""
    new = adata[rows[cells]].copy()
    new.obs_names_make_unique()
    matrix = adata.X if layer is None else adata.layers[layer]
    values = matrix.toarray()
    x = values[rows[cells]]
    x[:, genes] = values[rows[donors]][:, genes]
    if layer is None:
        new.X = sp.csr_matrix(x)
    else:
        new.layers[layer] = sp.csr_matrix(x)
    return new


@pytest.mark.filterwarnings("ignore:.*obs_names.*unique")
@pytest.mark.parametrize("name", MODELS)
def test_embedding_equals_that_of_the_model(models, name):
    model = models[name]
    adata = model.adata
    rng = np.random.default_rng(1)
    rows = np.sort(rng.choice(N_CELLS, 100, replace=False))
    cells, donors = rng.integers(100, size=130), rng.integers(100, size=130)
    genes = rng.choice(90, 20, replace=False)
    adapter = LatentSpaceAdapter(model, adata)
    swapped = SwappedCells(adapter, rows, batch_size=50)
    assert (swapped._first_layer is None) == (name == "library encoder")
    layer = None if name in ("ACE", "KRATOS") else "counts"
    new = swapped_by_hand(adata, layer, rows, cells, donors, genes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scvi-tools registers the new cells
        expected = model.get_latent_representation(new)
    found = swapped.embed(cells, donors, genes)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    # It differs from the embeddings of the cells and of the donors.
    z = adapter.latent()
    np.testing.assert_allclose(z, model.get_latent_representation(), rtol=1e-3, atol=1e-4)
    assert np.abs(found - z[rows[cells]]).max() > 1e-2
    assert np.abs(found - z[rows[donors]]).max() > 1e-2


@pytest.mark.parametrize("name", MODELS)
def test_fast_path_equals_the_full_encoder(models, name):
    adapter = LatentSpaceAdapter(models[name], models[name].adata)
    swapped = SwappedCells(adapter, np.arange(N_CELLS))
    cells, genes = np.arange(N_CELLS), np.array([0, 50, 3])
    found = swapped.embed(cells, np.roll(cells, 7), genes)
    swapped._first_layer = None
    np.testing.assert_allclose(
        found, swapped.embed(cells, np.roll(cells, 7), genes), rtol=1e-3, atol=1e-4
    )


def test_swap_of_no_genes_and_of_all_genes(models):
    model = models["no batch norm"]
    adapter = LatentSpaceAdapter(model, model.adata)
    swapped, z = SwappedCells(adapter, np.arange(N_CELLS)), adapter.latent()
    cells, donors = np.arange(N_CELLS), np.roll(np.arange(N_CELLS), 1)
    every, none = np.arange(90), np.arange(0)
    np.testing.assert_allclose(swapped.embed(cells, donors, none), z, atol=1e-5)
    # This encoder reads the genes only, so a cell with all genes of its donor equals it.
    np.testing.assert_allclose(swapped.embed(cells, donors, every), z[donors], atol=1e-4)


@pytest.mark.parametrize("kind", ["dense", "csc", "genes"])
def test_any_matrix(models, kind):
    model = models["covariates"]
    other = model.adata.copy()
    if kind == "genes":
        order = np.random.default_rng(2).permutation(90)
        other = other[:, order].copy()
    else:
        counts = other.layers["counts"]
        other.layers["counts"] = counts.toarray() if kind == "dense" else sp.csc_matrix(counts)
    cells, genes = np.arange(40), np.array([1, 2, 70])
    one, two = (
        SwappedCells(LatentSpaceAdapter(model, a), np.arange(60)).embed(cells, cells + 20, genes)
        for a in (model.adata, other)
    )
    np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_model_and_cells_are_unchanged(models):
    model = models["scare"]
    before = model.adata.copy()
    weights = {k: v.clone() for k, v in model.module.state_dict().items()}
    state = torch.random.get_rng_state()
    swapped = SwappedCells(LatentSpaceAdapter(model, model.adata), np.arange(50))
    first = swapped.embed(np.arange(50), np.arange(50)[::-1].copy(), np.arange(9))
    assert torch.equal(torch.random.get_rng_state(), state)
    again = SwappedCells(LatentSpaceAdapter(model, model.adata), np.arange(50))
    second = again.embed(np.arange(50), np.arange(50)[::-1].copy(), np.arange(9))
    np.testing.assert_array_equal(first, second)
    assert not any(
        module._forward_hooks for module in model.module.modules() if hasattr(module, "weight")
    )
    for name, value in model.module.state_dict().items():
        assert torch.equal(value, weights[name])
    assert (model.adata.layers["counts"] != before.layers["counts"]).nnz == 0


def test_objects_other_than_models(pbmc):
    with pytest.raises(TypeError, match=r"model must be a trained model.*got str"):
        LatentSpaceAdapter("X_pca", pbmc)
    ace.model.ACE.setup_anndata(pbmc)
    with pytest.raises(RuntimeError, match="is not trained"):
        LatentSpaceAdapter(ace.model.ACE(pbmc, n_clusters=3), pbmc)


def test_values_that_are_not_finite(models):
    model = models["ACE"]
    adata = model.adata.copy()
    adata.X = adata.X.toarray()
    adata.X[3, 3] = np.nan
    with pytest.raises(ValueError, match="NaN or infinite"):
        SwappedCells(LatentSpaceAdapter(model, ad.AnnData(adata.X, var=adata.var)), np.arange(50))
