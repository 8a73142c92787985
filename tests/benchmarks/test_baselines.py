"""What we compare with: known answers on small cases, and the same rules for all of them."""

import importlib.util

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scipy.sparse as sp

N_GENES, N_CELLS = 30, 120


def _planted(seed=0, n_cells=N_CELLS):
    """Three groups; genes 0 and 1 mark the first, 2 and 3 the second, 4 and 5 the third."""
    rng = np.random.default_rng(seed)
    groups = np.arange(n_cells) % 3
    means = np.full((3, N_GENES), 3.0)
    for group in range(3):
        means[group, 2 * group : 2 * group + 2] = 30.0
    counts = rng.poisson(means[groups]).astype(np.float32)
    order = rng.permutation(N_GENES)
    adata = ad.AnnData(
        sp.csr_matrix(counts[:, order]),
        obs=pd.DataFrame(
            {"group": pd.Categorical(np.array(["a", "b", "c"])[groups])},
            index=[f"cell{i}" for i in range(n_cells)],
        ),
        var=pd.DataFrame(index=[f"gene{i}" for i in order]),
    )
    adata.layers["counts"] = adata.X.copy()
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    sc.pp.pca(adata, n_comps=5, random_state=0)
    return adata


def _baselines():
    from _rankings import rankings

    return {name: r for name, r in rankings().items() if r.baseline}


NAMES = [
    "Wilcoxon, abs",
    "Wilcoxon, by score",
    "t-test, abs",
    "logistic regression, abs",
    "COSG",
    "L1 logistic regression",
    "JSD specificity",
    "NS-Forest",
    "DESeq2",
    "GCE",
    "GRS",
]
PACKAGES = {"COSG": "cosg", "NS-Forest": "nsforest", "DESeq2": "pydeseq2"}


def test_baselines_are_told_from_ours():
    from _rankings import rankings

    installed = [n for n in NAMES if n not in PACKAGES or importlib.util.find_spec(PACKAGES[n])]
    if not pd.__version__.startswith("2."):
        installed = [name for name in installed if name != "NS-Forest"]
    assert set(installed) == set(_baselines())
    assert not any(r.default or r.model for r in _baselines().values())
    assert any(r.default and not r.baseline for r in rankings().values())


# GRS sees what changes within groups, and has a test of its own.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "GRS"])
def test_planted_genes_come_first(name):
    from _rankings import Cells

    if name not in _baselines():
        pytest.skip(f"{PACKAGES[name]} is not installed, or not for this pandas")
    adata = _planted()
    before = adata.copy()
    panels = _baselines()[name].rank(Cells(adata, 0))
    assert list(panels) == ["a", "b", "c"]
    for number, group in enumerate("abc"):
        panel = panels[group]
        assert sorted(panel) == list(range(N_GENES))  # every gene once
        own = {f"gene{2 * number}", f"gene{2 * number + 1}"}
        # Some see only what a group has, others what it lacks as well.
        first = list(adata.var_names[panel[:6]])
        assert own <= set(first), (name, group, first)
    np.testing.assert_array_equal(adata.X.toarray(), before.X.toarray())
    assert list(adata.obs) == list(before.obs)
    assert list(adata.layers) == list(before.layers)
    again = _baselines()[name].rank(Cells(_planted(), 0))
    for group, panel in panels.items():
        np.testing.assert_array_equal(panel, again[group])


def test_relevant_genes_change_within_the_group():
    """Along a path of cells, genes 0-3 rise within the first half, 4-7 in the second."""
    from _embedding_baselines import grs

    rng = np.random.default_rng(0)
    time = np.linspace(0, 2, 200)
    X = rng.normal(5.0, 0.1, size=(200, 30))
    X[:, :4] += 3 * np.clip(time, 0, 1)[:, None]
    X[:, 4:8] += 3 * np.clip(time - 1, 0, 1)[:, None]
    order = rng.permutation(30)
    groups = pd.Categorical(np.where(time < 1, "early", "late"))
    cells = [f"cell{i}" for i in range(200)]
    adata = ad.AnnData(
        X[:, order].astype(np.float32), obs=pd.DataFrame({"group": groups}, index=cells)
    )
    panels = grs(adata, 0)
    assert set(order[panels["early"][:4]]) == set(range(4))
    assert set(order[panels["late"][:4]]) == set(range(4, 8))
    assert "X_pca" not in adata.obsm  # components of their own


