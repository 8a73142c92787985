"""Behaviour of SCARE, and the methods that it shares with scVI."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import scvi
import torch

import ace
from ace.model import SCARE, GroundTruth
from ace.model.adapter import LatentSpaceAdapter

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

IG = "integrated_gradients"
#: Sets cells up and builds a model, trained or not.
Builder = Callable[..., SCARE]
#: Arguments of every training.
QUIET = {"enable_progress_bar": False}

N_CELLS, N_GENES = 400, 60
A, B = [f"gene{i}" for i in range(10)], [f"gene{i}" for i in range(10, 20)]


@pytest.fixture
def two_programs() -> AnnData:
    """Counts of two independent programs of ten genes each, and of 40 noise genes."""
    rng = np.random.default_rng(0)
    states = rng.integers(0, 2, (N_CELLS, 2))
    rates = np.full((N_CELLS, N_GENES), 2.0)
    rates[:, :10] = np.where(states[:, :1], 6.0, 1.0)
    rates[:, 10:20] = np.where(states[:, 1:], 6.0, 1.0)
    adata = ad.AnnData(
        sp.csr_matrix(rng.poisson(rates).astype(np.float32)),
        obs=pd.DataFrame(
            {"a": states[:, 0].astype(str), "b": states[:, 1].astype(str)},
            index=[f"cell{i}" for i in range(N_CELLS)],
        ),
        var=pd.DataFrame(index=[f"gene{i}" for i in range(N_GENES)]),
    )
    SCARE.setup_anndata(adata)
    return adata


def _fit(adata: AnnData, weight: float | None = None, **init: Any) -> SCARE:
    model = SCARE(adata, n_hidden=32, random_state=0, **init)
    plan = {"attribution_weight": weight}
    model.train(max_epochs=60, lr=3e-3, plan_kwargs=plan, **QUIET)
    return model


def _share(model: SCARE, genes: list[str], **kwargs: Any) -> float:
    values = model.get_attributions(**kwargs)
    return float(values[genes].to_numpy().sum() / values.to_numpy().sum())


def _separation(z: np.ndarray, groups: pd.Series) -> float:
    """Squared distance of two groups' means over the variance within them."""
    first, second = (z[(groups == g).to_numpy()] for g in ("0", "1"))
    between = np.square(first.mean(0) - second.mean(0)).sum()
    return float(between / (first.var(0).sum() + second.var(0).sum()))


def test_latent_space_follows_the_chosen_program(two_programs: AnnData) -> None:
    plain = _fit(two_programs, weight=0, ground_truth=A)
    model = _fit(two_programs, ground_truth=A)
    assert _share(plain, A) < 0.6
    assert _share(model, A) > 0.85
    z, obs = model.get_latent_representation(), two_programs.obs
    assert _separation(z, obs["a"]) > 10 * _separation(z, obs["b"])
    z = plain.get_latent_representation()
    assert _separation(z, obs["a"]) < 3 * _separation(z, obs["b"])


def test_disjoint_programs_have_separate_dimensions(two_programs: AnnData) -> None:
    truths = [GroundTruth(A, name="A"), GroundTruth(B, name="B")]
    model = _fit(two_programs, ground_truth=truths, disjoint=True, n_latent=6)
    assert model.latent_blocks == {"A": slice(0, 2), "B": slice(2, 4)}
    z, obs = model.get_latent_representation(), two_programs.obs
    for name, own, other in (("A", "a", "b"), ("B", "b", "a")):
        block = z[:, model.latent_blocks[name]]
        assert _separation(block, obs[own]) > 10 * _separation(block, obs[other])
    one = model.get_attributions(dimension=0)
    assert one[A].to_numpy().sum() > 5 * one[B].to_numpy().sum()
    last = model.history["validation_share_A"].to_numpy(dtype=float)[-1]
    assert last > 0.8


