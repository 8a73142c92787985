from __future__ import annotations

import numpy as np
import pytest
import torch

from ace.explain import (
    Adversarial,
    ClassifierScorer,
    EmbeddingScorer,
    GroupedCells,
    LinearEmbedding,
    Method,
    fit_clustering,
)


@pytest.fixture
def two(values):
    return GroupedCells(values[:2])


def test_smallest_perturbation_of_a_linear_scorer(classifier, two, values):
    """Without bounds, only the feature with the largest weight changes."""
    found = Adversarial(classifier, two, bounds=None, margin=0.5, per_cell=True, tol=1e-4)(0)
    log_odds = values[0] @ np.array([2, -1, -0.5] + [0] * 9)
    correct = log_odds > 0
    # The log-odds of both groups change, so the gap is 2 m, and 2 (m - 2 d) = -margin.
    expected = (2 * log_odds + 0.5) / 4
    np.testing.assert_allclose(found.per_cell[correct, 0], expected[correct], rtol=0.02)
    assert np.abs(found.per_cell[:, 1:]).max() == 0
    assert found.diagnostics["flip_rate"] == 1
    assert found.diagnostics["n_features"] == 1
    assert found.diagnostics["n_cells"] == correct.sum()


def test_at_a_bound_the_next_feature_changes(classifier, two, values):
    x = np.concatenate(values[:2])
    found = Adversarial(classifier, two, per_cell=True)(0)
    moved = values[0] - found.per_cell
    assert (moved >= x.min(0) - 1e-6).all()
    assert (moved <= x.max(0) + 1e-6).all()
    fixed = Adversarial(classifier, two, bounds=(0.0, 1.0), per_cell=True)(0)
    moved = values[0] - fixed.per_cell
    changed = fixed.per_cell != 0
    assert changed[:, 1].any()
    assert ((moved >= -1e-6) & (moved <= 1 + 1e-6))[changed].all()


def test_gradients_are_not_halved_at_a_bound(values):
    """A feature at its lowest value can be increased at the rate of its gradient."""
    linear = torch.nn.Linear(12, 2, bias=False)
    with torch.no_grad():
        linear.weight.zero_()
        linear.weight[0, 0], linear.weight[0, 1] = 1.0, -1.5
    at_bound = values[0].copy()
    at_bound[:, 0], at_bound[:, 1] = 5.0, 0.0
    cells = GroupedCells([at_bound, values[1]])
    found = Adversarial(ClassifierScorer(linear, ["x", "y"]), cells, per_cell=True, tol=1e-4)(0)
    # Increasing feature 1 from its bound is cheaper until it reaches its highest value.
    assert (found.per_cell[:, 1] < -3).all()


def test_integer_step_size(classifier, two):
    assert Adversarial(classifier, two, step_size=1)(0).diagnostics["flip_rate"] == 1


def test_zeros_are_exact(scorer, cells):
    found = Adversarial(scorer, cells)(0)
    assert (found.scores == 0).sum() >= 3
    assert found.diagnostics["n_features"] < 9


@pytest.mark.parametrize("reference", [None, 1])
def test_proximal_is_no_larger_than_the_published_solver(scorer, cells, reference):
    proximal = Adversarial(scorer, cells)(0, reference).diagnostics
    published = Adversarial(scorer, cells, solver="subgradient", max_steps=3000)(
        0, reference
    ).diagnostics
    assert proximal["flip_rate"] >= published["flip_rate"]
    assert proximal["l1"] <= 1.02 * published["l1"]


def test_shared_perturbation_flips_the_group(scorer, cells):
    found = Adversarial(scorer, cells, shared=True, bounds=None, per_cell=True)(0)
    assert np.ptp(found.per_cell[np.abs(found.per_cell).sum(1) > 0], axis=0).max() < 1e-6
    assert found.diagnostics["flip_rate"] > 0.9
    bounded = Adversarial(scorer, cells, shared=True)(0)
    assert bounded.ranking[0] == 0


def overlapping(seed: int) -> tuple[EmbeddingScorer, list[np.ndarray]]:
    """Three groups of 30 cells and 40 features; the first group is larger in ten of them."""
    rng = np.random.default_rng(seed)
    x = rng.gamma(1.0, 1.0, (90, 40)).astype(np.float32)
    codes = np.repeat([0, 1, 2], 30)
    x[codes == 0, :10] += 2 * rng.random((30, 10)).astype(np.float32)
    clustering = fit_clustering(x, codes, n_prototypes=3)
    scorer = EmbeddingScorer(LinearEmbedding(np.eye(40), np.zeros(40)), clustering, "abc")
    return scorer, [x[codes == c] for c in range(3)]


