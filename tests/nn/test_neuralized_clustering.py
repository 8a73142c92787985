from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ace.nn import NeuralizedClustering, log_odds


def random_clustering(seed: int, n_groups: int, n_own: int, beta: float) -> NeuralizedClustering:
    return random_groups(seed, [n_own] * n_groups, beta)


def random_groups(seed: int, sizes: list[int], beta: float) -> NeuralizedClustering:
    """Random prototypes, a given number per group."""
    generator = torch.Generator().manual_seed(seed)
    prototypes = torch.randn(sum(sizes), 4, generator=generator)
    group_of = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    return NeuralizedClustering(prototypes, group_of, beta)


def textbook_log_odds(module: NeuralizedClustering, z: np.ndarray) -> np.ndarray:
    """``log p_c / (1 - p_c)`` of Eq. 4, from mean densities of the prototypes, in float64."""
    mu = module.prototypes.double().numpy()
    distance = np.square(z[:, None, :] - mu[None]).sum(-1)
    weight = np.exp(-module.beta * (distance - distance.min(1, keepdims=True)))
    group_of = module.group_of.numpy()
    p = np.stack([weight[:, group_of == c].mean(1) for c in range(module.n_groups)], 1)
    p /= p.sum(1, keepdims=True)
    return np.log(p) - np.log1p(-p)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=6),
    beta=st.floats(0.05, 0.5),
)
def test_equals_log_odds_of_the_soft_assignment(seed, sizes, beta):
    module = random_groups(seed, sizes, beta)
    z = torch.randn(20, 4, generator=torch.Generator().manual_seed(seed + 1))
    expected = textbook_log_odds(module, z.double().numpy())
    np.testing.assert_allclose(module(z).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_is_the_posterior_of_gaussian_mixtures_with_equal_priors():
    module = random_groups(1, [1, 2, 5], beta=0.8)
    z = torch.randn(30, 4, generator=torch.Generator().manual_seed(2))
    density = torch.stack(
        [
            torch.distributions.MultivariateNormal(mu, torch.eye(4) / (2 * 0.8)).log_prob(z).exp()
            for mu in module.prototypes
        ],
        dim=1,
    )
    of_group = torch.stack([density[:, module.group_of == c].mean(1) for c in range(3)], dim=1)
    expected = of_group / of_group.sum(1, keepdim=True)
    torch.testing.assert_close(torch.sigmoid(module(z)), expected, rtol=1e-4, atol=1e-6)


def test_repeated_prototypes_change_nothing():
    """A group has no larger prior because it has more prototypes."""
    module = random_groups(7, [1, 2, 3], beta=0.5)
    twice = torch.repeat_interleave(torch.arange(6), torch.tensor([1, 2, 2, 1, 1, 1]))
    repeated = NeuralizedClustering(module.prototypes[twice], module.group_of[twice], 0.5)
    z = torch.randn(20, 4)
    torch.testing.assert_close(repeated(z), module(z), rtol=1e-4, atol=1e-4)


def test_two_layer_form_of_equation_6():
    module = random_clustering(0, 5, 1, 0.7)
    mu, z = module.prototypes, torch.randn(30, 4)
    for c in range(5):
        others = [k for k in range(5) if k != c]
        w = 2 * (mu[c] - mu[others])
        b = mu[others].square().sum(1) - mu[c].square().sum()
        h = z @ w.T + b
        soft_min = -torch.logsumexp(-0.7 * h, 1)
        torch.testing.assert_close(module(z)[:, c], soft_min, rtol=1e-5, atol=1e-5)


def test_argmax_is_the_nearest_centroid():
    module = random_clustering(3, 8, 1, 2.0)
    z = torch.randn(500, 4)
    torch.testing.assert_close(module(z).argmax(1), torch.cdist(z, module.prototypes).argmin(1))


def test_several_prototypes_in_the_hard_limit_are_the_nearest_group():
    module = random_clustering(4, 4, 3, 500.0)
    z = torch.randn(500, 4)
    nearest = torch.cdist(z, module.prototypes).argmin(1)
    torch.testing.assert_close(module(z).argmax(1), module.group_of[nearest])


@pytest.mark.parametrize("beta", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("far", [0.0, 1e3])
def test_values_and_gradients_stay_finite(beta: float, far: float):
    module = random_clustering(5, 4, 2, beta)
    z = (torch.randn(50, 4) + far).requires_grad_()
    m = module(z)
    (gradient,) = torch.autograd.grad(m.sum(), z)
    assert torch.isfinite(m).all()
    assert torch.isfinite(gradient).all()


def test_moving_everything_changes_nothing():
    module = random_clustering(6, 4, 2, 0.5)
    z, shift = torch.randn(20, 4), torch.full((4,), 100.0)
    moved = NeuralizedClustering(module.prototypes + shift, module.group_of, 0.5)
    torch.testing.assert_close(moved(z + shift), module(z), rtol=1e-3, atol=1e-3)


def test_log_odds_of_two_groups_is_the_difference():
    logits = torch.tensor([[3.0, -1.0], [200.0, -200.0]])
    torch.testing.assert_close(log_odds(logits)[:, 0], torch.tensor([4.0, 400.0]))


def test_log_odds_needs_two_groups():
    with pytest.raises(ValueError, match="at least two groups, got 1"):
        log_odds(torch.zeros(3, 1))


@pytest.mark.parametrize(
    ("prototypes", "group_of", "beta", "message"),
    [
        (torch.zeros(3, 2), torch.tensor([0, 1]), 1.0, "one group for"),
        (torch.zeros(2, 2), torch.tensor([0, 0]), 1.0, "at least two groups"),
        (torch.zeros(2, 2), torch.tensor([0, 2]), 1.0, "each with a prototype"),
        (torch.full((2, 2), torch.nan), torch.tensor([0, 1]), 1.0, "finite"),
        (torch.zeros(2, 2), torch.tensor([0, 1]), 0.0, "beta must be"),
        (torch.zeros(2, 2), torch.tensor([0, 1]), float("nan"), "beta must be"),
    ],
)
def test_bad_input(prototypes, group_of, beta, message):
    with pytest.raises(ValueError, match=message):
        NeuralizedClustering(prototypes, group_of, beta)