def test_genes_are_selected_by_an_empty_ground_truth(two_programs: AnnData) -> None:
    model = _fit(two_programs, ground_truth=[], loss="excess")
    plain = _fit(two_programs, transform="abs_minmax", reference="minibatch")
    selected = set(model.top_attributed_genes(4))
    assert selected <= {*A, *B}
    assert selected & set(A)
    assert selected & set(B)

    def n_needed(fitted: SCARE) -> int:
        """Return the number of genes that carry 80 % of the attribution."""
        values = np.sort(fitted.get_attributions().to_numpy().mean(0))[::-1]
        return int(np.searchsorted(values.cumsum() / values.sum(), 0.8))

    assert n_needed(model) < n_needed(plain) / 2


def test_weight_zero_gives_the_plain_model(adata: AnnData, new: Builder) -> None:
    model, plain = new(adata, ground_truth=["LYZ"]), new(adata)
    model.train(max_epochs=2, plan_kwargs={"attribution_weight": 0}, **QUIET)
    plain.train(max_epochs=2, **QUIET)
    np.testing.assert_array_equal(
        model.get_latent_representation(), plain.get_latent_representation()
    )
    assert "train_attribution" not in plain.history
    assert {"train_elbo", "validation_elbo", "validation_kl"} <= set(plain.history)


def test_elbo_of_the_history_equals_that_of_scvi(adata: AnnData, trained: Builder) -> None:
    """Equal to :func:`scvi.model.base.VAEMixin.get_elbo` up to the noise of one sample."""
    model = trained(adata, max_epochs=10)
    own = model.history["validation_elbo"].to_numpy(dtype=float)[-1]
    theirs = -float(model.get_elbo(indices=model.validation_indices))
    assert own == pytest.approx(theirs, rel=0.01)


def test_attribution_loss_starts_after_the_warmup(adata: AnnData, new: Builder) -> None:
    kwargs = {"max_epochs": 3, **QUIET}
    model, plain = new(adata, ground_truth=["LYZ", "CD74"]), new(adata)
    model.train(plan_kwargs={"attribution_warmup_epochs": 2, "attribution_weight": 1e3}, **kwargs)
    plain.train(**kwargs)
    history, loss = model.history, "train_loss"
    assert history["train_attribution"].notna().all(axis=None)
    gap = history[loss].to_numpy(float) - plain.history[loss].to_numpy(float)
    assert abs(gap[:2]).max() < 50
    assert gap[2] > 300


@pytest.mark.parametrize(
    ("plan_kwargs", "message"),
    [
        ({"attribution_weight": -1}, "attribution_weight must be a number from 0"),
        ({"kl_weight": float("nan")}, "kl_weight must be a number from 0"),
        ({"attribution_warmup_epochs": 1.5}, "whole number from 0"),
    ],
)
def test_invalid_plan_arguments(
    adata: AnnData, plan_kwargs: Any, message: str, new: Builder
) -> None:
    with pytest.raises(ValueError, match=message):
        new(adata, ground_truth=["LYZ"]).train(max_epochs=1, plan_kwargs=plan_kwargs, **QUIET)


def first_dimension(z: torch.Tensor) -> torch.Tensor:
    return z[:, 0]


def every_dimension(z: torch.Tensor) -> torch.Tensor:
    return z


def test_target_must_return_one_value_per_cell(adata: AnnData, new: Builder) -> None:
    model = new(adata, ground_truth=["LYZ"], target=every_dimension)
    with pytest.raises(ValueError, match=r"shape \(128,\), got shape \(128, 8\)"):
        model.train(max_epochs=1, **QUIET)


TARGETS = ["encoder_sum", "encoder_norm", "decoder_sum", "random_projection", first_dimension]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("attribution", ["expected_gradients", "integrated_gradients"])
def test_training_with_every_target(
    adata: AnnData, target: Any, attribution: str, new: Builder
) -> None:
    model = new(adata, ground_truth=["LYZ"], target=target, attribution=attribution, loss="mae")
    model.train(max_epochs=1, **QUIET)
    found = model.history["validation_attribution"].to_numpy(float)
    assert np.isfinite(found).all()
    assert (found > 0).all()


