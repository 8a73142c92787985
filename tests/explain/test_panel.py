from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from ace.explain import EmbeddingScorer, GroupedCells, LinearEmbedding, Panel
from ace.explain._additive import (
    RIDGE,
    enter,
    follow,
    moments,
    near_copies,
    nested_predictions,
)
from ace.explain._attribution import rank
from ace.explain._rows import Rows
from explain.conftest import embedding_scorer


def _cells(seed=0, n=400, p=6):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)).astype(np.float32)
    weights = rng.uniform(0.5, 1.5, n)
    return rng, x, weights / weights.sum()


def _error(x, weights, target):
    """Penalised error of the additive surrogate, by solving the normal equations."""
    columns = np.column_stack([x, x > 0]).astype(float)
    root = np.sqrt(weights)[:, None]
    z = (columns - weights @ columns) * root
    z /= np.linalg.norm(z, axis=0)
    t = (target - weights @ target) * root[:, 0]
    t /= np.linalg.norm(t)
    solved = np.linalg.solve(z.T @ z + RIDGE * np.eye(z.shape[1]), z.T @ t)
    return 1 - t @ z @ solved


def test_the_gain_is_the_decrease_of_the_penalised_error():
    rng, x, weights = _cells()
    x[:, 1] = x[:, 0] + 0.6 * x[:, 1]
    target = x[:, 0] + 0.7 * x[:, 1] + 0.5 * (x[:, 2] > 0) + 0.1 * rng.normal(size=400)
    order, entry = enter(moments(x, weights, target), np.ones(6), 3)
    correlation = np.abs(moments(x, weights, target).gram[:6, :6])
    chosen: list[int] = []
    before = 1.0
    for step in range(3):
        criterion = np.full(6, -1.0)
        for i in set(range(6)) - set(chosen):
            redundancy = correlation[i, chosen].max() if chosen else 0.0
            criterion[i] = (before - _error(x[:, [*chosen, i]], weights, target)) * (
                1 - redundancy
            )
        assert order[step] == criterion.argmax()
        assert entry[step] == pytest.approx(criterion.max(), rel=0.02)
        chosen.append(int(order[step]))
        before = _error(x[:, chosen], weights, target)


def test_a_gene_that_is_only_detected_more_often_enters():
    """Its value and its mean are the same where it is detected."""
    rng, x, weights = _cells(seed=1)
    target = np.repeat([1.0, -1.0], 200)
    x[:, 0] = (rng.random(400) < np.where(target > 0, 0.8, 0.2)) * rng.choice([0.1, 10.0], 400)
    order, _ = enter(moments(x, weights, target), np.ones(6), 1)
    assert order.tolist() == [0]


def test_features_enter_by_prior_first_and_sign():
    _, x, weights = _cells(seed=2)
    target = x[:, 0] - 0.9 * x[:, 1] + 0.5 * x[:, 2]
    found = moments(x, weights, target)
    assert enter(found, np.ones(6), 3)[0].tolist() == [0, 1, 2]
    assert enter(found, np.array([1, 1, 9.0, 0, 0, 0]), 9)[0].tolist() == [2, 0, 1]
    assert enter(found, np.ones(6), 2, first=[4])[0].tolist() == [4, 0]
    assert 1 not in enter(found, np.ones(6), 6, sign=1)[0]
    assert enter(found, np.ones(6), 1, sign=-1)[0].tolist() == [1]


def test_a_copy_of_a_chosen_feature_never_enters():
    _, x, weights = _cells(seed=1, p=4)
    x[:, 3] = x[:, 0]
    order, _ = enter(moments(x, weights, 2 * x[:, 0] + x[:, 1] + 0.5 * x[:, 2]), np.ones(4), 4)
    assert len(order) == 3
    assert len({0, 3} & set(order)) == 1


def test_followers_are_ranked_by_unshared_relevance():
    """Relevance minus its share that is correlated with other features."""
    _, x, _ = _cells(seed=5, n=500)
    x[:, 2] += 2 * x[:, 1]
    x[:, 3] += 2 * x[:, 1]
    relevance = np.array([0.3, 0.2, 0.15, 0.15, 0.12, 0.08])
    found = moments(x, np.full(500, 1 / 500), x[:, 0])
    correlation = np.abs(np.corrcoef(x.T))
    np.fill_diagonal(correlation, 0)
    expected = relevance * (1 - correlation @ relevance)
    expected[0] = -1
    np.testing.assert_allclose(follow(found, relevance, np.array([0])), expected, rtol=1e-4)
    assert np.argsort(-expected).tolist() != [1, 2, 3, 4, 5, 0]


def test_near_copies_are_those_of_higher_ranked_features():
    _, x, weights = _cells(seed=7)
    x[:, 4] = x[:, 1] + 0.01 * x[:, 4]
    found = moments(x, weights, x[:, 0])
    ranked = np.array([3, 4, 0, 1])
    assert near_copies(found, ranked).tolist() == [False, False, False, True]


