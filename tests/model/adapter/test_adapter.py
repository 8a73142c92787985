"""Models of scvi-tools as differentiable functions of the genes."""

from __future__ import annotations

import logging
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import scvi
import torch
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.data.fields import CategoricalObsField, LayerField
from scvi.model.base import BaseModelClass, VAEMixin
from scvi.module.base import BaseModuleClass, auto_move_data

from ace._matrix import LogCounts
from ace.model.adapter import LatentSpaceAdapter

COVARIATES = {
    "layer": "counts",
    "batch_key": "batch",
    "categorical_covariate_keys": ["sex", "site"],
    "continuous_covariate_keys": ["age"],
}


@pytest.fixture(scope="module", autouse=True)
def _quiet():
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    scvi.settings.verbosity = logging.ERROR


@pytest.fixture(scope="module")
def _cells(_pbmc_original):
    adata = _pbmc_original[:, :120].copy()
    rng = np.random.default_rng(0)
    adata.obs["batch"] = rng.choice(["one", "two", "three"], adata.n_obs)
    adata.obs["sex"] = rng.choice(["f", "m"], adata.n_obs)
    adata.obs["site"] = rng.choice(["blood", "marrow", "lymph"], adata.n_obs)
    adata.obs["age"] = rng.normal(size=adata.n_obs).astype(np.float32)
    return adata


@pytest.fixture
def cells(_cells):
    return _cells.copy()


