"""Conformance suite of the explanation methods."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ace.explain import GroupedCells, GroupScorer, LinearEmbedding, Method, fidelity, methods
from explain.conftest import N_FEATURES, embedding_scorer

every_method = pytest.mark.parametrize("name", list(Method.registry))
# After a permutation, other orders of features or other noise are drawn.
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
    assert row["revision"] >= 1


@every_method
def test_finds_the_planted_features_and_their_direction(name, scorer, cells):
    for source in (0, 1):
        found = explain(name, scorer, cells, source)
        if name == "integrated_gradients":
            # With a baseline of zeros, features of other groups contribute as much.
            assert source in found.ranking[:2]
            assert found.ranking[0] in (0, 1, 2)
        else:
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
def test_same_seed_same_bits_and_global_state_is_unchanged(name, scorer, cells):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    first = explain(name, scorer, cells, random_state=1)
    torch.testing.assert_close(torch.rand(1), expected)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    again = explain(name, scorer, cells, random_state=1)
    np.testing.assert_array_equal(first.scores, again.scores)
    np.testing.assert_array_equal(first.ranking, again.ranking)


@every_method
def test_does_not_depend_on_other_comparisons(name, scorer, cells):
    alone = explain(name, scorer, cells, 1)
    method = Method.registry[name](scorer, cells)
    method(2)
    method(0, 1)
    np.testing.assert_array_equal(method(1).scores, alone.scores)


@every_method
def test_sparse_equals_dense(name, scorer, cells, sparse_cells):
    sparse, dense = explain(name, scorer, sparse_cells), explain(name, scorer, cells)
    np.testing.assert_array_equal(sparse.ranking, dense.ranking)
    # Sums over the nonzero entries are rounded differently.
    rounding = 1e-5 if name == "panel" else 0
    np.testing.assert_allclose(sparse.scores, dense.scores, rtol=rounding)


@every_method
def test_scorer_is_unchanged(name, classifier, values):
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
    # The mean over the cells is the attribution of the group.
    assert np.abs(found.per_cell[explained].mean(0)).argmax() == 0


@every_method
def test_under_no_grad(name, scorer, cells):
    expected = explain(name, scorer, cells).scores
    with torch.no_grad():
        np.testing.assert_array_equal(explain(name, scorer, cells).scores, expected)


@every_method
def test_unmatched_cells_are_an_error(name, scorer, values):
    with pytest.raises(ValueError, match="3 groups, but cells has 2"):
        Method.registry[name](scorer, GroupedCells(values[:2]))


@every_deterministic_method
def test_permuted_features_permute_the_ranking(name, values):
    order = np.random.default_rng(7).permutation(N_FEATURES)
    scorer, cells = embedding_scorer(values), GroupedCells(values)
    permuted = [v[:, order] for v in values]
    shuffled = embedding_scorer(values)
    plain = shuffled.embedding
    shuffled.embedding = LinearEmbedding(plain.loadings.numpy()[order], plain.offset.numpy())
    original = explain(name, scorer, cells)
    moved = explain(name, shuffled, GroupedCells(permuted))
    np.testing.assert_array_equal(order[moved.ranking], original.ranking)
    np.testing.assert_allclose(moved.scores, original.scores[order], rtol=1e-2, atol=1e-4)


class Scaled(GroupScorer):
    """Multiply features by the context, or by one number for all cells."""

    def __init__(self, scorer, factor=None):
        super().__init__(scorer.groups)
        self.scorer = scorer
        self.factor = factor
        self.seen = set()

    def forward(self, x, *context):
        assert x.shape[1] == N_FEATURES
        if self.factor is None:
            self.seen.update(context[0].flatten().tolist())
        return self.scorer(x * (context[0] if self.factor is None else self.factor))


# All cells, so that the cells explained do not depend on the comparison.
every_cell = {"adversarial": {"only_correct": False}, "shap": {"max_cells": 60}}


@every_method
@pytest.mark.parametrize("reference", [None, 1])
def test_context_shared_by_all_cells_acts_like_a_parameter(name, reference, scorer, values):
    shared = [np.full((len(v), 1), 0.75) for v in values]
    found = explain(
        name, Scaled(scorer), GroupedCells(values, contexts=shared), 0, reference, per_cell=True
    )
    expected = explain(
        name, Scaled(scorer, 0.75), GroupedCells(values), 0, reference, per_cell=True
    )
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.ranking, expected.ranking)
    np.testing.assert_array_equal(found.per_cell, expected.per_cell)
    assert found.diagnostics == expected.diagnostics


@every_method
def test_each_cell_is_explained_in_its_own_context(name, scorer, values):
    rng = np.random.default_rng(3)
    factors = (0.75, 1.25)
    contexts = [rng.choice(factors, (len(v), 1)) for v in values]
    options = every_cell.get(name, {}) | {"per_cell": True}
    found = explain(name, Scaled(scorer), GroupedCells(values, contexts=contexts), **options)
    assert found.per_cell.shape == (60, N_FEATURES)
    for factor in factors:
        alone = explain(name, Scaled(scorer, factor), GroupedCells(values), **options)
        here = contexts[0][:, 0] == factor
        np.testing.assert_allclose(
            found.per_cell[here], alone.per_cell[here], rtol=1e-3, atol=1e-4
        )
        assert np.abs(found.per_cell[~here] - alone.per_cell[~here]).max() > 1e-2


@every_method
def test_context_of_the_reference_is_never_used(name, scorer, values):
    own = [np.full((len(v), 1), g + 1.0) for g, v in enumerate(values)]
    scaled = Scaled(scorer)
    cells = GroupedCells(values, contexts=own)
    method = Method.registry[name](scaled, cells)
    fidelity(scaled, cells)  # scores every cell in its own context, once
    assert scaled.seen == {1.0, 2.0, 3.0}
    scaled.seen.clear()
    if name == "panel":  # its candidates are those of all groups
        method.relevance(1, None)
    else:
        method(1)
    assert scaled.seen == {2.0}


def test_adversarial_in_context_shared_by_all_cells_of_a_group(scorer, values):
    contexts = [np.linspace(0.9, 1.1, len(v))[:, None] for v in values]
    cells = GroupedCells(values, contexts=contexts)
    found = explain("adversarial", Scaled(scorer), cells, shared=True, bounds=(0, 20))
    assert found.ranking[0] == 0
    assert found.diagnostics["flip_rate"] > 0.9


def test_context_must_have_one_row_per_cell(values):
    with pytest.raises(ValueError, match="60 cells, but 59 rows"):
        GroupedCells(values, contexts=[v[1:, :1] for v in values])
