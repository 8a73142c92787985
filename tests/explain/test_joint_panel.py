"""Joint panels: the criterion by direct computation, planted genes, and honest accuracy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from ace.explain._joint_accuracy import cross_fitted, panel_sizes
from ace.explain._joint_panel import Moments, features, joint_panel, screen, separation

EVERY = np.arange(60)
NONE = np.array([], dtype=int)


def planted(n_per_group: int = 80, seed: int = 0) -> tuple[sp.csr_array, np.ndarray]:
    """Four groups; genes 0 to 3 are markers of one each, 10 and 11 copies of gene 0.

    Groups 2 and 3 share their markers but for gene 4, which is weak.
    """
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(4), n_per_group)
    rate = np.full((len(codes), 60), 0.5)
    rate[codes == 0, 0] = 8
    rate[codes == 1, 1] = 8
    rate[codes >= 2, 2] = 8
    rate[codes == 3, 4] = 4
    counts = rng.poisson(rate).astype(float)
    counts[:, 10] = counts[:, 11] = counts[:, 0]
    return sp.csr_array(np.log1p(counts)), codes


def distances(moments: Moments, genes: list[int]) -> np.ndarray:
    """Squared distances of all pairs of groups, from their definition."""
    at = np.array([f for gene in genes for f in (2 * gene, 2 * gene + 1)])
    precision = np.linalg.inv(moments.covariance[np.ix_(at, at)])
    difference = [
        moments.mean[a, at] - moments.mean[b, at]
        for a in range(len(moments.mean))
        for b in range(a + 1, len(moments.mean))
    ]
    return np.array([d @ precision @ d for d in difference])


def test_gains_are_those_of_the_criterion():
    x, codes = planted()
    panel = joint_panel(x, codes, 6, EVERY, NONE)
    moments = Moments.of(x, codes)
    pairs = 4 * 3 // 2
    chance = 2 * np.log(60) * 2 / 80
    reached = np.zeros(pairs)
    before = np.zeros(pairs)
    for n in range(1, 7):
        after = distances(moments, list(panel.genes[:n]))
        new = reached + np.maximum(after - before - chance, 0)
        gain = (separation(new) - separation(reached)).sum()
        np.testing.assert_allclose(panel.gains[n - 1], gain, rtol=1e-6, atol=1e-12)
        # No other gene would have increased it more.
        for gene in range(60):
            if gene not in panel.genes[:n]:
                other = distances(moments, [*panel.genes[: n - 1], gene])
                other = reached + np.maximum(other - before - chance, 0)
                assert (separation(other) - separation(reached)).sum() <= gain + 1e-9
        reached, before = new, after


def test_planted_genes_enter_and_copies_do_not():
    x, codes = planted()
    panel = joint_panel(x, codes, 5, EVERY, NONE)
    assert set(panel.genes[:4]) - {0, 10, 11} == {1, 2, 4}
    assert len({0, 10, 11} & set(panel.genes[:4])) == 1
    assert panel.gains[4] < 0.1 * panel.gains[0]  # only copies and noise are left
    # The weak gene is the one for the similar groups, and is expressed by group 3.
    assert panel.pairs[list(panel.genes).index(4)].tolist() == [3, 2]


def test_forced_genes_come_first_and_count():
    x, codes = planted()
    panel = joint_panel(x, codes, 5, EVERY, np.array([40, 10]))
    assert panel.genes[:2].tolist() == [40, 10]
    assert set(panel.genes[2:]) == {1, 2, 4}  # neither the copy of gene 10 nor gene 0


def test_only_eligible_genes_enter():
    x, codes = planted()
    panel = joint_panel(x, codes, 10, np.arange(5, 60), NONE)
    assert panel.genes.min() >= 5
    assert len(set(panel.genes)) == 10


def test_smaller_panels_are_the_first_genes():
    x, codes = planted()
    small, large = (joint_panel(x, codes, n, EVERY, NONE).genes for n in (4, 12))
    np.testing.assert_array_equal(small, large[:4])


def test_screening_takes_the_best_genes_of_each_pair_in_turn():
    x, codes = planted()
    first = screen(x, codes, EVERY, 4)
    assert {1, 2, 4} < set(first)
    assert len(screen(x, codes, EVERY, 100)) == 60


def test_order_of_genes_and_cells_does_not_matter():
    x, codes = planted()
    rng = np.random.default_rng(1)
    cells, genes = rng.permutation(len(codes)), rng.permutation(60)
    expected = joint_panel(x, codes, 5, np.setdiff1d(EVERY, [10, 11]), NONE)
    at = np.flatnonzero(~np.isin(genes, [10, 11]))
    found = joint_panel(x[cells][:, genes], codes[cells], 5, at, NONE)
    np.testing.assert_array_equal(genes[found.genes[:4]], expected.genes[:4])
    np.testing.assert_allclose(found.gains[:4], expected.gains[:4])


def test_accuracy_is_at_chance_for_random_groups():
    """Genes that are chosen on the judged cells would reach far more."""
    rng = np.random.default_rng(0)
    x = sp.csr_array(np.log1p(rng.poisson(0.5, (200, 300)).astype(float)))
    codes = rng.permutation(np.repeat([0, 1], 100))
    predicted = cross_fitted(x, codes, 20, np.arange(300), NONE, rng)
    error = 0.5 / np.sqrt(200)
    for labels in predicted.values():
        assert abs((labels == codes).mean() - 0.5) < 3 * error


def test_accuracy_agrees_with_new_cells():
    (x, codes), (new, truth) = planted(seed=0), planted(n_per_group=500, seed=1)
    predicted = cross_fitted(x, codes, 5, EVERY, NONE, np.random.default_rng(0))
    panel = joint_panel(x, codes, 5, EVERY, NONE)
    moments = Moments.of(x[:, panel.genes], codes)
    fresh = (moments.predict(features(new[:, panel.genes])) == truth).mean()
    assert abs((predicted[5] == codes).mean() - fresh) < 0.05
    assert list(predicted) == [1, 2, 3, 5]


def test_groups_of_single_cells():
    x, codes = planted()
    rows = np.array([0, 100, 200])
    predicted = cross_fitted(x[rows], codes[rows], 3, EVERY, NONE, np.random.default_rng(0))
    assert (predicted[3] != codes[rows]).all()  # no other cell shows what its group looks like


@pytest.mark.parametrize(
    ("n", "sizes"),
    [(1, [1]), (2, [1, 2]), (5, [1, 2, 3, 5]), (40, [1, 2, 3, 5, 8, 13, 21, 34, 40])],
)
def test_sizes(n, sizes):
    assert panel_sizes(n) == sizes
