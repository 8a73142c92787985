from __future__ import annotations

import numpy as np
import pytest
import torch

from ace.explain import ClassifierScorer, fit_centroids, transitions
from ace.nn import ConvolutionalClassifier


def linear_scorer(weights: list[float]) -> ClassifierScorer:
    """Log-odds of "1" are the weighted sum of the pixels, those of "0" its negative."""
    linear = torch.nn.Linear(len(weights), 2, bias=False)
    with torch.no_grad():
        linear.weight[0] = 0
        linear.weight[1] = torch.tensor(weights)
    return ClassifierScorer(linear, ["0", "1"])


def test_smallest_change_of_a_linear_scorer_inside_the_box():
    """Pixels change in the order of their weights, all but the last to their bound."""
    scorer = linear_scorer([4.0, -3.0, 2.0, -1.0, 0.5])
    images = np.array([[0.9, 0.2, 0.5, 0.1, 1.0]])
    found = transitions(scorer, images, "0", margin=0.2)
    # Log-odds 3.6 - 0.6 + 1.0 - 0.1 + 0.5 = 4.4 must become -0.1, half the margin: removing
    # pixel 0 lowers them by 3.6, then pixel 1 increases by 0.9 / 3.
    np.testing.assert_allclose(found.perturbed, [[0.0, 0.5, 0.5, 0.1, 1.0]], atol=2e-3)
    assert found.n_pixels.tolist() == [2]
    np.testing.assert_allclose(found.l1, [1.2], atol=2e-3)
    assert (found.source, found.target, found.assigned) == (("1",), ("0",), ("0",))
    assert found.flipped.tolist() == [True]


def test_every_image_has_its_own_target_and_keeps_its_shape():
    rng = np.random.default_rng(0)
    weights = torch.nn.Linear(6, 3, bias=False)
    scorer = ClassifierScorer(weights, ["a", "b", "c"])
    images = rng.random((10, 2, 3))
    with torch.no_grad():
        given = scorer(torch.tensor(images).float().flatten(1)).argmax(1).numpy()
    targets = ["abc"[(g + 1) % 3] for g in given]
    before = images.copy()
    found = transitions(scorer, images, targets)
    assert found.images.shape == found.perturbed.shape == found.delta.shape == images.shape
    assert found.source == tuple("abc"[g] for g in given)
    assert found.target == tuple(targets)
    np.testing.assert_array_equal(images, before)
    # Each image alone gives the same result.
    for i in (0, 7):
        alone = transitions(scorer, images[i : i + 1], targets[i])
        np.testing.assert_allclose(alone.perturbed[0], found.perturbed[i], atol=1e-4)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    bundled = load_digits()
    return (bundled.images / 16).astype(np.float32), bundled.target


@pytest.fixture(scope="module")
def scorer(digits):
    """Centroids in the embedding of a small, briefly trained network."""
    images, labels = (torch.from_numpy(v[:900]) for v in digits)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ConvolutionalClassifier((8, 8), 10, n_filters=8, kernel_size=3)
        optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
        for _ in range(5):
            for rows in torch.randperm(900).split(50):
                loss = torch.nn.functional.cross_entropy(network(images[rows]), labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return fit_centroids(network.embedding, images, labels)


@pytest.fixture(scope="module")
def eights(digits, scorer) -> np.ndarray:
    images, labels = digits
    own = images[900:][labels[900:] == 8]
    with torch.no_grad():
        given = scorer(torch.from_numpy(own).flatten(1)).argmax(1).numpy()
    return own[given == 8][:20]


def test_digits_flip_inside_the_box_with_few_pixels(scorer, eights):
    found = transitions(scorer, eights, 5)
    assert found.flipped.all()
    assert found.perturbed.min() >= 0
    assert found.perturbed.max() <= 1
    assert set(found.source) == {"8"}
    assert np.median(found.n_pixels) < 16
    np.testing.assert_array_equal(found.n_pixels, (found.delta != 0).sum((1, 2)))
    again = transitions(scorer, eights, "5")
    np.testing.assert_array_equal(found.perturbed, again.perturbed)


def test_no_larger_than_the_published_solver(scorer, eights):
    ours = transitions(scorer, eights[:10], "3")
    published = transitions(scorer, eights[:10], "3", solver="subgradient", max_steps=1000)
    assert published.flipped.all()
    assert np.median(ours.l1) <= np.median(published.l1)
    assert np.median(ours.n_pixels) < np.median(published.n_pixels)


def test_restarts_never_increase_the_norm(scorer, eights):
    plain, more = (transitions(scorer, eights, "3", restarts=n) for n in (0, 2))
    assert more.flipped.all()
    assert (more.l1 <= plain.l1 + 1e-5).all()
    assert more.l1.mean() < plain.l1.mean()


def test_the_margin_is_kept(scorer, eights):
    for margin in (0.0, 3.0):
        found = transitions(scorer, eights, "5", margin=margin)
        with torch.no_grad():
            m = scorer(torch.from_numpy(found.perturbed).flatten(1))
        gap = (m[:, 8] - m[:, 5]).numpy()
        assert found.flipped.all()
        assert gap.max() <= -margin + 1e-3
        assert np.median(gap) == pytest.approx(-margin, abs=0.02)  # and not much further


def test_the_scorer_is_unchanged(scorer, eights):
    scorer.train()
    transitions(scorer, eights[:2], "5", max_steps=2)
    assert scorer.training
    assert all(p.requires_grad for p in scorer.embedding.parameters())
    scorer.eval()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((8, 8))[0]}, r"Pass a single image as image\[None\]"),
        ({"images": np.zeros((0, 8, 8))}, "images must have shape"),
        ({"images": np.full((1, 8, 8), 255.0)}, r"range from 255 to 255. Scale them"),
        ({"images": np.full((1, 8, 8), np.nan)}, "must be within bounds"),
        ({"target": "x"}, r"target \['x'\] is not a group of the scorer, which has \['0', '1'"),
        ({"target": ["5", "3"]}, "one for each of 20 images, got 2"),
        ({"target": "8"}, r"images \[0, 1, 2, 3, 4\] and more are already assigned"),
        ({"bounds": (1.0, 0.0)}, "bounds must be a pair"),
        ({"margin": -1.0}, "margin must be a number from 0"),
        ({"penalty": 0.0}, "penalty must be a number above 0"),
        ({"step_size": 0.0}, "step_size must be a number above 0"),
        ({"restarts": -1}, "restarts must be"),
        ({"solver": "newton"}, "solver=.newton. is not one of"),
    ],
)
def test_invalid_arguments(scorer, eights, change, message):
    with pytest.raises(ValueError, match=message):
        transitions(scorer, **({"images": eights, "target": "5"} | change))
