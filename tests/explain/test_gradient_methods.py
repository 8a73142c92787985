"""Analytic answers on a linear classifier: log-odds are 2 x0 - x1 - 0.5 x2."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ace.explain import (
    ClassifierScorer,
    ExpectedGradients,
    GroupedCells,
    GuidedBackprop,
    IntegratedGradients,
    Saliency,
    Shap,
    SmoothGrad,
)

WEIGHTS = np.array([2.0, -1.0, -0.5])


@pytest.fixture
def two(values):
    return GroupedCells(values[:2])


@pytest.mark.parametrize("method", [Saliency, SmoothGrad, GuidedBackprop])
def test_gradients_of_a_linear_scorer_are_its_weights(method, classifier, two):
    scores = method(classifier, two)(0).scores
    np.testing.assert_allclose(scores[:3], WEIGHTS, rtol=1e-5)
    np.testing.assert_allclose(scores[3:], 0, atol=1e-6)


def test_integrated_gradients_of_a_linear_scorer(classifier, two, values):
    found = IntegratedGradients(classifier, two, per_cell=True)(0)
    np.testing.assert_allclose(found.per_cell[:, :3], WEIGHTS * values[0][:, :3], rtol=1e-4)
    assert found.diagnostics["delta"] < 1e-5


@pytest.mark.parametrize("method", [ExpectedGradients, Shap])
def test_difference_methods_of_a_linear_scorer(method, classifier, two, values):
    found = method(classifier, two, per_cell=True)(0)
    explained = ~np.isnan(found.per_cell).any(1)
    # For a linear score both equal w (x - x') for all steps and orders.
    gap = values[0][explained].mean(0)[:3] - values[1].mean(0)[:3]
    np.testing.assert_allclose(
        np.nanmean(found.per_cell, 0)[:3], WEIGHTS * gap, rtol=0.15, atol=0.05
    )
    assert found.diagnostics["delta"] < 1e-4


def test_expected_gradients_sum_to_the_difference_of_the_means(scorer, cells):
    found = ExpectedGradients(scorer, cells, n_samples=50)(0)
    assert found.diagnostics["delta"] < 0.03


def test_minibatch_size_does_not_matter(classifier, two, monkeypatch):
    whole = IntegratedGradients(classifier, two)(0).scores
    monkeypatch.setattr("ace.explain._rows.MAX_VALUES", 1)
    np.testing.assert_allclose(IntegratedGradients(classifier, two)(0).scores, whole, rtol=1e-5)


def test_guided_backprop_blocks_negative_paths(values):
    network = torch.nn.Sequential(
        torch.nn.Linear(12, 2, bias=False), torch.nn.ReLU(), torch.nn.Linear(2, 2, bias=False)
    )
    with torch.no_grad():
        network[0].weight.zero_()
        network[0].weight[0, 0] = network[0].weight[1, 1] = 1.0
        # The second hidden unit has a negative weight for the first class.
        network[2].weight.copy_(torch.tensor([[1.0, -1.0], [0.0, 0.0]]))
    scorer = ClassifierScorer(network, ["x", "y"])
    cells = GroupedCells(values[:2])
    np.testing.assert_allclose(Saliency(scorer, cells)(0).scores[:2], [1, -1], rtol=1e-5)
    np.testing.assert_allclose(GuidedBackprop(scorer, cells)(0).scores[:2], [1, 0], atol=1e-6)


def test_balanced_baselines_give_groups_equal_weight(cells):
    rng = np.random.default_rng(0)
    natural, _ = cells.draw_reference(2, None, 1050, rng, balanced=False)
    balanced, _ = cells.draw_reference(2, None, 1050, rng, balanced=True)
    assert abs(np.mean(natural == 0) - 60 / 105) < 0.01
    assert abs(np.mean(balanced == 0) - 0.5) < 0.01