def test_nested_surrogates_are_those_of_the_leading_features():
    rng, x, weights = _cells(seed=3)
    target = x[:, 0] + (x[:, 1] > 0) + 0.5 * rng.normal(size=400)
    new = rng.normal(size=(30, 6)).astype(np.float32)
    _, together = nested_predictions(x, weights, target, new, np.array([1, 2, 6]))
    for column, n in enumerate((1, 2, 6)):
        _, alone = nested_predictions(x[:, :n], weights, target, new[:, :n], np.array([n]))
        np.testing.assert_allclose(together[:, column], alone[:, 0], rtol=1e-4, atol=1e-4)


def test_redundant_markers_do_not_enter_together():
    """Noisy copies of the best marker rank first by attribution, but not in the panel."""
    rng = np.random.default_rng(3)
    values = [rng.gamma(2.0, 0.3, (80, 12)).astype(np.float32) for _ in range(3)]
    values[0][:, 0] += 4
    for copy in (5, 6):
        for group in values:
            group[:, copy] = group[:, 0] + rng.normal(0, 0.05, 80)
    values[1][:, 1] += 3
    values[0][:, 2] += 1.5
    cells = GroupedCells(values)
    scorer = embedding_scorer(values)
    panel = Panel(scorer, cells)
    attributed = np.argsort(-panel.relevance(0, None))
    assert set(attributed[:3]) == {0, 5, 6}
    assert len(set(panel(0).ranking[:2]) & {0, 5, 6}) == 1


def test_a_copy_of_the_first_gene_comes_last(values):
    """As a sixth gene it would add nothing to the panel."""
    first = Panel(embedding_scorer(values), GroupedCells(values))(0).ranking[0]
    with_copy = [np.column_stack([v, v[:, first]]) for v in values]
    panel = Panel(embedding_scorer(with_copy), GroupedCells(with_copy), n_joint=2, mass=1.0)
    candidates = panel.candidates(0, None)
    ranking = panel(0).ranking
    one, other = sorted((list(ranking).index(first), list(ranking).index(values[0].shape[1])))
    assert one < 2
    assert other >= len(candidates) - 1


class _Rooted(LinearEmbedding):
    def forward(self, x):
        return super().forward(x.clamp(min=0).sqrt())


def test_subclasses_of_the_linear_embedding_are_evaluated(values, cells):
    plain = embedding_scorer(values)
    rooted = _Rooted(plain.embedding.loadings.numpy(), plain.embedding.offset.numpy())
    scorer = EmbeddingScorer(rooted, plain.clustering, plain.groups)
    expected = scorer(torch.from_numpy(values[0]))
    np.testing.assert_allclose(cells.log_odds(scorer)[0], expected, rtol=1e-5)
    assert not np.allclose(expected, plain(torch.from_numpy(values[0])))


def test_relevance_is_a_mean_weighted_by_the_root_of_group_sizes():
    rng = np.random.default_rng(6)
    values = [rng.gamma(2.0, 0.3, (n, 12)).astype(np.float32) for n in (80, 90, 40)]
    values[0][:, 0] += 4
    cells = GroupedCells(values, sizes=[80, 900, 100])
    panel = Panel(embedding_scorer(values), cells)
    against = np.abs(panel._against(0, [1, 2], None))
    shares = against / against.sum(1, keepdims=True)
    expected = (30 * shares[0] + 10 * shares[1]) / 40
    np.testing.assert_allclose(panel.relevance(0, None), expected, rtol=1e-12)


@pytest.mark.parametrize("pair", [(0, None), (2, None), (0, 1)])
def test_fast_path_equals_the_general_path(cells, sparse_cells, scorer, pair, monkeypatch):
    """Sparse products in the embedding, and gradients of dense minibatches."""
    others = cells.others(*pair)
    short = Panel(scorer, cells)._against(pair[0], others, pair[1])
    sparse = Panel(scorer, sparse_cells)._against(pair[0], others, pair[1])
    fast = sparse_cells.log_odds(scorer)[0]
    monkeypatch.setattr(GroupedCells, "is_linear", lambda self, embedding: False)
    cells = GroupedCells(cells.groups)
    full = Panel(scorer, cells)._against(pair[0], others, pair[1])
    scale = np.abs(full).max()
    np.testing.assert_allclose(short, full, atol=1e-5 * scale)
    np.testing.assert_allclose(sparse, full, atol=1e-5 * scale)
    np.testing.assert_allclose(fast, cells.log_odds(scorer)[0], rtol=1e-4, atol=1e-4)


def test_irrelevant_features_are_not_candidates(scorer, cells):
    panel = Panel(scorer, cells, mass=0.9)
    assert set(panel.candidates(0, None)) <= {0, 1, 2}


