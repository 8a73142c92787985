"""Clusters of a latent space: where k-means starts, how it goes on, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.metrics import silhouette_score

from ace.nn import NeuralizedClustering

#: Cells that the start and the number of clusters are found on: both compare every two of them.
N_CELLS_COMPARED = 3000
#: Numbers of clusters that are tried where none is given.
RANGE = range(2, 21)


@dataclass(frozen=True)
class Clusters:
    r"""Centroids in a latent space, with the stiffness :math:`\beta` of their assignment.

    :math:`\beta = 1 / 2\sigma^2` with :math:`\sigma^2` the mean squared distance of the cells to
    their centroid, per dimension.
    """

    centroids: np.ndarray
    names: tuple[Any, ...]
    beta: float

    @classmethod
    def of(
        cls, z: np.ndarray, centroids: np.ndarray, names: tuple[Any, ...], codes: np.ndarray
    ) -> Clusters:
        """Clusters whose cells are known."""
        variance = float(np.square(z - centroids[codes]).mean())
        if variance <= 0:  # every cell lies on its centroid: any stiffness separates them
            variance = max(float(centroids.var()), 1.0)
        return cls(centroids.astype(np.float32), names, 0.5 / variance)

    @classmethod
    def by_size(cls, z: np.ndarray, centroids: np.ndarray, codes: np.ndarray) -> Clusters:
        """Clusters numbered from the largest, as Leiden's are."""
        order = np.argsort(-np.bincount(codes, minlength=len(centroids)), kind="stable")
        return cls.of(
            z, centroids[order], tuple(map(str, range(len(order)))), np.argsort(order)[codes]
        )

    def neuralized(self) -> NeuralizedClustering:
        """Give the clusters as a network, one prototype each."""
        centroids = torch.from_numpy(self.centroids)
        return NeuralizedClustering(centroids, torch.arange(len(centroids)), self.beta)


def start_clusters(z: np.ndarray, n_clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Centroids to start k-means from, shape ``(n_clusters, n_latent)``.

    The means of Ward's hierarchical clusters of (a sample of) the cells. k-means from random
    starts splits a large type before it finds a small one, and which one depends on luck.
    """
    sample = _sample(z, rng, max(N_CELLS_COMPARED, n_clusters))
    if n_clusters > len(sample):
        raise ValueError(f"n_clusters={n_clusters} needs as many cells, got {len(sample)}.")
    unit = float(np.abs(sample).max()) or 1.0
    n_distinct = len(np.unique(np.round(sample / unit, 5), axis=0))  # rounding is no difference
    if n_distinct < n_clusters:
        raise ValueError(
            f"the latent space has only {n_distinct} different cells, of which no {n_clusters} "
            "clusters can be made."
        )
    codes = AgglomerativeClustering(n_clusters, linkage="ward").fit_predict(sample)
    return label_means(sample, codes, n_clusters)


def move_clusters(z: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """k-means (Eq. 3) from given centroids: new ones, none of them without a cell, and codes."""
    fitted = KMeans(len(centroids), init=centroids, n_init=1).fit(z)
    return fitted.cluster_centers_, fitted.labels_.astype(np.int64)


def label_means(z: np.ndarray, codes: np.ndarray, n: int) -> np.ndarray:
    """Mean cell of each code; of all cells where a code has none."""
    return np.stack(
        [z[codes == code].mean(0) if (codes == code).any() else z.mean(0) for code in range(n)]
    )


def choose_n_clusters(z: np.ndarray, rng: np.random.Generator) -> int:
    """Number of clusters of the largest mean silhouette, among Ward's from 2 to 20."""
    sample = _sample(z, rng)
    highest = min(RANGE.stop, len(sample))  # a silhouette needs a cluster of two cells
    scores = {}
    for n_clusters in range(RANGE.start, highest):
        codes = AgglomerativeClustering(n_clusters, linkage="ward").fit_predict(sample)
        scores[n_clusters] = silhouette_score(sample, codes)
    if not scores:
        raise ValueError(f"too few cells to choose a number of clusters: {len(sample)}.")
    return max(scores, key=scores.__getitem__)


def _sample(z: np.ndarray, rng: np.random.Generator, n: int = N_CELLS_COMPARED) -> np.ndarray:
    return z if len(z) <= n else z[np.sort(rng.choice(len(z), n, replace=False))]