def trained(model):
    """Train for one epoch, which changes weights and running statistics."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.train(max_epochs=1, enable_progress_bar=False)
    return model


def scvi_model(adata, setup=COVARIATES, **options):
    scvi.model.SCVI.setup_anndata(adata, **setup)
    return trained(scvi.model.SCVI(adata, n_hidden=16, n_latent=5, **options))


def linear_scvi(adata):
    scvi.model.LinearSCVI.setup_anndata(adata, layer="counts", batch_key="batch")
    return trained(scvi.model.LinearSCVI(adata, n_hidden=16, n_latent=5))


def scanvi(adata):
    scvi.model.SCANVI.setup_anndata(
        adata, labels_key="louvain", unlabeled_category="Unknown", layer="counts"
    )
    return trained(scvi.model.SCANVI(adata, n_hidden=16, n_latent=5))


def every_row(adata):
    return np.arange(adata.n_obs)


@pytest.mark.parametrize(
    "make",
    [
        scvi_model,
        lambda a: scvi_model(a, encode_covariates=True, n_layers=2, deeply_inject_covariates=True),
        lambda a: scvi_model(a, encode_covariates=True, batch_representation="embedding"),
        lambda a: scvi_model(a, setup={"layer": "counts"}, use_observed_lib_size=False),
        linear_scvi,
        scanvi,
    ],
    ids=["SCVI", "covariates", "batch embedding", "library encoder", "LinearSCVI", "SCANVI"],
)
def test_embedding_equals_that_of_the_model(cells, make):
    model = make(cells)
    state = torch.random.get_rng_state()
    found = LatentSpaceAdapter(model, cells).embed(every_row(cells))
    torch.testing.assert_close(torch.random.get_rng_state(), state)
    np.testing.assert_allclose(found, model.get_latent_representation(), atol=1e-4)
    # The compared embeddings differ between cells.
    assert found.std(0).min() > 1e-2


@pytest.fixture(scope="module")
def covariate_model(_cells):
    return scvi_model(_cells.copy(), encode_covariates=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda a, _: a,
        lambda a, _: a[:, ::-1].copy(),
        lambda a, _: a[:, ::-1],
        lambda a, _: with_counts(a, a.layers["counts"].toarray()),
        lambda a, _: with_counts(a, a.layers["counts"].tocsc()),
        lambda a, _: with_counts(a, sp.csr_array(a.layers["counts"]).astype(np.float64)),
        lambda a, folder: on_disk(a, folder),
    ],
    ids=["same", "order", "view", "dense", "csc", "csr_array", "backed"],
)
def test_other_objects_with_the_same_genes(covariate_model, cells, tmp_path, change):
    expected = covariate_model.get_latent_representation()
    before = covariate_model.adata.obs.copy(), set(covariate_model.adata.uns)
    other = change(cells[::-1].copy(), tmp_path)
    obs, uns = other.obs.copy(), set(other.uns)
    found = LatentSpaceAdapter(covariate_model, other).embed(every_row(other))
    np.testing.assert_allclose(found, expected[::-1], atol=1e-4)
    # Neither object is registered or changed.
    assert set(other.uns) == uns
    assert other.obs.equals(obs)
    assert covariate_model.adata.obs.equals(before[0])
    assert set(covariate_model.adata.uns) == before[1]


def with_counts(adata, counts):
    adata.layers["counts"] = counts
    return adata


def on_disk(adata, folder):
    adata.write_h5ad(folder / "cells.h5ad")
    return ad.read_h5ad(folder / "cells.h5ad", backed="r")


def test_context_holds_total_and_covariates(covariate_model, cells):
    reader = LatentSpaceAdapter(covariate_model, cells)
    rows = np.array([3, 4, 100])
    context = reader.context(rows)
    total = cells.layers["counts"].sum(1).A1
    np.testing.assert_allclose(context[:, 0], total[rows] / 1e4, rtol=1e-6)
    manager = covariate_model.adata_manager
    for key in (
        REGISTRY_KEYS.BATCH_KEY,
        REGISTRY_KEYS.CAT_COVS_KEY,
        REGISTRY_KEYS.CONT_COVS_KEY,
    ):
        width = np.asarray(manager.get_from_registry(key)).reshape(cells.n_obs, -1).shape[1]
        expected = np.asarray(manager.get_from_registry(key)).reshape(cells.n_obs, -1)[rows]
        at = 1 + sum(w for k, w, _ in reader.encoder.fields[: place(reader, key)])
        np.testing.assert_allclose(context[:, at : at + width], expected, rtol=1e-6)


def place(reader, key):
    return [name for name, _, _ in reader.encoder.fields].index(key)


def test_context_is_constant_while_genes_change(covariate_model, cells):
    """Perturbed counts are embedded with the total, batch and covariates of the cell."""
    reader = LatentSpaceAdapter(covariate_model, cells)
    rows = np.array([7])
    context = torch.from_numpy(reader.context(rows))
    x = torch.from_numpy(reader.matrix[rows].toarray())
    x[0, 5] += 1.0
    moved = cells[rows].copy()
    counts = np.expm1(x.numpy()) * cells.layers["counts"][rows].sum() / 1e4
    moved.layers["counts"] = counts.astype(np.float32)
    expected = covariate_model.get_latent_representation(registered(covariate_model, moved))
    np.testing.assert_allclose(reader.embedding(x, context).cpu(), expected, atol=1e-4)
    # Values below zero, as in a noisy copy, are zero counts.
    below = reader.embedding(x.clamp_min(0) - 100 * (x == 0), context)
    torch.testing.assert_close(below, reader.embedding(x, context), atol=1e-6, rtol=0)


def registered(model, adata):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model._validate_anndata(adata)
    return adata


def test_log_counts_equal_those_of_scanpy(pbmc):
    counts = pbmc.layers["counts"]
    normalised = LogCounts(counts, np.arange(counts.shape[1]), 1e4)
    np.testing.assert_allclose(normalised[:].toarray(), pbmc.X.toarray(), rtol=1e-5, atol=1e-6)
    dense = LogCounts(counts.toarray(), np.arange(counts.shape[1]), 1e4)
    np.testing.assert_allclose(dense[5:9], normalised[5:9].toarray(), rtol=1e-5)
    # The total of a cell is computed from the genes of the model.
    some = LogCounts(counts, np.arange(50), 1e4)[:10].toarray()
    np.testing.assert_allclose(np.expm1(some[:, :50]).sum(1), 1e4, rtol=1e-4)


def test_log_counts_of_empty_cells_and_duplicate_entries():
    empty = LogCounts(sp.csr_matrix((2, 3)), np.arange(3), 1e4)
    np.testing.assert_array_equal(empty[:].toarray(), np.zeros((2, 3)))
    split = sp.csr_matrix((2, 3))
    split.data, split.indices = np.array([1.0, 2.0, 1.0]), np.array([0, 0, 1])
    split.indptr = np.array([0, 2, 3])
    whole = LogCounts(split, np.arange(3), 1.0)[:].toarray()
    np.testing.assert_allclose(whole, np.log1p([[1, 0, 0], [0, 1, 0]]), rtol=1e-6)
    assert split.nnz == 3


def test_log_normalised_values_are_not_transformed(cells):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warns that these are not counts
        scvi.model.SCVI.setup_anndata(cells)
        model = trained(scvi.model.SCVI(cells, n_hidden=8, gene_likelihood="normal"))
    reader = LatentSpaceAdapter(model, cells)
    assert reader.matrix is cells.X
    np.testing.assert_allclose(
        reader.embed(every_row(cells)), model.get_latent_representation(), atol=1e-4
    )
    cells.X = cells.layers["counts"]
    other = cells.copy()
    other.X = np.log1p(other.X)
    with pytest.raises(ValueError, match=r"trained on counts, but .*X holds logarithms"):
        LatentSpaceAdapter(model, other)


# -- models written by a user ------------------------------------------------------------------


class OwnModule(BaseModuleClass):
    """A linear encoder with one of several outputs."""

    def __init__(self, n_genes, n_batches, answer):
        super().__init__()
        self.encoder = torch.nn.Linear(n_genes + n_batches, 4)
        self.n_batches = n_batches
        self.answer = answer

    def _get_inference_input(self, tensors, **kwargs):
        return {"x": tensors[REGISTRY_KEYS.X_KEY], "batch": tensors[REGISTRY_KEYS.BATCH_KEY]}

    def _get_generative_input(self, tensors, inference_outputs):
        return {}

    @auto_move_data
    def inference(self, x, batch):
        one_hot = torch.nn.functional.one_hot(batch.squeeze(-1), self.n_batches)
        mean = self.encoder(torch.cat([torch.log1p(x), one_hot], 1))
        variance = torch.ones_like(mean)
        noisy = mean + torch.randn_like(mean)
        return {
            "qz": {"qz": torch.distributions.Normal(mean, variance), "z": noisy},
            "qzm": {"qzm": mean, "qzv": variance, "z": noisy},
            "z": {"z": mean},
            "noise": {"z": noisy},
            "other": {"code": mean},
            "twice": {"qzm": 2 * mean, "qzv": variance},
        }[self.answer]

    def generative(self):
        return {}

    def loss(self, *args, **kwargs):
        raise NotImplementedError


class OwnModel(VAEMixin, BaseModelClass):
    """A minimal model."""

    _module_cls = OwnModule

    def __init__(self, adata, answer="qz"):
        super().__init__(adata)
        self.module = OwnModule(self.summary_stats.n_vars, self.summary_stats.n_batch, answer)
        self.init_params_ = self._get_init_params(locals())
        self.is_trained_ = True
        self.module.eval()

    @classmethod
    def setup_anndata(cls, adata, layer=None, batch_key=None, **kwargs):
        fields = [
            LayerField(REGISTRY_KEYS.X_KEY, layer, is_count_data=True),
            CategoricalObsField(REGISTRY_KEYS.BATCH_KEY, batch_key),
        ]
        manager = AnnDataManager(
            fields=fields, setup_method_args=cls._get_setup_method_args(**locals())
        )
        manager.register_fields(adata, **kwargs)
        cls.register_manager(manager)

    def train(self):
        raise NotImplementedError


@pytest.fixture
def own_model(cells):
    OwnModel.setup_anndata(cells, layer="counts", batch_key="batch")
    return lambda answer: OwnModel(cells, answer)


@pytest.mark.parametrize("answer", ["qz", "qzm", "z"])
def test_models_on_vaemixin(own_model, cells, answer):
    model = own_model(answer)
    found = LatentSpaceAdapter(model, cells).embed(every_row(cells))
    counts = torch.tensor(cells.layers["counts"].toarray()).float()
    codes = torch.tensor(model.adata_manager.get_from_registry("batch")).long()
    with torch.no_grad():
        outputs = model.module.inference(counts, codes)
    mean = outputs["qz"].loc if answer == "qz" else outputs.get("qzm", outputs["z"])
    np.testing.assert_allclose(found, mean, atol=1e-4)
    if answer != "z":  # which scvi-tools does not support
        np.testing.assert_allclose(found, model.get_latent_representation(), atol=1e-4)


def test_latent_spaces_that_cannot_be_differentiated(own_model, cells):
    with pytest.raises(ValueError, match="samples its latent space at random"):
        LatentSpaceAdapter(own_model("noise"), cells)
    with pytest.raises(ValueError, match=r"none of \('qz', 'qzm', 'qz_m', 'z'\)"):
        LatentSpaceAdapter(own_model("other"), cells)
    model = own_model("qzm")
    model.get_latent_representation = None  # the method of the class counts
    own = type("Own", (OwnModel,), {"get_latent_representation": half_latent})
    model.__class__ = own
    del model.get_latent_representation
    with pytest.raises(ValueError, match="does not return the mean"):
        LatentSpaceAdapter(model, cells)


def half_latent(self, *, dataloader=None):
    return VAEMixin.get_latent_representation(self, dataloader=dataloader) / 2


def test_counts_with_and_without_decimals(cells):
    counts = cells.layers["counts"].astype(np.float32)
    cells.layers["counts"] = (counts * np.float32(0.9)).minimum(20).tocsr()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warns that these are not counts
        model = scvi_model(cells, {"layer": "counts"})
    assert isinstance(LatentSpaceAdapter(model, cells).matrix, LogCounts)
    rounded = cells.copy()
    rounded.layers["counts"] = cells.layers["counts"].rint()
    with pytest.warns(UserWarning, match=r"trained on counts with decimals .* hold counts\."):
        reader = LatentSpaceAdapter(model, rounded)
    assert isinstance(reader.matrix, LogCounts)
    rounded.layers["counts"] = cells.layers["counts"].log1p()
    with pytest.raises(ValueError, match=r"trained on counts with decimals .* log-normalised"):
        LatentSpaceAdapter(model, rounded)


# -- models and cells that raise errors ---------------------------------------------------------


def test_untrained(cells):
    scvi.model.SCVI.setup_anndata(cells, layer="counts")
    with pytest.raises(RuntimeError, match=r"SCVI is not trained: call train\(\) first"):
        LatentSpaceAdapter(scvi.model.SCVI(cells), cells)


def test_logistic_normal(cells):
    model = scvi_model(cells, {"layer": "counts"}, latent_distribution="ln")
    with pytest.raises(ValueError, match="logistic normal"):
        LatentSpaceAdapter(model, cells)


def test_minified(cells):
    model = scvi_model(cells, {"layer": "counts"})
    model.get_latent_representation()
    cells.obsm["X_latent_qzm"], cells.obsm["X_latent_qzv"] = model.get_latent_representation(
        return_dist=True
    )
    model.minify_adata()
    with pytest.raises(ValueError, match="SCVI is minified"):
        LatentSpaceAdapter(model, cells)


def test_loaded_without_cells(cells, tmp_path):
    model = scvi_model(cells, {"layer": "counts"})
    model.save(tmp_path / "model")
    loaded = scvi.model.SCVI.load(tmp_path / "model", adata=False)
    with pytest.raises(ValueError, match=r"SCVI\.load\(path, adata=adata\)"):
        LatentSpaceAdapter(loaded, cells)
    again = scvi.model.SCVI.load(tmp_path / "model", adata=cells)
    np.testing.assert_allclose(
        LatentSpaceAdapter(again, cells).embed(every_row(cells)),
        model.get_latent_representation(),
        atol=1e-4,
    )


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda a: a[:, 2:].copy(), ValueError, "2 of the 120 genes of the SCVI are not in adata"),
        (lambda a: a.obs.pop("batch"), KeyError, r"reads adata.obs\['batch'\], which does not"),
        (lambda a: a.obs.pop("age"), KeyError, r"reads adata.obs\['age'\]"),
        (lambda a: a.layers.pop("counts"), KeyError, "no layer 'counts'"),
        (lambda a: with_a_nan(a), ValueError, "the matrix holds NaN or infinite values"),
        (
            lambda a: a.obs.__setitem__("batch", "four"),
            ValueError,
            r"not trained with: \['four'\]; it knows \['one', 'three', 'two'\]",
        ),
        (
            lambda a: a.obs.__setitem__("sex", "?"),
            ValueError,
            r"adata.obs\['sex'\] has categories that the SCVI was not trained with",
        ),
    ],
)
def test_cells_that_the_model_cannot_read(covariate_model, cells, spoil, error, message):
    spoiled = spoil(cells)
    other = spoiled if isinstance(spoiled, ad.AnnData) else cells
    with pytest.raises(error, match=message):
        LatentSpaceAdapter(covariate_model, other)


def with_a_nan(adata):
    adata.layers["counts"] = adata.layers["counts"].astype(np.float32)
    adata.layers["counts"].data[0] = np.nan


def test_labels_are_not_needed(cells):
    model = scanvi(cells)
    expected = model.get_latent_representation()
    del cells.obs["louvain"]
    reader = LatentSpaceAdapter(model, cells.copy())
    assert (reader.labels_key, reader.unlabeled_category) == ("louvain", "Unknown")
    np.testing.assert_allclose(reader.embed(every_row(cells)), expected, atol=1e-4)
    other = cells.copy()
    other.obs["louvain"] = "a new type"
    np.testing.assert_allclose(
        LatentSpaceAdapter(model, other).embed(every_row(cells)), expected, atol=1e-4
    )


@pytest.mark.parametrize(
    "cls", [scvi.external.POISSONVI, scvi.model.PEAKVI, scvi.model.LinearSCVI]
)
def test_models_that_check_many_cells_read_few(cells, cls):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warns that these are not fragments
        cls.setup_anndata(cells, layer="counts", batch_key="batch")
        model = trained(cls(cells))
    few = cells[:40].copy()
    foreign = LatentSpaceAdapter(model, few)
    whole = model.get_latent_representation()
    np.testing.assert_allclose(foreign.embed(np.arange(40)), whole[:40], rtol=1e-3, atol=1e-3)
    rows = np.array([3, 7])
    np.testing.assert_allclose(foreign.embed(rows), whole[rows], rtol=1e-3, atol=1e-3)
    assert foreign.context(rows).shape[0] == 2


@pytest.mark.parametrize("dtype", ["string", "category of string"])
def test_columns_of_any_type(covariate_model, cells, dtype):
    expected = LatentSpaceAdapter(covariate_model, cells).context(np.arange(50))
    other = cells.copy()
    for column in ("batch", "sex", "site"):
        other.obs[column] = other.obs[column].astype("string")
        if dtype != "string":
            other.obs[column] = other.obs[column].astype("category")
    other.obs["age"] = other.obs["age"].astype("Float64")
    other.obs = pd.concat([other.obs, other.obs[["louvain", "louvain"]]], axis=1)
    found = LatentSpaceAdapter(covariate_model, other)
    np.testing.assert_array_equal(found.context(np.arange(50)), expected)
    other.obs["batch"] = other.obs["batch"].astype("string").where(other.obs["sex"] == "f")
    with pytest.raises(ValueError, match=r"'batch'.*is missing for"):
        LatentSpaceAdapter(covariate_model, other)
