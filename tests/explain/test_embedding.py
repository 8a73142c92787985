"""Number and position of prototypes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ace.explain import EmbeddingScorer, LinearEmbedding, choose_n_prototypes, fit_clustering


def blobs(seed=0, n=300):
    """Three separate spherical groups."""
    rng = np.random.default_rng(seed)
    codes = np.repeat([0, 1, 2], n)
    return np.eye(3)[codes] * 8 + rng.normal(size=(3 * n, 3)), codes


def rings(n=600):
    """Two groups of spots that alternate around a circle, with the same mean."""
    rng = np.random.default_rng(0)
    spot = np.repeat(np.arange(10), n // 5)
    angle = spot * np.pi / 5
    z = 10 * np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(size=(2 * n, 2)) * 0.5
    return z, spot % 2


def agreement(z, codes, n):
    given = fit_clustering(z, codes, n_prototypes=n).group_logits(torch.tensor(z).float())
    return float((given.argmax(1).numpy() == codes).mean())


def test_spherical_groups_get_three():
    z, codes = blobs()
    assert choose_n_prototypes(z, codes) == 3
    chosen, three = fit_clustering(z, codes), fit_clustering(z, codes, n_prototypes=3)
    torch.testing.assert_close(chosen.prototypes, three.prototypes, rtol=0, atol=0)


def test_irregular_groups_get_more():
    z, codes = rings()
    assert agreement(z, codes, 3) < 0.9 < agreement(z, codes, 5)
    assert choose_n_prototypes(z, codes) == 5
    clustering = fit_clustering(z, codes)
    assert torch.bincount(clustering.group_of).tolist() == [5, 5]


def test_no_more_than_help_on_held_out_cells():
    """For two samples of one population, more prototypes only improve the fit in sample."""
    rng = np.random.default_rng(0)
    z, codes = rng.normal(size=(1200, 10)), np.repeat([0, 1], 600)
    assert agreement(z, codes, 20) > agreement(z, codes, 3) + 0.03
    assert choose_n_prototypes(z, codes) == 3


def test_given_number():
    z, codes = blobs()
    for n in (1, 7, 30):
        counts = torch.bincount(fit_clustering(z, codes, n_prototypes=n).group_of)
        assert counts.tolist() == [n] * 3
    scorer = EmbeddingScorer(
        LinearEmbedding(np.eye(3), np.zeros(3)), fit_clustering(z, codes, n_prototypes=7), "abc"
    )
    assert scorer.n_prototypes == 7


def test_same_seed_same_number_and_global_state_is_unchanged():
    z, codes = rings()
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    assert choose_n_prototypes(z, codes, random_state=4) == choose_n_prototypes(
        z, codes, random_state=4
    )
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@pytest.mark.parametrize("sizes", [(1, 1), (1, 2, 3), (1, 400)])
def test_small_groups(sizes):
    codes = np.repeat(np.arange(len(sizes)), sizes)
    z = 20 * np.eye(len(sizes))[codes] + np.random.default_rng(0).normal(size=(len(codes), 1))
    assert choose_n_prototypes(z, codes) == 3
    assert fit_clustering(z, codes).n_groups == len(sizes)


def test_large_groups_are_weighted_by_all_their_cells():
    """A thousand cells are used, but ten thousand have ten times their weight."""
    rng = np.random.default_rng(0)
    ring, codes = rings(1000)
    blob = rng.normal(size=(10_000, 2)) * 0.3
    z = np.concatenate([ring, blob])
    codes = np.concatenate([codes, np.full(len(blob), 2)])
    # Three prototypes suffice over all cells, although not for the two groups on the ring.
    assert agreement(ring, codes[: len(ring)], 3) < 0.9
    assert choose_n_prototypes(z, codes) == 3


def test_prototypes_do_not_depend_on_seed_or_order_of_cells():
    """Three prototypes for five spots, where random starts give different results."""
    z, codes = rings()
    first = fit_clustering(z, codes, n_prototypes=3, random_state=0).prototypes
    moved = np.random.default_rng(1).permutation(len(z))
    again = fit_clustering(z[moved], codes[moved], n_prototypes=3, random_state=1).prototypes
    torch.testing.assert_close(first[first.sum(1).argsort()], again[again.sum(1).argsort()])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_different", [1, 2])
def test_no_more_prototypes_than_distinct_cells(n_different, dtype):
    """Means of equal cells differ from them by rounding errors only."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        z = np.repeat(rng.normal(size=(2 * n_different, 5)), 57, axis=0).astype(dtype)
        codes = np.repeat([0, 1], 57 * n_different)
        clustering = fit_clustering(z, codes, n_prototypes=5)
        assert clustering.prototypes.isfinite().all()
        assert (torch.bincount(clustering.group_of) <= n_different).all()


def test_stiffness_is_that_of_gaussians():
    """1 / 2σ² with the mean squared distance to the own prototype, per dimension."""
    z = np.array([[0.0, 1.0], [2.0, 1.0], [10.0, 3.0], [10.0, 7.0]])
    codes = np.array([0, 0, 1, 1])
    clustering = fit_clustering(z, codes, n_prototypes=1)
    assert clustering.prototypes.tolist() == [[1, 1], [10, 5]]
    assert clustering.beta == pytest.approx(0.5 / ((1 + 1 + 4 + 4) / 8))


def test_cells_equal_to_their_prototypes_up_to_rounding():
    """Any stiffness separates groups of equal cells, but it must not overflow."""
    rng = np.random.default_rng(0)
    z = np.repeat([[0.0, 1.0], [3.0, 1.0]], 30, axis=0) + 1e-9 * rng.normal(size=(60, 2))
    clustering = fit_clustering(z, np.repeat([0, 1], 30))
    assert clustering.beta <= 1
    scores = clustering(torch.tensor(z, dtype=torch.float32))
    assert torch.isfinite(scores).all()
    assert (scores.argmax(1) == torch.tensor(np.repeat([0, 1], 30))).all()


def test_small_group_is_not_lost_to_a_large_one():
    """A group with 20 prototypes has no larger prior than one with 3, which it overlaps."""
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1], [2000, 30])
    z = rng.normal(size=(len(codes), 10))
    z[codes == 1, 0] += 3
    clustering = fit_clustering(z, codes, n_prototypes=20)
    assert torch.bincount(clustering.group_of).tolist() == [20, 3]
    unseen = rng.normal(size=(2000, 10))
    unseen[:, 0] += 3
    assigned = clustering.group_logits(torch.tensor(unseen).float()).argmax(1)
    assert assigned.float().mean() > 0.85  # with a prior by the number of prototypes: 0.77
