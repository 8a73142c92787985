"""Simulated counts match the documented model."""

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

from ace.datasets import simulated_panels


def _eta_squared(x, codes):
    """Fraction of a gene's variance explained by the groups."""
    overall = x.mean(axis=0)
    between = sum(
        (codes == c).sum() * (x[codes == c].mean(axis=0) - overall) ** 2 for c in np.unique(codes)
    )
    return between / ((x - overall) ** 2).sum(axis=0)


def test_shape_and_kinds():
    adata = simulated_panels(103, 4, 7, 11, 13, n_batches=3)
    assert adata.shape == (103, 31)
    assert adata.var["kind"].value_counts().to_dict() == {
        "noise": 13,
        "dependent": 11,
        "causal": 7,
    }
    assert adata.obs["group"].value_counts().between(25, 26).all()
    assert list(adata.obs["batch"].cat.categories) == ["0", "1", "2"]
    assert isinstance(adata.X, sparse.csr_matrix)
    assert adata.X.has_canonical_format
    assert adata.X.dtype == np.float32
    assert (adata.X.data >= 1).all()
    np.testing.assert_array_equal(adata.X.data, np.rint(adata.X.data))


def test_groups_explain_causal_and_not_noise_genes():
    adata = simulated_panels(2000, random_state=3)
    x = np.log1p(adata.X.toarray())
    explained = _eta_squared(x, adata.obs["group"].cat.codes.to_numpy())
    kind = adata.var["kind"].to_numpy()
    # Chance is (groups - 1) / (cells - 1) = 0.002.
    assert explained[kind == "causal"].min() > 0.05
    assert explained[kind == "noise"].max() < 0.02
    assert np.median(explained[kind == "dependent"]) > 0.05


def test_group_means_are_the_truth():
    adata = simulated_panels(20_000, 3, 5, 5, 5, random_state=5)
    x = adata.X.toarray()
    groups = adata.obs["group"].to_numpy()
    observed = np.stack([x[groups == g].mean(axis=0) for g in ("0", "1", "2")], axis=1)
    truth = adata.varm["group_mean"].to_numpy()
    plain = (adata.var["kind"] != "dependent").to_numpy()
    np.testing.assert_allclose(observed[plain], truth[plain], rtol=0.06)
    # Rounding and clipping at zero add at most the mean of the positive part of the noise.
    np.testing.assert_allclose(observed[~plain], truth[~plain], rtol=0.06, atol=0.5)


def test_every_causal_gene_separates_some_pair_of_groups():
    for seed in range(5):
        adata = simulated_panels(50, 5, 30, 0, 1, log2_fold_change=0.3, random_state=seed)
        log2 = np.log2(adata.varm["group_mean"].to_numpy())
        width = np.ptp(log2, axis=1)
        kind = adata.var["kind"].to_numpy()
        assert width[kind == "causal"].min() > 0.8
        np.testing.assert_allclose(width[kind == "noise"], 0, atol=1e-12)


def test_dependent_genes_are_sums_of_causal_genes():
    adata = simulated_panels(3000, 5, 20, 30, 5, dropout=0.3, n_batches=2, random_state=1)
    kind = adata.var["kind"].to_numpy()
    x = adata.X.toarray().astype(float)
    causal = np.c_[x[:, kind == "causal"], np.ones(len(x))]
    dependent = x[:, kind == "dependent"]
    # Genes that are rarely clipped are linear in the causal genes, up to N(0, 1) and rounding.
    clear = dependent.mean(axis=0) > 10
    assert clear.sum() > 5
    weights, *_ = np.linalg.lstsq(causal, dependent[:, clear], rcond=None)
    residual = dependent[:, clear] - causal @ weights
    assert np.median(residual.var(axis=0)) == pytest.approx(1 + 1 / 12, rel=0.15)
    # The standard error is about 0.01.
    weights = weights[:-1]
    assert (np.abs(weights) > 0.05).sum(axis=0).max() <= 10
    assert weights.min() > -0.05
    assert 0.6 < weights.max() < 0.85


