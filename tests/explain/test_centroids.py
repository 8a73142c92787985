from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from ace.explain import fit_centroids, fit_clustering

rng = np.random.default_rng(0)


def overlapping(n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(n) % 3
    x = rng.normal(size=(n, 4)) + 1.5 * np.eye(3, 4)[labels]
    return x.astype(np.float32), labels


def test_centroids_are_means_in_the_embedding_and_names_are_sorted():
    x, labels = overlapping()
    embedding = torch.nn.Linear(4, 2)
    scorer = fit_centroids(embedding, x, np.array(["c", "a", "b"])[labels])
    assert scorer.groups == ("a", "b", "c")
    with torch.no_grad():
        z = embedding(torch.from_numpy(x)).numpy()
    means = [z[labels == k].mean(0) for k in (1, 2, 0)]
    np.testing.assert_allclose(scorer.clustering.prototypes, means, atol=1e-5)


def test_stiffness_maximises_the_likelihood():
    """Log-odds must not grow with the number of copies of a dimension."""
    x, labels = overlapping()
    centroids = np.array([x[labels == k].mean(0) for k in range(3)])
    distance = ((x[:, None] - centroids) ** 2).sum(2)

    def surprise(beta: float) -> float:
        logits = -beta * distance
        own = logits[np.arange(len(x)), labels]
        return float(np.mean(np.log(np.exp(logits).sum(1)) - own))

    best = minimize_scalar(surprise, bounds=(1e-3, 10), method="bounded").x
    scorer = fit_centroids(torch.nn.Identity(), x, labels)
    assert scorer.clustering.beta == pytest.approx(best, rel=1e-2)
    copies = fit_centroids(torch.nn.Identity(), np.repeat(x, 20, axis=1), labels)
    many, one = (s(torch.from_numpy(v)) for s, v in ((copies, np.repeat(x, 20, 1)), (scorer, x)))
    torch.testing.assert_close(many, one, rtol=1e-2, atol=1e-2)


def test_separable_labels_get_the_gaussian_stiffness():
    x, labels = overlapping()
    x += 100 * np.eye(3, 4, dtype=np.float32)[labels]
    expected = fit_clustering(x, labels, n_prototypes=1).beta
    assert fit_centroids(torch.nn.Identity(), x, labels).clustering.beta == pytest.approx(
        expected, rel=1e-3
    )


def test_images_are_flattened_and_groups_may_be_constant():
    images = np.zeros((4, 2, 3), dtype=np.float32)
    images[2:, 0, 0] = 1
    scorer = fit_centroids(torch.nn.Identity(), images, [0, 0, 1, 1])
    assert scorer.groups == ("0", "1")
    assert scorer(torch.from_numpy(images).flatten(1)).argmax(1).tolist() == [0, 0, 1, 1]


def test_mode_of_the_embedding_is_restored():
    embedding = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.5)).train()
    x, labels = overlapping(30)
    one, two = (fit_centroids(embedding, x, labels).clustering.prototypes for _ in range(2))
    torch.testing.assert_close(one, two, rtol=0, atol=0)
    assert embedding.training
    assert all(p.requires_grad for p in embedding.parameters())


def test_invalid_labels():
    with pytest.raises(ValueError, match="one label for each of 4 rows"):
        fit_centroids(torch.nn.Identity(), np.zeros((4, 2)), [0, 1])
    with pytest.raises(ValueError, match="two or more groups, got \\[7\\]"):
        fit_centroids(torch.nn.Identity(), np.zeros((2, 2)), [7, 7])