@pytest.mark.parametrize(
    "init",
    [
        {"gene_likelihood": "zinb"},
        {"use_observed_lib_size": False},
        {"use_observed_lib_size": False, "target": "decoder_sum"},
        {"encode_covariates": False},
        {"n_layers": 2, "dispersion": "gene-batch"},
    ],
    ids=str,
)
def test_networks_of_scvi(
    adata: AnnData, init: dict[str, Any], tmp_path: Path, trained: Builder
) -> None:
    model = trained(adata, ground_truth=["LYZ", "CD74"], max_epochs=1, **init)
    model.save(str(tmp_path / "model"))
    loaded = SCARE.load(str(tmp_path / "model"), adata=False)
    cells = adata[:40].copy()
    np.testing.assert_array_equal(
        loaded.get_latent_representation(cells), model.get_latent_representation(cells)
    )


def test_covariates_and_size_factors(adata: AnnData) -> None:
    adata.obs["size"] = np.asarray(adata.X.sum(1)).ravel() / 1e3
    adata.obs["half"] = np.where(np.arange(adata.n_obs) % 2, "x", "y")
    SCARE.setup_anndata(
        adata,
        batch_key="phase",
        size_factor_key="size",
        categorical_covariate_keys=["half", "louvain"],
        continuous_covariate_keys=["S_score", "percent_mito"],
    )
    model = SCARE(adata, n_hidden=16, ground_truth=["LYZ"], target="decoder_sum")
    model.train(max_epochs=1, **QUIET)
    own = model.get_latent_representation()
    other = adata[::-1].copy()
    np.testing.assert_allclose(model.get_latent_representation(other)[::-1], own, atol=1e-5)
    z, _ = model.get_latent_representation(other, return_dist=True)  # as read by scvi-tools
    np.testing.assert_allclose(z[::-1], own, atol=1e-5)
    other.obs["half"] = "y"
    changed = model.get_latent_representation(other)[::-1]
    even = np.arange(adata.n_obs) % 2 == 0
    np.testing.assert_allclose(changed[even], own[even], atol=1e-5)
    assert np.abs(changed[~even] - own[~even]).max() > 1e-3
    other.obs["half"] = "z"
    with pytest.raises(ValueError, match=r"'half'.*was not trained with: \['z'\]"):
        model.get_latent_representation(other)
    del other.obs["S_score"]
    other.obs["half"] = "x"
    with pytest.raises(KeyError, match="S_score"):
        model.get_latent_representation(other)


def test_methods_of_scvi_read_other_cells_by_name(adata: AnnData, trained: Builder) -> None:
    model = trained(adata)
    query = adata[:50, ::-1].copy()
    del query.obs["bulk_labels"]
    before = query.copy()
    same = adata[:50].copy()
    for ask in (
        lambda cells: model.get_latent_representation(cells, return_dist=True)[1],
        lambda cells: model.get_normalized_expression(cells, n_samples=1, return_numpy=True),
        lambda cells: model.get_reconstruction_error(cells)["reconstruction_loss"].cpu().numpy(),
    ):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            first = ask(query)
            torch.manual_seed(0)
            np.testing.assert_allclose(first, ask(same), rtol=1e-5)
    assert model.posterior_predictive_sample(query, n_samples=2).shape == (50, 765, 2)
    assert query.obs.equals(before.obs)
    assert query.uns.keys() == before.uns.keys()
    assert model.adata is adata


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_differential_expression(adata: AnnData, trained: Builder) -> None:
    model = trained(adata, max_epochs=30)
    found = model.differential_expression(
        groupby="bulk_labels", group1="CD19+ B", mode="change", silent=True
    )
    assert "CD79A" in set(found.sort_values("lfc_mean", ascending=False).index[:50])


