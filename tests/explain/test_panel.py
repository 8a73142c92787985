from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from ace.explain import EmbeddingScorer, GroupedCells, LinearEmbedding, Panel
from ace.explain._attribution import rank
from ace.explain._pursuit import panel_size, pursue
from ace.explain._rows import Rows
from explain.conftest import embedding_scorer


def test_first_step_is_the_best_single_feature_and_later_ones_are_swept():
    """Orthogonal least squares, by regressing chosen features out of target and candidates."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 6)).astype(np.float32)
    x[:, 1] = x[:, 0] + 0.6 * x[:, 1]
    target = x[:, 0] + 0.7 * x[:, 1] + 0.5 * x[:, 2] + 0.1 * rng.normal(size=400)
    weights = rng.uniform(0.5, 1.5, 400)
    weights /= weights.sum()
    order, score = pursue(x, weights, target, np.ones(6), n_joint=3, sparing=1.0)

    root = np.sqrt(weights)[:, None]
    centered = (x - weights @ x) * root
    residual = (target - weights @ target) * root[:, 0]
    residual /= np.linalg.norm(residual)
    chosen: list[int] = []
    entry = []
    for step in range(3):
        basis = np.linalg.qr(centered[:, chosen])[0] if chosen else np.zeros((400, 0))
        left = centered - basis @ (basis.T @ centered)
        r = residual - basis @ (basis.T @ residual)
        norm = np.linalg.norm(centered, axis=0)
        adds = np.abs(left.T @ r) / np.linalg.norm(left, axis=0).clip(1e-9)
        together = np.abs((centered / norm).T @ (centered / norm))
        redundancy = together[:, chosen].max(1) if chosen else np.zeros(6)
        criterion = adds * np.sqrt(1 - redundancy.clip(0, 1))
        criterion[chosen] = -1
        assert order[step] == criterion.argmax()
        entry.append(criterion.max())
        chosen.append(int(order[step]))
    falling = np.minimum.accumulate(np.cbrt(np.array(entry) / entry[0]))
    np.testing.assert_allclose(score[:3], falling, rtol=1e-3)


def test_a_copy_of_a_chosen_feature_never_enters():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 4)).astype(np.float32)
    x[:, 3] = x[:, 0]
    target = 2 * x[:, 0] + x[:, 1] + 0.5 * x[:, 2]
    order, score = pursue(x, np.full(300, 1 / 300), target, np.ones(4), n_joint=4, sparing=1.0)
    assert len(set(order[:3]) & {0, 3}) == 1
    # It adds nothing, so it comes after the three that entered.
    assert order[3] in (0, 3)
    assert score[3] < score[2]


def test_followers_are_ranked_by_unshared_relevance():
    """Relevance minus its share that is correlated with the features that entered."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(500, 6)).astype(np.float32)
    x[:, 2] += 2 * x[:, 1]
    x[:, 3] += 2 * x[:, 1]
    relevance = np.array([0.3, 0.2, 0.15, 0.15, 0.12, 0.08])
    weights = np.full(500, 1 / 500)
    order, score = pursue(x, weights, x[:, 0], relevance, n_joint=1, sparing=2.0)
    correlation = np.abs(np.corrcoef(x.T))
    np.fill_diagonal(correlation, 0)
    alone = relevance * (1 - correlation @ relevance) ** 2
    expected = [f for f in np.argsort(-alone) if f != 0]
    assert order.tolist() == [0, *expected]
    assert expected != [f for f in np.argsort(-relevance) if f != 0]
    np.testing.assert_allclose(score[1:], 0.99 * alone[expected] / alone[expected[0]], rtol=1e-4)
    plain, _ = pursue(x, weights, x[:, 0], relevance, n_joint=1, sparing=0.0)
    assert plain.tolist() == [0, 1, 2, 3, 4, 5]


def test_panel_size_is_the_number_of_relevant_features():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(600, 10))
    target = x[:, :3] @ [1.0, 0.8, 0.6] + 0.3 * rng.normal(size=600)
    size = panel_size(x, np.full(600, 1 / 600), target, np.random.default_rng(0))
    assert size == 3


def test_panel_size_follows_the_one_standard_error_rule():
    """Noise features may reduce the error slightly by chance."""
    sizes = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(60, 6))
        target = x[:, 0] + rng.normal(size=60)
        sizes.append(panel_size(x, np.full(60, 1 / 60), target, np.random.default_rng(seed)))
    assert np.mean(np.array(sizes) == 1) >= 0.9


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


def test_copies_of_higher_ranked_features_come_last():
    """Copies of a feature that entered, and of a follower."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(400, 8)).astype(np.float32)
    x[:, 6] = x[:, 0] + 0.01 * x[:, 6]
    x[:, 7] = x[:, 3] + 0.01 * x[:, 7]
    relevance = np.array([0.3, 0.2, 0.1, 0.08, 0.05, 0.02, 0.29, 0.079])
    order, score = pursue(
        x, np.full(400, 1 / 400), x[:, 0] + x[:, 1], relevance, n_joint=2, sparing=2.0
    )
    assert set(order[:2]) <= {0, 1, 6}
    assert set(order[6:]) == {0, 7} or set(order[6:]) == {6, 7}
    assert (np.diff(score) <= 0).all()
    assert score[-1] > 0


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
    monkeypatch.setattr(EmbeddingScorer, "_linear_embedding", lambda self, cells: None)
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
    assert 1 <= found.diagnostics["panel_size"] <= 12


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
    few = np.array([1.0, 8, 1, 4, 1, 1, 1, 1, 1, 1])
    assert panel._carriers([few]).tolist() == [1, 3]
    assert len(Panel(scorer, cells, mass=0.5)._carriers([few])) == 2
    assert len(Panel(scorer, cells, mass=0.3)._carriers([few])) == 1
    # If all carry the same, only the share matters.
    assert len(panel._carriers([np.full(8, 0.1), np.full(8, 0.7)])) == 6
    assert len(panel._carriers([np.zeros(8)])) >= 1


def test_sparing_is_not_negative(scorer, cells):
    with pytest.raises(ValueError, match="sparing must be a number from 0, got -1"):
        Panel(scorer, cells, sparing=-1)


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


def test_target_is_the_mean_of_score_and_label(scorer, cells):
    panel = Panel(scorer, cells)
    x, weights, target = panel.design(1, None, np.array([3, 0, 5]), np.array([2, 0]))
    groups = [1, 0, 2]
    np.testing.assert_array_equal(x, np.concatenate([cells[g][:][:, [5, 3]] for g in groups]))
    m = np.concatenate([cells.log_odds(scorer)[g][:, 1] for g in groups]).astype(float)
    given = np.repeat([1, -1, -1], [len(cells[g]) for g in groups])
    expected = (np.tanh(m / np.median(np.abs(m))) + given) / 2
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
