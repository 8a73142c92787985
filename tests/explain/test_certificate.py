"""Quality of panels on held-out cells."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from ace.explain import EmbeddingScorer, GroupedCells, Panel, fidelity, fit_clustering
from ace.explain._certificate import (
    SIZES,
    _area,
    _average_precision,
    _panel_size,
    _placements,
    _thinned,
    certify,
)
from ace.explain._folds import N_FOLDS, folds
from ace.nn import NeuralizedClustering
from explain.conftest import embedding_scorer


def _certificate(values, pairs=((0, None), (1, None), (2, None), (0, 1)), **options):
    scorer, cells = embedding_scorer(values), GroupedCells(values)

    def rank(fold):
        return Panel(fold.scorer, fold.fitted).ranked

    return certify(rank, scorer, cells, pairs, **options)


def _noise(n_cells=(60, 60, 60), seed=0, n_features=40):
    rng = np.random.default_rng(seed)
    return [rng.gamma(2.0, 0.3, (n, n_features)).astype(np.float32) for n in n_cells]


def test_a_planted_gene_is_certified(values):
    found = _certificate(values)
    for quality in (found[0], found[1], found[3]):
        assert quality.n_genes.tolist() == [n for n in SIZES if n <= 12]
        assert quality.measures["auroc"][0] == pytest.approx(1, abs=0.01)
        assert quality.panel_size == 1
        assert quality.measures["precision"][0] == pytest.approx(1, abs=0.05)
        assert quality.measures["recall"][0] == pytest.approx(1, abs=0.1)
    assert found[3].against == 1


def test_groups_without_a_difference_have_an_empty_panel():
    """Selection is inside the folds, so chance is not certified."""
    sizes, aurocs = [], []
    for seed in range(10):
        found = _certificate(_noise(seed=seed), pairs=[(g, None) for g in range(3)])
        sizes += [quality.panel_size for quality in found]
        aurocs += [quality.measures["auroc"].mean() for quality in found]
    assert sizes == [0] * 30
    assert np.mean(aurocs) == pytest.approx(0.5, abs=0.03)


def test_fidelity_of_random_groups_is_that_of_chance():
    """In sample, prototypes fit noise."""
    in_sample, held_out = [], []
    for seed in range(10):
        values = _noise((30, 30, 30), seed)
        scorer, cells = embedding_scorer(values), GroupedCells(values)
        scored = cells.log_odds(scorer)
        in_sample.append(np.mean([(m.argmax(1) == g).mean() for g, m in enumerate(scored)]))
        held_out.append(fidelity(scorer, cells).mean())
    error = np.std(held_out, ddof=1) / np.sqrt(10)
    assert abs(np.mean(held_out) - 1 / 3) < 3 * error
    assert np.mean(in_sample) > np.mean(held_out) + 0.1


def test_every_cell_is_held_out_once(scorer, cells):
    held_out = [[] for _ in cells.groups]
    for fold in folds(scorer, cells):
        for group, rows in enumerate(fold.held_out):
            held_out[group] += rows.tolist()
            assert len(fold.fitted[group]) == len(cells[group]) - len(rows)
            kept = np.delete(np.arange(len(cells[group])), rows)
            np.testing.assert_array_equal(fold.fitted[group][:], cells[group][kept])
            index = np.array([5, 0])
            np.testing.assert_array_equal(
                fold.fitted[group].columns(index), cells[group].columns(index)[kept]
            )
            np.testing.assert_array_equal(
                fold.fitted.log_odds(fold.scorer)[group], fold.log_odds[group][kept]
            )
    assert [sorted(rows) for rows in held_out] == [list(range(len(g))) for g in cells.groups]


def test_single_cells_are_never_held_out(values):
    cells = GroupedCells([values[0], values[1][:1], values[2][:3]])
    found = list(folds(embedding_scorer(values), cells))
    assert len(found) == N_FOLDS
    assert all(len(fold.held_out[1]) == 0 for fold in found)
    assert sum(len(fold.held_out[2]) for fold in found) == 3
    assert np.isfinite(fidelity(embedding_scorer(values), cells)).all()


def test_groups_of_few_cells_have_no_certificate(values):
    few = [values[0], values[1][:4], values[2]]
    found = _certificate(few, pairs=[(0, None), (1, None), (0, 1)])
    assert found[0] is not None
    assert found[1:] == [None, None]


def test_prototypes_are_fitted_again(scorer, cells):
    fold = next(folds(scorer, cells))
    z = fold.fitted.coordinates(scorer.embedding)
    codes = np.repeat([0, 1, 2], [len(own) for own in z])
    expected = fit_clustering(np.concatenate(z), codes, n_prototypes=2)
    np.testing.assert_array_equal(fold.scorer.clustering.prototypes, expected.prototypes)
    assert fold.scorer.groups == scorer.groups


def test_prototypes_that_were_not_fitted_to_the_groups_are_not_fitted_again(scorer, cells):
    """A wrong scorer must not be judged by the prototypes that it should have."""
    swapped = NeuralizedClustering(
        scorer.clustering.prototypes, (scorer.clustering.group_of + 1) % 3, scorer.clustering.beta
    )
    wrong = EmbeddingScorer(scorer.embedding, swapped, scorer.groups)
    assert fidelity(wrong, cells).max() < 0.1


def test_other_scorers_are_judged_as_they_are(classifier, values):
    cells = GroupedCells(values[:2])
    expected = [np.mean(m.argmax(1) == g) for g, m in enumerate(cells.log_odds(classifier))]
    assert all(fold.scorer is classifier for fold in folds(classifier, cells))
    assert fidelity(classifier, cells).tolist() == expected


def test_placements_and_their_area_are_the_auroc():
    rng = np.random.default_rng(0)
    own, rest = rng.integers(2, 9, (30, 2)), rng.integers(0, 7, (50, 2))  # with ties
    weights = rng.random(50)
    placements = _placements(own, rest, weights)
    inverse = 1 - _placements(rest, own, np.ones(30))
    area, error = _area([placements], [inverse], weights)
    label = np.repeat([1, 0], [30, 50])
    for column in range(2):
        score = np.concatenate([own[:, column], rest[:, column]])
        each = np.concatenate([np.ones(30), weights])
        expected = roc_auc_score(label, score, sample_weight=each)
        assert area[column] == pytest.approx(expected)
        expected = average_precision_score(label, score, sample_weight=each)
        found = _average_precision(own, rest, np.ones(30), weights)
        assert found[column] == pytest.approx(expected)
    # The standard error is that of repeated draws, with the correction for five folds.
    draws = []
    for _ in range(400):
        a, b = rng.choice(own[:, 0], 30), rng.choice(rest[:, 0], 50, p=weights / weights.sum())
        draws.append(roc_auc_score(label, np.concatenate([a, b])))
    assert error[0] == pytest.approx(1.5 * np.std(draws), rel=0.2)


def test_the_size_is_the_smallest_within_one_standard_error():
    sizes = np.array([1, 2, 3, 5])
    error = np.full(4, 0.01)
    assert _panel_size(sizes, np.array([0.8, 0.895, 0.9, 0.901]), error) == 2
    assert _panel_size(sizes, np.array([0.8, 0.88, 0.89, 0.93]), error) == 5
    assert _panel_size(sizes, np.array([0.5, 0.51, 0.52, 0.529]), error) == 0


def test_the_number_of_cells_is_bounded(values, monkeypatch):
    cells = GroupedCells(values)
    assert _thinned(cells, 0) is cells
    monkeypatch.setattr("ace.explain._certificate.MAX_CELLS", 100)
    few = _thinned(cells, 0)
    assert [len(rows) for rows in few.groups] == [35, 35, 30]
    assert few.sizes.tolist() == [60, 45, 30]


def test_same_seed_same_certificate():
    first, again = _certificate(_noise()), _certificate(_noise())
    other = _certificate(_noise(), random_state=1)
    for name in ("auroc", "precision_se", "auroc_against"):
        np.testing.assert_array_equal(first[2].measures[name], again[2].measures[name])
    assert not np.array_equal(first[2].measures["auroc"], other[2].measures["auroc"])