def test_query_is_learned(adata: AnnData, trained: Builder) -> None:
    reference = adata[adata.obs["phase"] != "S"].copy()
    query = adata[adata.obs["phase"] == "S"].copy()[:, ::-1].copy()
    model = trained(reference, ground_truth=["LYZ", "CD74"])
    with pytest.raises(ValueError, match="load_query_data"):
        model.get_latent_representation(query)
    learned = SCARE.load_query_data(query, model)
    learned.train(max_epochs=2, **QUIET)
    assert learned.get_latent_representation().shape == (query.n_obs, 8)
    known = reference[:30].copy()
    np.testing.assert_allclose(  # what belongs to the reference is unchanged
        learned.get_latent_representation(known), model.get_latent_representation(known), atol=1e-6
    )
    assert "train_attribution" in learned.history


def test_minified(adata: AnnData, tmp_path: Path, trained: Builder) -> None:
    model = trained(adata, ground_truth=["LYZ"])
    mean, variance = model.get_latent_representation(return_dist=True)
    adata.obsm["X_latent_qzm"], adata.obsm["X_latent_qzv"] = mean, variance
    full, cells = adata.copy(), adata[:20].copy()
    model.minify_adata()
    assert model.minified_data_type == "latent_posterior_parameters"
    model.save(str(tmp_path / "model"), save_anndata=True)
    loaded = SCARE.load(str(tmp_path / "model"))
    for each in (model, loaded):
        np.testing.assert_allclose(each.get_latent_representation(), mean, atol=1e-6)
        assert each.get_normalized_expression(n_samples=1).shape == adata.shape
        np.testing.assert_allclose(each.get_latent_representation(cells), mean[:20], atol=1e-5)
        for ask in (each.train, each.get_attributions, each.group_scorer):
            with pytest.raises(ValueError, match="minified"):
                ask()
        assert each.get_attributions(full, indices=[0, 1], n_samples=1).shape == (2, 765)


def test_explained(adata: AnnData, trained: Builder) -> None:
    model = trained(adata, max_epochs=30, n_latent=10)
    adata.obs["b"] = np.where(adata.obs["bulk_labels"] == "CD19+ B", "B", "other")
    ace.tl.explain(adata, "b", model=model, n_prototypes=8)
    assert set(ace.get.explain_df(adata, "B")["gene"][:10]) & {"CD79A", "CD79B", "CD37"}
    assert model.group_scorer().groups == tuple(adata.obs["bulk_labels"].cat.categories)
    SCARE.setup_anndata(adata)
    unlabelled = SCARE(adata, n_hidden=8)
    unlabelled.train(max_epochs=1, **QUIET)
    with pytest.raises(ValueError, match="no labels were set up"):
        unlabelled.group_scorer()


