"""One suite that every explanation method passes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ace.explain import GroupedCells, Method, methods
from explain.conftest import N_FEATURES, embedding_scorer

every_method = pytest.mark.parametrize("name", list(Method.registry))
# Sampled orders of features, and noise on them, are other draws after a permutation.
every_deterministic_method = pytest.mark.parametrize(
    "name", [name for name in Method.registry if name not in ("shap", "smoothgrad")]
)


def explain(name, scorer, cells, source=0, reference=None, **options):
    return Method.registry[name](scorer, cells, **options)(source, reference)


@every_method
def test_record_is_complete(name):
    row = methods().loc[name]
    assert row["computes"]
    assert row["paper"]
    assert row["signed"]


@every_method
def test_finds_the_planted_features_and_their_direction(name, scorer, cells):
    for source in (0, 1):
        found = explain(name, scorer, cells, source)
        assert found.ranking[0] == source
        assert found.scores[source] > 0
    depleted = explain(name, scorer, cells, 2)
    assert 2 in depleted.ranking[:3]
    assert depleted.scores[2] < 0


@every_method
def test_one_against_one(name, scorer, cells):
    found = explain(name, scorer, cells, 0, 1)
    assert found.scores[0] > 0 > found.scores[1]
    if name == "integrated_gradients":
        # From a baseline of zeros, a feature that the source lacks contributes nothing.
        assert found.ranking[0] == 0
    else:
        assert set(found.ranking[:2]) == {0, 1}


@every_method
def test_every_feature_is_ranked_once_by_size(name, scorer, cells):
    found = explain(name, scorer, cells)
    assert sorted(found.ranking) == list(range(N_FEATURES))
    ranked = np.abs(found.scores[found.ranking])
    assert (np.diff(ranked) <= 0).all()
    assert found.scores.shape == (N_FEATURES,)
    assert np.isfinite(found.scores).all()


@every_method
def test_same_seed_same_bits_and_global_state_is_left_alone(name, scorer, cells):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    first = explain(name, scorer, cells, seed=1)
    torch.testing.assert_close(torch.rand(1), expected)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    again = explain(name, scorer, cells, seed=1)
    np.testing.assert_array_equal(first.scores, again.scores)
    np.testing.assert_array_equal(first.ranking, again.ranking)


@every_method
def test_does_not_depend_on_which_others_are_asked_for(name, scorer, cells):
    alone = explain(name, scorer, cells, 1)
    method = Method.registry[name](scorer, cells)
    method(2)
    method(0, 1)
    np.testing.assert_array_equal(method(1).scores, alone.scores)


@every_method
def test_sparse_equals_dense(name, scorer, cells, sparse_cells):
    np.testing.assert_array_equal(
        explain(name, scorer, sparse_cells).scores, explain(name, scorer, cells).scores
    )


@every_method
def test_scorer_is_left_as_it_was(name, classifier, values):
    classifier.train()
    for parameter in classifier.parameters():
        assert parameter.requires_grad
    explain(name, classifier, GroupedCells(values[:2]))
    assert classifier.training
    assert all(p.requires_grad and p.grad is None for p in classifier.parameters())


@every_method
def test_per_cell(name, scorer, cells):
    found = explain(name, scorer, cells, per_cell=True)
    assert found.per_cell.shape == (60, N_FEATURES)
    explained = ~np.isnan(found.per_cell).any(1)
    assert explained.any()
    # What the cells say on average is what the group says.
    assert np.abs(found.per_cell[explained].mean(0)).argmax() == 0


@every_method
def test_under_no_grad(name, scorer, cells):
    expected = explain(name, scorer, cells).scores
    with torch.no_grad():
        np.testing.assert_array_equal(explain(name, scorer, cells).scores, expected)


@every_method
def test_unmatched_cells_are_refused(name, scorer, values):
    with pytest.raises(ValueError, match="3 groups, but cells of 2"):
        Method.registry[name](scorer, GroupedCells(values[:2]))


@every_deterministic_method
def test_permuted_features_permute_the_ranking(name, values):
    order = np.random.default_rng(7).permutation(N_FEATURES)
    scorer, cells = embedding_scorer(values), GroupedCells(values)
    permuted = [v[:, order] for v in values]
    shuffled = embedding_scorer(values)
    shuffled.embedding.loadings = shuffled.embedding.loadings[order]
    original = explain(name, scorer, cells)
    moved = explain(name, shuffled, GroupedCells(permuted))
    np.testing.assert_array_equal(order[moved.ranking], original.ranking)
    np.testing.assert_allclose(moved.scores, original.scores[order], rtol=1e-2, atol=1e-4)