@pytest.mark.parametrize("name", ["JSD specificity", "NS-Forest", "L1 logistic regression", "GCE"])
def test_scaled_values_are_taken(name):
    from _rankings import Cells

    if name not in _baselines():
        pytest.skip(f"{PACKAGES[name]} is not installed, or not for this pandas")
    adata = _planted()
    adata.X = adata.X.toarray()
    sc.pp.scale(adata)
    sc.pp.pca(adata, n_comps=5, random_state=0)
    panels = _baselines()[name].rank(Cells(adata, 0))
    for number, group in enumerate("abc"):
        own = {f"gene{2 * number}", f"gene{2 * number + 1}"}
        assert own <= set(adata.var_names[panels[group][:6]])


def test_genes_without_coefficient_follow_the_path():
    from _baselines import dense, l1_logistic_regression, univariate

    adata = _planted()
    adata.X = dense(adata.X)
    constant = list(adata.var_names).index("gene17")
    adata.X[:, constant] = 2.0
    panel = l1_logistic_regression(adata, 0)["a"]
    assert panel[-1] == constant
    # A gene and its copy: one has the coefficient, neither its place depends on the column.
    inside = (adata.obs["group"] == "a").to_numpy()
    t = univariate(adata.X, inside)
    own = adata.X[inside]
    rest = adata.X[~inside]
    expected = np.abs(own.mean(0) - rest.mean(0)) / np.sqrt(
        own.var(0) / len(own) + rest.var(0) / len(rest)
    ).clip(1e-6)
    np.testing.assert_allclose(t, expected)
    assert t[constant] == 0


def test_fused_values_by_hand():
    from _embedding_baselines import _fused, _isotonic

    # Two groups: each is drawn to the other by the penalty, until they meet.
    values = np.array([[0.0, 1.0, -5.0], [3.0, 1.4, -5.0]])
    np.testing.assert_allclose(_fused(values, 0.5), [[0.5, 1.2, -5.0], [2.5, 1.2, -5.0]])
    # Three groups, a slope of 2 for the outer ones.
    np.testing.assert_allclose(_fused(np.array([[0.0], [1.0], [9.0]]), 0.25)[:, 0], [0.5, 1, 8.5])
    np.testing.assert_allclose(
        _fused(np.array([[0.0], [1.0], [9.0]]), 0.75)[:, 0], [1.25, 1.25, 7.5]
    )
    np.testing.assert_allclose(
        _isotonic(np.array([[3.0], [1.0], [2.0], [5.0], [4.0]]))[:, 0], [2, 2, 2, 4.5, 4.5]
    )


def test_proximal_map_is_the_minimum():
    from _embedding_baselines import _fused

    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 40))
    found = _fused(values, 0.2)

    def objective(x):
        pairs = np.abs(x[:, None] - x[None]).sum(axis=(0, 1)) / 2
        return ((x - values) ** 2).sum(axis=0) / 2 + 0.2 * pairs

    best = objective(found)
    for _ in range(50):
        assert (objective(found + rng.normal(scale=0.05, size=found.shape)) > best).all()


def _groups_and_components():
    """Four groups in three components of twelve genes, one of them far from the others."""
    rng = np.random.default_rng(1)
    weights = np.linalg.qr(rng.normal(size=(12, 3)))[0]
    centres = rng.normal(size=(4, 3))
    centres -= centres.mean(axis=0)
    centres[3] *= 5
    return weights, centres - centres.mean(axis=0)