@pytest.mark.parametrize("seed", range(3))
def test_default_tolerance_reaches_the_norm_and_sparsity_of_a_tight_one(seed):
    scorer, values = overlapping(seed)
    cells = GroupedCells(values)
    default = Adversarial(scorer, cells, per_cell=True)(0)
    tight = Adversarial(scorer, cells, per_cell=True, tol=0, max_steps=500)(0)
    for norm in (np.abs, lambda delta: delta != 0):
        ratio = norm(default.per_cell).sum() / norm(tight.per_cell).sum()
        assert ratio == pytest.approx(1, abs=0.05)


def shared_objective(method: Adversarial, values: np.ndarray, delta: torch.Tensor) -> torch.Tensor:
    """L1 norm plus 100 times the mean hinge of all cells of group 0, with a margin of 1."""
    hinge = (1 + method._gap(torch.from_numpy(values) + delta, 0, None)).clamp_min(0)
    return delta.abs().sum() + 100 * hinge.mean()


def test_shared_perturbation_of_a_linear_scorer_changes_the_best_feature(two, values):
    """With weight w, the hinge is open for a share 1 / (100 w) of the cells at the minimum."""
    linear = torch.nn.Linear(12, 2, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.linspace(0.3, -0.2, 12) * torch.tensor([[1.0], [-1.0]]))
    scorer = ClassifierScorer(linear, ["x", "y"])
    method = Adversarial(scorer, two, shared=True, bounds=None, only_correct=False, per_cell=True)
    found = -method(0).per_cell[0]
    # The gap of both groups is twice the log-odds, and one logit is the negative of the other.
    gap = np.sort(1 + 4 * values[0] @ np.linspace(0.3, -0.2, 12).astype(np.float32))
    changes = np.maximum(gap, 0) / 1.2
    objective = changes + 100 * np.maximum(gap[:, None] - 1.2 * changes, 0).mean(0)
    assert np.flatnonzero(found).tolist() == [0]
    got = shared_objective(method, values[0], torch.from_numpy(found)).item()
    assert got == pytest.approx(objective.min(), rel=1e-3)


@pytest.mark.parametrize("seed", [0, 1])
def test_shared_objective_is_no_larger_than_that_of_many_subgradient_steps(seed):
    """The hinges of the cells have their corners at different places."""
    scorer, values = overlapping(seed)
    options = {"shared": True, "bounds": None, "only_correct": False, "per_cell": True}
    method = Adversarial(scorer, GroupedCells(values), **options)
    found = torch.from_numpy(-method(0).per_cell[0])
    objective = shared_objective(method, values[0], found).item()
    delta, least = torch.zeros(40, requires_grad=True), np.inf
    for step in np.geomspace(0.03, 1e-3, 2000):
        current = shared_objective(method, values[0], delta)
        least = min(least, current.item())
        (gradient,) = torch.autograd.grad(current, delta)
        with torch.no_grad():
            delta -= step * gradient
    assert objective <= least


def test_only_correct_cells_are_explained(classifier, two, values):
    cells = GroupedCells([np.concatenate([values[0], values[1]]), values[1]])
    found = Adversarial(classifier, cells, per_cell=True)(0)
    assert found.diagnostics["n_cells"] < 105
    everyone = Adversarial(classifier, cells, only_correct=False)(0)
    assert everyone.diagnostics["n_cells"] == 105


def test_warning_if_no_cell_is_assigned_to_its_group(values):
    linear = torch.nn.Linear(12, 2, bias=True)
    with torch.no_grad():
        linear.weight.fill_(0.01)
        linear.bias.copy_(torch.tensor([-100.0, 100.0]))
    scorer = ClassifierScorer(linear, ["x", "y"])
    with pytest.warns(UserWarning, match="assigns none of the cells of 'x' to that"):
        Adversarial(scorer, GroupedCells(values[:2]), max_steps=2)(0)


def test_probabilities_on_request(classifier, two):
    """Where the classifier is confident, the gradient of the probability vanishes."""
    sure = ClassifierScorer(torch.nn.Sequential(classifier.module, Scale(30.0)), ["x", "y"])
    logit = Adversarial(sure, two)(0).diagnostics
    probability = Adversarial(
        sure, two, output="probability", solver="subgradient", max_steps=300
    )(0)
    assert logit["flip_rate"] == 1
    assert probability.diagnostics["flip_rate"] < 0.5


class Scale(torch.nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * x


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "newton"}, "solver=.newton. is not one of"),
        ({"output": "odds"}, "output=.odds. is not one of"),
        ({"penalty": 0}, "penalty must be a number above 0"),
        ({"margin": -1}, "margin must be a number from 0"),
    ],
)
def test_bad_options(classifier, two, options, message):
    with pytest.raises(ValueError, match=message):
        Method.registry["adversarial"](classifier, two, **options)