def test_attributions_are_repeated_and_selected(adata: AnnData, trained: Builder) -> None:
    model = trained(adata, ground_truth=["LYZ", "CD74"])
    whole = model.get_attributions(n_samples=2)
    assert whole.shape == adata.shape
    pd.testing.assert_frame_equal(whole, model.get_attributions(n_samples=2))
    assert (whole.to_numpy() >= 0).all()
    signed = model.get_attributions(dimension=3, absolute=False, n_samples=2)
    assert (signed.to_numpy() < 0).any()
    some = model.get_attributions(indices=[5, 2], n_samples=1)
    assert list(some.index) == list(adata.obs_names[[5, 2]])
    means = model.get_attributions().to_numpy()
    best = adata.var_names[(means / (means.sum(1, keepdims=True) + 1e-12)).mean(0).argmax()]
    assert model.top_attributed_genes(1)[0] == best
    with pytest.raises(ValueError, match="dimension must be a whole number from 0 to 7, got 8"):
        model.get_attributions(dimension=8)
    with pytest.raises(ValueError, match="n must be a whole number from 1 to 765"):
        model.top_attributed_genes(766)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_mudata(adata: AnnData, trained: Builder) -> None:
    columns = ["phase", "bulk_labels"]
    rna = adata.copy()
    del rna.obs["phase"]
    mdata = md.MuData({"rna": rna})
    mdata.obs["phase"] = adata.obs["phase"]
    SCARE.setup_mudata(
        mdata,
        modalities={"layer": "rna", "labels_key": "rna"},
        batch_key="phase",
        labels_key="bulk_labels",
    )
    model = SCARE(mdata, n_hidden=16, n_latent=8, ground_truth=["LYZ"], random_state=0)
    model.train(max_epochs=2, **QUIET)
    same = trained(adata[:, :].copy(), ground_truth=["LYZ"], n_hidden=16, max_epochs=2)
    np.testing.assert_array_equal(
        model.get_latent_representation(), same.get_latent_representation()
    )
    np.testing.assert_array_equal(
        model.get_latent_representation(adata), model.get_latent_representation()
    )
    assert model.get_normalized_expression(n_samples=1).shape == adata.shape
    assert columns[0] == model.batch_key


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_mudata_with_columns_elsewhere(adata: AnnData, tmp_path: Path) -> None:
    rna, protein = adata.copy(), ad.AnnData(obs=adata.obs[["phase", "bulk_labels"]].copy())
    del rna.obs["phase"], rna.obs["bulk_labels"]
    mdata = md.MuData({"rna": rna, "protein": protein})
    places = {"layer": "rna", "labels_key": "protein", "batch_key": "protein"}
    keys = {"batch_key": "phase", "labels_key": "bulk_labels"}
    SCARE.setup_mudata(mdata, modalities=places, **keys)
    model = SCARE(mdata, n_hidden=16, n_latent=8, random_state=0)
    model.train(max_epochs=1, **QUIET)
    model.save(str(tmp_path / "model"))
    reverse = md.MuData({"rna": rna[:, ::-1].copy(), "protein": protein.copy()})
    loaded = SCARE.load(str(tmp_path / "model"), adata=reverse)
    own = model.get_latent_representation(return_dist=True)[1]
    for cells in (None, mdata):
        found = loaded.get_latent_representation(cells, return_dist=True)[1]
        np.testing.assert_allclose(found, own, rtol=1e-4)
    with pytest.raises(ValueError, match="set up with an AnnData"):
        model.minify_adata()
    one, two = (
        each.group_scorer(cells, "bulk_labels", n_prototypes=1)
        for each, cells in ((model, mdata), (loaded, reverse))
    )
    x = torch.rand(3, rna.n_vars)
    context = torch.from_numpy(LatentSpaceAdapter(model, mdata).context(np.arange(3)))
    torch.testing.assert_close(one(x, context), two(x, context), rtol=1e-3, atol=1e-3)
    with pytest.raises(KeyError, match=r"reads adata\.obs\['phase'\]"):
        model.group_scorer(mdata.mod["rna"], "louvain")


def test_set_up_for_another_model(adata: AnnData) -> None:
    """scvi-tools writes the codes of all models to the same columns."""
    SCARE.setup_anndata(adata)
    model = SCARE(adata, n_hidden=8, random_state=0)
    model.train(max_epochs=1, **QUIET)
    before = model.get_latent_representation()
    scvi.model.SCVI.setup_anndata(adata, batch_key="phase")
    np.testing.assert_array_equal(model.get_latent_representation(), before)
    np.testing.assert_array_equal(model.get_latent_representation(adata.copy()), before)


def test_other_cells_are_copied_and_set_up(adata: AnnData, trained: Builder) -> None:
    model = trained(adata)
    other = adata[:400, ::-1].copy()
    expected = model.get_latent_representation(other)
    model.adata = other
    np.testing.assert_array_equal(model.get_latent_representation(), expected)
    z, _ = model.get_latent_representation(return_dist=True)
    np.testing.assert_allclose(z, expected, atol=1e-5)


def test_copies_of_other_cells_are_freed(adata: AnnData, trained: Builder, tmp_path: Path) -> None:
    model = trained(adata)
    model.save(str(tmp_path / "model"))
    loaded = SCARE.load(str(tmp_path / "model"), adata=False)
    for each in (model, loaded):
        for _ in range(2):
            each.get_normalized_expression(adata[:20, ::-1].copy(), n_samples=1)
    kept = [
        manager.adata
        for store in (
            SCARE._setup_adata_manager_store,
            *SCARE._per_instance_manager_store.values(),
        )
        for manager in store.values()
        if manager.adata is not None and manager.adata.n_obs == 20
    ]
    assert len({id(one) for one in kept}) <= 2  # the last copy of each model
    assert loaded.adata is None


