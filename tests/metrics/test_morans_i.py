"""Moran's I of simulated scores."""

import numpy as np
import pytest

from ace.metrics import morans_i


def test_by_hand():
    # Two pairs of neighbours with the same score within each pair.
    z = np.array([[0.0], [1.0], [10.0], [11.0]])
    assert morans_i(z, [1, 1, 3, 3], n_neighbors=1) == pytest.approx(1)
    assert morans_i(z, [1, 3, 1, 3], n_neighbors=1) == pytest.approx(-1)
    # Centred scores are -1, 0, 0, 1: all products of neighbours are 0.
    assert morans_i(z, [1, 2, 2, 3], n_neighbors=1) == pytest.approx(0)


def test_a_gradient_and_noise():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1000, 5))
    gradient = z[:, 0]
    assert morans_i(z, gradient) > 0.6
    assert abs(morans_i(z, rng.permutation(gradient))) < 0.05
    noisy = morans_i(z, gradient + rng.normal(size=1000))
    assert 0.2 < noisy < morans_i(z, gradient)
    # The result does not depend on the scale of the score or the order of the cells.
    order = rng.permutation(1000)
    assert morans_i(z[order], 3 * gradient[order] - 7) == pytest.approx(morans_i(z, gradient))


@pytest.mark.parametrize("score", [np.zeros(20), np.full(20, 0.1), np.full(20, 1e9 + 0.1)])
def test_constant_score_is_nan(score):
    assert np.isnan(morans_i(np.arange(20.0)[:, None], score, n_neighbors=3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z": np.zeros(4)}, "z must be a matrix"),
        ({"score": np.zeros(3)}, r"one value per cell, 20 in all, got shape \(3,\)"),
        ({"score": np.full(20, np.inf)}, "NaN or infinite"),
        (
            {"n_neighbors": 20},
            "n_neighbors \\(for 20 cells\\) must be a whole number from 1 to 19",
        ),
    ],
)
def test_errors_say_what_was_expected(change, message):
    arguments = {"z": np.arange(20.0)[:, None], "score": np.arange(20.0), "n_neighbors": 3}
    with pytest.raises(ValueError, match=message):
        morans_i(**arguments | change)