@pytest.mark.parametrize("dispersion", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("mean", [0.05, 2.0, 200.0])
def test_counts_are_negative_binomial(dispersion, mean):
    from scipy import stats

    from ace.datasets._negative_binomial import sparse_negative_binomial

    n = 40_000
    x = sparse_negative_binomial(
        np.full((n, 1), mean, dtype=np.float32), dispersion, np.random.default_rng(0)
    ).toarray().ravel()  # fmt: skip
    law = (
        stats.poisson(mean)
        if dispersion == 0
        else stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean))
    )
    # Kolmogorov-Smirnov for a discrete law is conservative: 1.95 / sqrt(n) is p = 0.001.
    values = np.arange(x.max() + 1)
    empirical = np.searchsorted(np.sort(x), values, side="right") / n
    assert np.abs(empirical - law.cdf(values)).max() < 1.95 / np.sqrt(n)


def test_density_follows_the_mean():
    sparse_one = simulated_panels(3000, 10, 100, 100, 1800, mean_counts=0.075, random_state=0)
    density = sparse_one.X.nnz / np.prod(sparse_one.shape)
    assert 0.07 < density < 0.09


def test_dropout_loses_that_share():
    full = simulated_panels(2000, 3, 5, 0, 50, random_state=2)
    thin = simulated_panels(2000, 3, 5, 0, 50, dropout=0.4, random_state=2)
    assert thin.X.nnz / full.X.nnz == pytest.approx(0.6, abs=0.01)


def test_batches_shift_genes():
    adata = simulated_panels(6000, 2, 5, 0, 50, n_batches=2, batch_effect=1.0, random_state=0)
    x = np.log1p(adata.X.toarray())
    explained = _eta_squared(x, adata.obs["batch"].cat.codes.to_numpy())
    assert np.median(explained) > 0.05
    none = simulated_panels(6000, 2, 5, 0, 50, n_batches=2, batch_effect=0.0, random_state=0)
    explained = _eta_squared(np.log1p(none.X.toarray()), none.obs["batch"].cat.codes.to_numpy())
    assert explained.max() < 0.01


def test_order_of_genes():
    plain = simulated_panels(50, shuffle_genes=False)
    assert plain.var["kind"].tolist() == ["causal"] * 20 + ["dependent"] * 20 + ["noise"] * 100
    mixed = simulated_panels(50).var["kind"].tolist()
    assert mixed != plain.var["kind"].tolist()
    assert 0 < mixed[:70].count("causal") < 20


def test_seed():
    one, same, other = (simulated_panels(200, n_batches=2, random_state=s) for s in (4, 4, 5))
    assert (one.X != same.X).nnz == 0
    assert one.obs.equals(same.obs)
    assert one.var.equals(same.var)
    assert (one.X != other.X).nnz > 0


def test_genes_do_not_depend_on_the_number_of_cells():
    few, many = simulated_panels(20, random_state=6), simulated_panels(4000, random_state=6)
    assert few.var.equals(many.var)
    np.testing.assert_array_equal(few.varm["group_mean"], many.varm["group_mean"])


def test_chunks_are_stitched_together(monkeypatch):
    import ace.datasets._simulated_panels as module

    monkeypatch.setattr(module, "_CHUNK_ENTRIES", 1000)
    adata = simulated_panels(700, 5, random_state=0)
    assert adata.n_obs == 700
    explained = _eta_squared(np.log1p(adata.X.toarray()), adata.obs["group"].cat.codes.to_numpy())
    assert explained[(adata.var["kind"] == "causal").to_numpy()].min() > 0.05


def test_round_trip(tmp_path):
    adata = simulated_panels(30)
    adata.write_h5ad(tmp_path / "simulated.h5ad")
    back = ad.read_h5ad(tmp_path / "simulated.h5ad")
    assert (back.X != adata.X).nnz == 0
    assert back.uns["simulated_panels"]["n_causal"] == 20
    np.testing.assert_array_equal(back.varm["group_mean"], adata.varm["group_mean"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_groups": 1}, "n_groups must be a whole number from 2, got 1"),
        ({"n_cells": 10.5}, "n_cells .* must be a whole number from 5, got 10\\.5"),
        ({"n_causal": 0}, "n_causal must be a whole number from 1"),
        ({"n_noise": -1}, "n_noise must be a whole number from 0"),
        ({"n_cells": 3}, r"n_cells \(at least one per group\) must be .* from 5, got 3"),
        ({"dropout": 1.0}, "dropout must be a number from 0 below 1, got 1.0"),
        ({"mean_counts": 0}, "mean_counts must be a number above 0"),
        ({"dispersion": -0.1}, "dispersion must be a number from 0"),
        ({"log2_fold_change": float("inf")}, "log2_fold_change must be"),
        ({"batch_effect": float("nan")}, "batch_effect must be"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        simulated_panels(**arguments)