@pytest.mark.parametrize("value", [0, -1, np.inf])
def test_size_factors_must_be_positive(adata: AnnData, value: float) -> None:
    adata.obs["number"] = 1.0
    adata.obs.loc[adata.obs_names[0], "number"] = value
    with pytest.raises(ValueError, match="must hold positive numbers only"):
        SCARE.setup_anndata(adata, size_factor_key="number")


def test_weight_without_a_ground_truth(adata: AnnData, new: Builder) -> None:
    with pytest.raises(ValueError, match="has no effect without a ground truth"):
        new(adata).train(max_epochs=1, plan_kwargs={"attribution_weight": 5}, **QUIET)


def test_history_averages_over_covered_cells(adata: AnnData, new: Builder) -> None:
    """The share of a rare type is not averaged over minibatches without it."""
    genes = ["CD74", "CD79A", "HLA-DRA"]
    model = new(adata, ground_truth={"CD19+ B": genes, "CD34+": []}, attribution=IG)
    model.train(max_epochs=1, batch_size=16, plan_kwargs={"attribution_weight": 1e-6}, **QUIET)
    rows = model.validation_indices
    rows = rows[(adata.obs["bulk_labels"] == "CD19+ B").to_numpy()[rows]]
    values = model.get_attributions(indices=rows)
    expected = (values[genes].sum(axis=1) / values.sum(axis=1)).mean()
    found = model.history["validation_share_0"].to_numpy(dtype=float).ravel()[-1]
    assert found == pytest.approx(expected, rel=1e-3)


def test_references_without_labels_are_neighbours(adata: AnnData, trained: Builder) -> None:
    model = trained(adata, ground_truth=["LYZ", "CD74"])
    unlabelled = adata.copy()
    del unlabelled.obs["bulk_labels"]
    near = trained(adata, ground_truth=["LYZ", "CD74"])
    near._settings = dataclasses.replace(near._settings, reference="neighbor")
    pd.testing.assert_frame_equal(
        model.get_attributions(unlabelled, n_samples=2), near.get_attributions(adata, n_samples=2)
    )
    with pytest.raises(ValueError, match="pass several cells"):
        model.get_attributions(unlabelled, indices=[0])


def test_references_are_drawn_among_all_cells(adata: AnnData, trained: Builder) -> None:
    model = trained(adata, ground_truth=["LYZ", "CD74"])
    one = model.get_attributions(indices=[7], n_samples=50)
    assert one.to_numpy().sum() > 0
    assert (model.get_attributions(batch_size=1, n_samples=1).to_numpy().sum(1) > 0).all()
    several = model.get_attributions(indices=np.arange(5, 10), n_samples=50)
    np.testing.assert_allclose(
        several.loc[one.index].to_numpy().sum(), one.to_numpy().sum(), rtol=0.3
    )


def test_values_other_than_counts(adata: AnnData) -> None:
    adata.X.data = np.log1p(adata.X.data)
    with pytest.warns(UserWarning, match=r"layer='counts'"):
        SCARE.setup_anndata(adata)
    adata.X.data[0] = -1
    with pytest.raises(ValueError, match="negative values"):
        SCARE.setup_anndata(adata)


def test_columns_must_be_complete(adata: AnnData) -> None:
    adata.obs["holes"] = adata.obs["phase"].where(adata.obs["phase"] != "S")
    adata.obs["score"] = adata.obs["S_score"].where(adata.obs["phase"] != "S")
    for columns in ({"batch_key": "holes"}, {"continuous_covariate_keys": ["score"]}):
        before = adata.copy()
        with pytest.raises(ValueError, match=r"is missing for \d+ cells"):
            SCARE.setup_anndata(adata, **columns)
        assert list(adata.obs) == list(before.obs)
