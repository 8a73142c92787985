"""Founder scores of models whose latent space depends on known genes."""

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

import ace
from ace.tl._swaps import draw_swaps

GENES = [f"gene {i}" for i in range(40)]
PLANTED = GENES[:4]
WRITTEN = {"uns": {"fssf"}, "obs": {"fssf_subcluster"}, "obsm": {"X_fssf"}}


@pytest.fixture(scope="module", autouse=True)
def _quiet():
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    scvi.settings.verbosity = logging.ERROR


def made_of(model, genes):
    """Make the latent space depend on some genes only, by setting other weights to zero."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.train(max_epochs=1, enable_progress_bar=False)
    first = next(
        m
        for m in model.module.modules()
        if isinstance(m, torch.nn.Linear) and m.in_features >= len(GENES)
    )
    others = [i for i, gene in enumerate(GENES) if gene not in genes]
    with torch.no_grad():
        first.weight[:, others] = 0
    model.module.eval()
    return model


@pytest.fixture(scope="module")
def _counts():
    """Two types with three states each, which depend on planted genes, and a tiny type."""
    rng = np.random.default_rng(0)
    types = np.repeat(["x", "y/z", "tiny"], [180, 150, 12])
    state = rng.integers(3, size=len(types))
    rate = np.full((len(types), len(GENES)), 5.0)
    rate[:, 10:20] += 10 * (types == "x")[:, None]
    rate[:, :2] = np.array([1, 1, 200])[state][:, None]
    rate[:, 2:4] = np.array([1, 200, 1])[state][:, None]
    obs = pd.DataFrame(
        {
            "type": pd.Categorical(types),
            "state": pd.Categorical.from_codes(state, ["low", "mid", "high"]),
            "batch": rng.choice(["one", "two"], len(types)),
        },
        index=[f"cell {i}" for i in range(len(types))],
    )
    counts = sp.csr_matrix(rng.poisson(rate).astype(np.float32))
    adata = ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=GENES))
    adata.layers["log"] = counts.log1p()
    return adata


@pytest.fixture
def cells(_counts):
    return _counts.copy()


@pytest.fixture(scope="module")
def model(_counts):
    adata = _counts.copy()
    scvi.model.SCVI.setup_anndata(adata, batch_key="batch")
    torch.manual_seed(0)
    return made_of(scvi.model.SCVI(adata, n_latent=4), PLANTED)


def kratos(adata):
    ace.model.KRATOS.setup_anndata(adata, "type", layer="log")
    return made_of(ace.model.KRATOS(adata, n_hidden=(16, 8)), PLANTED)


def autoencoder(adata):
    ace.model.ACE.setup_anndata(adata, layer="log")
    return made_of(ace.model.ACE(adata, n_clusters=3, n_hidden=(16, 8)), PLANTED)


def scare(adata):
    ace.model.SCARE.setup_anndata(adata, batch_key="batch")
    return made_of(ace.model.SCARE(adata, ground_truth=PLANTED), PLANTED)


def score(adata, model, genes=PLANTED, groupby="type", **kwargs):
    options = {"n_random": 5, "min_cells": 10, "resolution": 0.05}
    ace.tl.fssf(adata, groupby, genes, model=model, **options | kwargs)
    return ace.get.fssf_df(adata, key=kwargs.get("key_added", "fssf"))


def test_planted_genes_have_high_founder_scores(cells, model):
    before = cells.copy()
    df = score(cells, model)
    assert set(df["group"]) == {"x", "y/z"}
    assert (df["fssf"] > 0.95).all()
    # The other genes have no weight, so swapping them changes nothing.
    assert (df["random_mean"] < -0.95).all()
    np.testing.assert_allclose(df["p_value"], 1 / 6)
    np.testing.assert_allclose(df["random_sd"], 0, atol=1e-6)
    # The subclusters are the states, and are named after the group.
    table = pd.crosstab(cells.obs["fssf_subcluster"], cells.obs["state"])
    assert (table.max(axis=1) / table.sum(axis=1) > 0.95).all()
    assert cells.obs["fssf_subcluster"].isna().equals(cells.obs["type"] == "tiny")
    assert all(
        name.rpartition(":")[0] == kind
        for name, kind in zip(cells.obs["fssf_subcluster"], cells.obs["type"], strict=True)
        if isinstance(name, str)
    )
    sizes = cells.obs["fssf_subcluster"].value_counts()
    np.testing.assert_array_equal(
        df["n_cells"],
        [sizes[a] + sizes[b] for a, b in zip(df["subcluster_1"], df["subcluster_2"], strict=True)],
    )
    np.testing.assert_allclose(
        cells.obsm["X_fssf"], model.get_latent_representation(), rtol=1e-3, atol=1e-3
    )
    # Nothing else is written.
    for place, names in WRITTEN.items():
        assert set(getattr(cells, place)) - set(getattr(before, place)) == names
    pd.testing.assert_frame_equal(cells.obs[before.obs.columns], before.obs)
    pd.testing.assert_frame_equal(cells.var, before.var)
    assert (cells.X != before.X).nnz == 0


def test_other_genes_have_low_founder_scores(cells, model):
    df = score(cells, model, GENES[20:24], n_random=50)
    assert (df["fssf"] < -0.95).all()
    # No random set scores lower, and sets with planted genes score higher.
    np.testing.assert_allclose(df["p_value"], 1)
    assert (df["random_mean"] > df["fssf"] + 0.01).any()


@pytest.mark.parametrize("make", [kratos, autoencoder, scare])
def test_models_of_this_package(cells, make):
    model = make(cells)
    df = score(cells, model)
    assert df["fssf"].mean() > 0.9
    assert df["random_mean"].mean() < -0.9
    assert cells.uns["fssf"]["params"]["model"] == type(model).__name__


def test_half_of_the_genes(cells, model):
    whole, half = (score(cells, model, genes, n_random=0) for genes in (PLANTED, PLANTED[:2]))
    assert half["fssf"].mean() < whole["fssf"].mean() - 0.3
    assert whole[["random_mean", "random_sd", "p_value"]].isna().all(axis=None)


def test_given_subclusters(cells, model):
    cells.obs.loc[cells.obs_names[:5], "state"] = np.nan
    df = score(cells, model, subclusters="state", min_cells=20)
    assert list(df["subcluster_1"]) == ["x:low", "x:low", "x:mid", "y/z:low", "y/z:low", "y/z:mid"]
    assert (df["fssf"] > 0.95).all()
    assert cells.obs["fssf_subcluster"].isna().sum() == 5 + 12
    with pytest.raises(KeyError, match=r"no column 'stat'.*Did you mean 'state'"):
        score(cells, model, subclusters="stat")


def test_swaps_are_within_a_pair():
    subcluster = np.array([0, 1, 1, 0, 2, 1, 0, 3])
    swaps = draw_swaps(subcluster, 2, None, np.random.default_rng(0))
    assert swaps.pairs == [(0, 1)]  # the others are too small
    np.testing.assert_array_equal(np.sort(swaps.cells), [0, 1, 2, 3, 5, 6])
    np.testing.assert_array_equal(swaps.origin, subcluster[swaps.cells])
    np.testing.assert_array_equal(swaps.source, subcluster[swaps.donors])
    np.testing.assert_array_equal(swaps.origin + swaps.source, 1)
    # Two of six cells are nearest to the source, three to the origin, one to another.
    assert swaps.score(np.r_[swaps.source[:2], swaps.origin[2:5], 2]) == pytest.approx(-1 / 6)
    subcluster = np.repeat([0, 1, 2], 50)
    one, two = (draw_swaps(subcluster, 2, None, np.random.default_rng(seed)) for seed in (0, 1))
    assert one.pairs == [(0, 1), (0, 2), (1, 2)]
    np.testing.assert_array_equal(one.n_cells, 100)
    assert (one.donors != two.donors).any()
    assert draw_swaps(subcluster, 51, None, np.random.default_rng(0)).pairs == []


def test_maximum_number_of_swapped_cells(cells, model):
    few = draw_swaps(np.repeat([0, 1], [50, 5]), 2, 10, np.random.default_rng(0))
    np.testing.assert_array_equal(np.bincount(few.origin), [10, 5])
    assert len(np.unique(few.cells)) == 15
    np.testing.assert_array_equal(few.source, 1 - few.origin)
    df = score(cells, model, max_cells=10)
    np.testing.assert_array_equal(df["n_cells"], 20)
    assert (df["fssf"] > 0.95).all()


def test_genes_of_each_group(cells, model):
    df = score(cells, model, {"x": PLANTED, "y/z": GENES[30:34]}, n_random=0)
    means = df.groupby("group", observed=True)["fssf"].mean()
    assert means["x"] > 0.95
    assert means["y/z"] < -0.95
    genes = cells.uns["fssf"]["genes"]
    assert list(genes.loc[genes["group"] == "x", "gene"]) == PLANTED
    only = score(cells, model, {"y/z": PLANTED}, n_random=0)
    assert set(only["group"]) == {"y/z"}
    with pytest.raises(ValueError, match=r"group of genes='z'"):
        score(cells, model, {"z": PLANTED})


def test_genes_of_a_column(cells, model):
    cells.var["planted"] = cells.var_names.isin(PLANTED)
    one, two = score(cells, model), score(cells, model, "planted")
    pd.testing.assert_frame_equal(one, two)
    assert list(cells.uns["fssf"]["genes"]["gene"]) == PLANTED
    with pytest.raises(KeyError, match=r"no Boolean column 'gene 1'.*\['gene 1'\]"):
        score(cells, model, "gene 1")


def test_dimensions(cells, model):
    score(cells, model, dimensions=[0, 2])
    z = model.get_latent_representation()
    np.testing.assert_allclose(cells.obsm["X_fssf"], z[:, [0, 2]], rtol=1e-3, atol=1e-3)
    one = score(cells, model, dimensions=slice(0, 2))
    two = score(cells, model, dimensions=[0, 1])
    pd.testing.assert_frame_equal(one, two)
    for wrong in ([], [7], 3, "all"):
        with pytest.raises(ValueError, match="numbers of latent dimensions, from 0 to 3"):
            score(cells, model, dimensions=wrong)


def test_reproducible_with_a_seed(cells, model):
    first = score(cells, model, PLANTED[:2])
    subclusters = cells.obs["fssf_subcluster"].copy()
    again = score(cells, model, PLANTED[:2])
    pd.testing.assert_frame_equal(first, again)
    pd.testing.assert_series_equal(subclusters, cells.obs["fssf_subcluster"])
    other = score(cells, model, GENES[20:24], random_state=1)
    first = score(cells, model, GENES[20:24])
    assert not other["random_mean"].equals(first["random_mean"])


def test_batch_size_does_not_matter(cells, model):
    one, two = (score(cells, model, PLANTED[:3], batch_size=size) for size in (7, 4096))
    pd.testing.assert_frame_equal(one, two, atol=0.05)


def test_order_of_genes_does_not_matter(cells, model):
    one = score(cells, model)
    shuffled = cells[:, np.random.default_rng(0).permutation(len(GENES))].copy()
    two = score(shuffled, model, PLANTED[::-1])
    pd.testing.assert_frame_equal(one, two, atol=0.02)


@pytest.mark.parametrize("genes", [PLANTED, {"x": PLANTED, "y/z": PLANTED}])
def test_result_can_be_stored(cells, model, genes, tmp_path):
    df = score(cells, model, genes)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    stored = ad.read_h5ad(tmp_path / "cells.h5ad")
    pd.testing.assert_frame_equal(ace.get.fssf_df(stored), df)
    assert list(stored.obs["fssf_subcluster"].astype(str)) == list(
        cells.obs["fssf_subcluster"].astype(str)
    )
    assert list(stored.uns["fssf"]["genes"]["gene"]) == list(cells.uns["fssf"]["genes"]["gene"])


def test_keys(cells, model):
    cells.uns["mine"], cells.obs["own_subcluster"] = 1, "a"
    for key, place in (("mine", "uns"), ("own", "obs")):
        with pytest.raises(ValueError, match=rf"would overwrite \.{place}"):
            score(cells, model, key_added=key)
    score(cells, model, key_added="first")
    score(cells, model, key_added="second")
    with pytest.raises(ValueError, match="without '/'"):
        score(cells, model, key_added="a/b")
    with pytest.raises(KeyError, match=r"There are scores in \['first', 'second'\].*ace\.tl"):
        ace.get.fssf_df(cells)
    with pytest.raises(ValueError, match="which this call reads"):
        score(cells, model, groupby="second_subcluster", key_added="second")


def test_few_pairs(cells, model):
    x = cells[(cells.obs["type"] == "x") & (cells.obs["state"] != "mid")].copy()
    x.obs["type"] = x.obs["type"].cat.remove_unused_categories()
    with pytest.warns(UserWarning, match="only 1 pairs of subclusters"):
        df = score(x, model, subclusters="state")
    assert len(df) == 1
    before = x.copy()
    with pytest.raises(ValueError, match=r"no group of adata\.obs\['type'\] has two.*min_cells"):
        score(x, model, subclusters="state", min_cells=150, key_added="new")
    assert set(x.uns) == set(before.uns)
    assert set(x.obs) == set(before.obs)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"genes": ["gene 1", "gen 2"]}, ValueError, r"1 of 2 genes.*'gen 2'.*Did you mean 'gene"),
        ({"genes": []}, ValueError, "genes is empty"),
        ({"genes": [1, 2]}, TypeError, "names of genes"),
        ({"genes": GENES[:30]}, ValueError, r"30 of the 40 genes.*n_random=0"),
        ({"groupby": "typ"}, KeyError, "no column 'typ'.*Did you mean 'type'"),
        ({"n_neighbors": 0}, ValueError, "n_neighbors must be"),
        ({"min_cells": 1}, ValueError, "min_cells must be a whole number from 2"),
        ({"n_random": -1}, ValueError, "n_random must be"),
        ({"resolution": "x"}, ValueError, "resolution must be a number above 0, got 'x'"),
        ({"resolution": np.nan}, ValueError, "resolution must be a number above 0, got nan"),
        ({"resolution": np.inf}, ValueError, "resolution must be a number above 0, got inf"),
        ({"resolution": True}, ValueError, "resolution must be a number above 0, got True"),
        ({"n_neighbors": 1}, ValueError, "n_neighbors must be a whole number from 2, got 1"),
        ({"n_neighbors": 2.0}, ValueError, "n_neighbors must be a whole number from 2"),
        ({"batch_size": "8"}, ValueError, "batch_size must be a positive whole number"),
        ({"genes": None}, TypeError, "genes must be names of genes"),
        ({"resolution": 0}, ValueError, "resolution must be a number above 0"),
        ({"random_state": None}, ValueError, "random_state must be"),
        ({"model": None}, TypeError, "model must be a trained model"),
    ],
)
def test_invalid_arguments(cells, model, change, error, message):
    before = cells.copy()
    arguments = {"model": model, "genes": PLANTED, "groupby": "type"} | change
    with pytest.raises(error, match=message):
        ace.tl.fssf(cells, **arguments)
    assert set(cells.uns) == set(before.uns)
    assert set(cells.obs) == set(before.obs)


def test_model_as_second_argument(cells, model):
    new_call = r"got SCVI.*ace\.tl\.fssf\(adata, groupby, genes, model=model\)"
    with pytest.raises(TypeError, match=new_call):
        ace.tl.fssf(cells, model, PLANTED, "type")
    with pytest.raises(TypeError, match=new_call):
        ace.tl.fssf(cells, model, PLANTED, groupby="type")
