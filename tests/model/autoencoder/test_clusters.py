"""Initialisation of k-means, choice of the number of clusters, and small clusters."""

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from ace.model.autoencoder._clusters import (
    Clusters,
    choose_n_clusters,
    label_means,
    move_clusters,
    start_clusters,
)


def _blobs(sizes, spread=0.3, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(sizes)), sizes)
    centres = 4.0 * np.eye(len(sizes), 6)
    return (centres[codes] + rng.normal(0, spread, (len(codes), 6))).astype(np.float32), codes


def test_a_small_cluster_is_found_beside_a_large_one():
    z, codes = _blobs([2000, 40, 12])
    rng = np.random.default_rng(0)
    _, found = move_clusters(z, start_clusters(z, 3, rng))
    assert adjusted_rand_score(codes, found) == 1


def test_initialisation_of_many_cells_uses_a_sample():
    z, codes = _blobs([5000, 3000])
    centroids, found = move_clusters(z, start_clusters(z, 2, np.random.default_rng(1)))
    assert adjusted_rand_score(codes, found) == 1
    expected = np.stack([z[found == code].mean(0) for code in range(2)])
    np.testing.assert_allclose(centroids, expected, atol=1e-4)


@pytest.mark.parametrize("n", [2, 5])
def test_number_of_clusters_by_silhouette(n):
    z, _ = _blobs([60] * n)
    assert choose_n_clusters(z, np.random.default_rng(0)) == n


def test_too_few_cells_are_an_error():
    z = np.zeros((3, 2), np.float32)
    with pytest.raises(ValueError, match="n_clusters=4 needs as many cells, got 3"):
        start_clusters(z, 4, np.random.default_rng(0))
    with pytest.raises(ValueError, match="too few cells"):
        choose_n_clusters(z[:2], np.random.default_rng(0))


def test_means_of_labels():
    z = np.array([[0.0], [2.0], [10.0]])
    np.testing.assert_allclose(label_means(z, np.array([1, 1, 2]), 3), [[4], [1], [10]])


def test_clusters_are_numbered_by_size_and_stiffness_is_from_their_variance():
    z = np.array([[0.0], [2.0], [10.0], [11.0], [12.0]], dtype=np.float32)
    codes = np.array([0, 0, 1, 1, 1])
    clusters = Clusters.by_size(z, label_means(z, codes, 2), codes)
    assert clusters.names == ("0", "1")
    np.testing.assert_allclose(clusters.centroids, [[11], [1]])
    # Squared distances 1, 1, 1, 0, 1: σ² = 4 / 5.
    assert clusters.beta == pytest.approx(0.5 / 0.8)
    assigned = clusters.neuralized()(torch.from_numpy(z)).argmax(1)
    assert assigned.tolist() == [1, 1, 0, 0, 0]