def test_scores_decrease_from_one(scorer, cells):
    found = Panel(scorer, cells)(0)
    ranked = np.abs(found.scores[found.ranking])
    assert ranked[0] == 1
    assert (np.diff(ranked) <= 0).all()


def test_a_feature_against_two_neighbours_does_not_cancel():
    """Features up against one group and down against another are relevant."""
    rng = np.random.default_rng(4)
    values = [rng.gamma(2.0, 0.2, (80, 12)).astype(np.float32) for _ in range(3)]
    for group, level in zip(values, (3.0, 0.0, 6.0), strict=True):
        group[:, 0] += level
    panel = Panel(embedding_scorer(values), GroupedCells(values))
    assert panel(0).ranking[0] == 0


def test_panels_of_a_pair_are_the_same_in_both_directions(scorer, cells):
    there, back = (Panel(scorer, cells)(*pair) for pair in ((0, 1), (1, 0)))
    np.testing.assert_array_equal(there.ranking, back.ranking)
    np.testing.assert_array_equal(there.scores, -back.scores)
    assert there.diagnostics == back.diagnostics
    # They differ from the panel against all others.
    assert not np.array_equal(there.ranking, Panel(scorer, cells)(0).ranking)


def test_candidates_carry_more_than_an_equal_share(scorer, cells):
    panel = Panel(scorer, cells, mass=0.75)
    # Of a total of 20, two features carry 12, and the mean is 2; three more would carry 15.
    few = np.array([1.0, 8, 1, 4, 1, 1, 1, 1, 1, 1, 0, 0])
    assert panel._carriers([few]).tolist() == [1, 3]
    assert len(Panel(scorer, cells, mass=0.5)._carriers([few])) == 2
    assert len(Panel(scorer, cells, mass=0.3)._carriers([few])) == 1
    # If all carry the same, only the share matters.
    assert len(panel._carriers([np.full(12, 0.1), np.full(12, 0.7)])) == 9
    assert len(panel._carriers([np.zeros(12)])) >= 1


@pytest.mark.parametrize("mass", [0, 1.5])
def test_bad_mass(scorer, cells, mass):
    with pytest.raises(ValueError, match="mass must be a number above 0 to 1"):
        Panel(scorer, cells, mass=mass)


def test_features_constant_in_both_groups_have_a_direction():
    cells = GroupedCells([np.array([[1.0, 0, 2]] * 3), np.array([[0.0, 1, 2]] * 3)])
    difference = cells.difference(0, None)
    assert difference[0] > 1e5
    assert difference[1] < -1e5
    assert difference[2] == 0


def test_ties_are_broken_by_data_then_by_name():
    order = rank(
        np.array([1.0, 0.0, 0.0, 0.0]), np.array([0.0, 0.1, 0.3, 0.1]), ("d", "c", "b", "a")
    )
    np.testing.assert_array_equal(order, [0, 2, 3, 1])


def test_target_is_the_mean_of_label_and_score_saturated_on_each_side(scorer, cells):
    panel = Panel(scorer, cells)
    x, weights, target = panel.design(1, None, np.array([3, 0, 5]), np.array([2, 0]))
    groups = [1, 0, 2]
    np.testing.assert_array_equal(x, np.concatenate([cells[g][:][:, [5, 3]] for g in groups]))
    m = np.concatenate([cells.log_odds(scorer)[g][:, 1] for g in groups]).astype(float)
    given = np.repeat([1, -1, -1], [len(cells[g]) for g in groups])
    scale = np.where(given > 0, np.median(np.abs(m[given > 0])), np.median(np.abs(m[given < 0])))
    expected = (np.tanh(m / scale) + given) / 2
    np.testing.assert_allclose(target, expected, rtol=1e-6)
    assert weights[given > 0].sum() == pytest.approx(0.5)


def test_sums_of_sparse_and_dense_cells_are_equal():
    """Also with duplicate entries, whose squares do not sum to the square of the value."""
    in_parts = sp.csr_matrix(([1.0, 2, 4], [0, 0, 2], [0, 2, 3]), shape=(2, 3))
    in_parts.has_canonical_format = False
    for matrix in (in_parts, in_parts.toarray(), torch.from_numpy(in_parts.toarray())):
        total, squares = Rows(matrix).sums()
        assert total.tolist() == [3, 0, 4]
        assert squares.tolist() == [9, 0, 16]
    assert in_parts.nnz == 3  # the user's matrix is as it was
    assert Rows(in_parts).columns(np.array([2, 0])).tolist() == [[0, 3], [4, 0]]


def test_the_range_of_features_is_that_of_all_cells():
    cells = GroupedCells([np.array([[1.0, 5], [2, -1]]), np.array([[0.0, 3]])])
    low, high = cells.feature_range
    assert low.tolist() == [0, -1]
    assert high.tolist() == [2, 5]