def test_translations_meet_the_conditions_of_a_minimum(monkeypatch):
    import _embedding_baselines as eb

    weights, centres = _groups_and_components()
    path = {}  # the solution at each penalty: the last of its steps
    fused = eb._fused

    def watched(values, penalty):
        path[penalty * 4] = fused(values, penalty)
        return path[penalty * 4]

    monkeypatch.setattr(eb, "_fused", watched)
    solutions = eb.translations(weights, centres)
    strongest = eb._smallest_idle_penalty(-4 * centres @ weights.T)
    np.testing.assert_allclose(list(path), eb.GCE_PATH[: len(path)] * strongest)

    def objective(delta, penalty):
        error = delta @ weights - centres
        error = error - error.mean(axis=0)
        pairs = np.abs(delta[:, None] - delta[None]).sum() / 2
        return 4 * (error**2).sum() / 2 + penalty * pairs

    steps = 1e-3 * np.eye(48).reshape(48, 4, 12)  # one gene of one group up or down
    rng = np.random.default_rng(0)
    steps = np.concatenate([steps, -steps, rng.normal(scale=1e-3, size=(200, 4, 12))])

    def gain(delta, penalty):
        """How much lower one gets from there by a small step."""
        return objective(delta, penalty) - min(objective(delta + s, penalty) for s in steps)

    stopped = []
    for g, (delta, gradient) in enumerate(solutions):

        def is_near(found, g=g):
            left = found[g] @ weights - centres[g]
            return left @ left <= eb.GCE_REMAINDER * (centres[g] @ centres[g])

        # The path stops for a group where it is near for the first time.
        penalty = next(penalty for penalty, found in path.items() if is_near(found))
        np.testing.assert_array_equal(delta, path[penalty])
        stopped.append(penalty)
        np.testing.assert_allclose(delta.sum(axis=0), 0, atol=1e-8)
        assert (np.ptp(delta, axis=0) < 1e-9).any()  # sparse
        error = delta @ weights - centres
        np.testing.assert_allclose(gradient, 4 * error @ weights.T, atol=1e-8)
        assert gain(delta, penalty) < 1e-6
        for factor in (0, 0.5, 0.95, 1.05, 3, -1):
            assert gain(factor * delta, penalty) > 1e-5, factor
        for other in (penalty / 1.3, penalty * 1.3):
            assert gain(delta, other) > 1e-5
    assert len(set(stopped)) > 1  # each at a penalty of its own
    # Above the smallest idle penalty nothing moves, just below it something does.
    step = centres @ weights.T  # the first proximal step from 0
    assert np.ptp(fused(step, strongest * 1.001 / 4), axis=0).max() < 1e-12
    assert np.ptp(fused(step, strongest * 0.999 / 4), axis=0).max() > 0


def test_slopes_of_linear_genes_are_their_coefficients():
    from _embedding_baselines import _slopes

    rng = np.random.default_rng(2)
    components = rng.normal(size=(40, 2))
    neighbors = np.array([np.r_[i, rng.choice(40, 9, replace=False)] for i in range(40)])
    coefficients = np.array([[1.0, 0.0, -2.0], [0.5, 3.0, 0.0]])
    X = components @ coefficients + 7.0
    slopes = [slope @ X for slope in _slopes(neighbors, components)]
    np.testing.assert_allclose(slopes[0], np.tile(coefficients[0], (40, 1)), atol=1e-8)
    np.testing.assert_allclose(slopes[1], np.tile(coefficients[1], (40, 1)), atol=1e-8)


def test_scaled_values_give_way_to_the_expression_of_the_same_cells():
    import anndata as ad
    import scanpy as sc
    from _baselines import log_expression

    counts = np.random.default_rng(4).poisson(1.0, (30, 6)).astype(np.float32)
    adata = ad.AnnData(counts.copy())
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    expression = adata.X.copy()
    assert log_expression(adata) is adata.X
    sc.pp.scale(adata)
    assert log_expression(adata).min() == 0  # without counts, shifted
    adata.layers["counts"] = counts
    np.testing.assert_allclose(log_expression(adata).toarray(), expression, rtol=1e-6)
