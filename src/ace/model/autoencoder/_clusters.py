"""Clusters of the latent space of ACE, during training and after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scvi import REGISTRY_KEYS
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.metrics import silhouette_score

from ace.model.base._obs import state_of
from ace.nn import NeuralizedClustering

if TYPE_CHECKING:
    from ace.model.autoencoder._model import ACE
    from ace.model.base._reader import MatrixReader

#: Maximum number of cells for the initial clustering, which compares all pairs of cells.
N_CELLS_COMPARED = 3000
#: Numbers of clusters that are tried with ``n_clusters="auto"``.
RANGE = range(2, 21)


@dataclass(frozen=True)
class Clusters:
    r"""Centroids in a latent space, and the inverse temperature :math:`\beta` of assignments.

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
        """Return clusters of cells with known assignments."""
        variance = float(np.square(z - centroids[codes]).mean())
        if variance <= 0:  # every cell lies on its centroid, so that any beta separates them
            variance = max(float(centroids.var()), 1.0)
        return cls(centroids.astype(np.float32), names, 0.5 / variance)

    @classmethod
    def by_size(cls, z: np.ndarray, centroids: np.ndarray, codes: np.ndarray) -> Clusters:
        """Return clusters numbered by decreasing size, as Leiden does."""
        order = np.argsort(-np.bincount(codes, minlength=len(centroids)), kind="stable")
        return cls.of(
            z, centroids[order], tuple(map(str, range(len(order)))), np.argsort(order)[codes]
        )

    def neuralized(self) -> NeuralizedClustering:
        """Return the clusters as a network with one prototype each."""
        centroids = torch.from_numpy(self.centroids)
        return NeuralizedClustering(centroids, torch.arange(len(centroids)), self.beta)

    def logits(self, z: np.ndarray) -> torch.Tensor:
        r"""Return :math:`-\beta \lVert z - \mu_c \rVert^2` up to a constant of each cell.

        In double precision, because the rounding of a matrix product depends on the other cells
        of the minibatch, and a large :math:`\beta` would magnify it.
        """
        return self.neuralized().double().group_logits(torch.from_numpy(z).double())


def start_clusters(z: np.ndarray, n_clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Return initial centroids of k-means, shape ``(n_clusters, n_latent)``.

    They are the means of Ward's hierarchical clusters of (a sample of) the cells. From random
    centroids, k-means splits large types before it finds small ones, depending on the seed.
    """
    sample = _sample(z, rng, max(N_CELLS_COMPARED, n_clusters))
    if n_clusters > len(sample):
        raise ValueError(f"n_clusters={n_clusters} needs as many cells, got {len(sample)}.")
    unit = float(np.abs(sample).max()) or 1.0
    n_distinct = len(np.unique(np.round(sample / unit, 5), axis=0))  # ignores rounding errors
    if n_distinct < n_clusters:
        raise ValueError(
            f"the latent space has only {n_distinct} distinct cells, too few for {n_clusters} "
            "clusters."
        )
    codes = AgglomerativeClustering(n_clusters, linkage="ward").fit_predict(sample)
    return label_means(sample, codes, n_clusters)


def move_clusters(z: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Run k-means (Eq. 3) from given centroids; return centroids (none is empty) and codes."""
    fitted = KMeans(len(centroids), init=centroids, n_init=1).fit(z)
    return fitted.cluster_centers_, fitted.labels_.astype(np.int64)


def label_means(z: np.ndarray, codes: np.ndarray, n: int) -> np.ndarray:
    """Return the mean cell of each code; the mean of all cells for a code without cells."""
    return np.stack(
        [z[codes == code].mean(0) if (codes == code).any() else z.mean(0) for code in range(n)]
    )


def choose_n_clusters(z: np.ndarray, rng: np.random.Generator) -> int:
    """Choose the number of Ward's clusters, from 2 to 20, with the largest mean silhouette."""
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


@dataclass
class Recluster:
    """Compute centroids in the current latent space, and the cluster of each cell.

    Parameters
    ----------
    model
        The model being trained.
    reader
        Its matrix.
    cells
        Rows of the training cells.
    labels
        Label of each cell, used if ``n_clusters`` is ``None``.
    n_clusters
        Number of clusters; ``None`` to use the labels, ``"auto"`` to choose it at the first call.
    batch_size
        Number of cells embedded at once.
    rng
        Draws the cells for the initial clustering.
    """

    model: ACE
    reader: MatrixReader
    cells: np.ndarray
    labels: np.ndarray
    n_clusters: int | str | None
    batch_size: int | None
    rng: np.random.Generator

    def __call__(self, before: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Update the clusters, starting from the centroids ``before``, or find initial ones.

        Returns
        -------
        Centroids, shape ``(n_clusters, n_latent)``, and the cluster of each cell, -1 for cells
        that are not trained on.
        """
        z = self.model._embed(self.reader, self.cells, self.batch_size)
        if self.n_clusters is None:
            n_labels = len(label_names(self.model))
            return label_means(z, self.labels[self.cells], n_labels), self.labels
        if before is None:
            n = self.n_clusters
            n = choose_n_clusters(z, self.rng) if n == "auto" else int(n)
            before = start_clusters(z, n, self.rng)
        centroids, codes = move_clusters(z, before)
        every = np.full(len(self.reader), -1, dtype=np.int64)
        every[self.cells] = codes
        return centroids, every

    def final(self, centroids: np.ndarray | None) -> Clusters:
        """Return the clusters of the trained latent space, starting from ``centroids``."""
        centroids, codes = self(centroids)
        z = self.model._embed(self.reader, self.cells, self.batch_size)
        if self.n_clusters is None:
            return Clusters.of(z, centroids, label_names(self.model), codes[self.cells])
        return Clusters.by_size(z, centroids, codes[self.cells])


def label_names(model: ACE) -> tuple[Any, ...]:
    """Return the labels that a model was set up with."""
    state = state_of(model, REGISTRY_KEYS.LABELS_KEY)
    return () if state is None else tuple(state["categorical_mapping"].tolist())


def clusters_of(model: ACE) -> Clusters:
    """Return the clusters of a trained model."""
    model._require_trained()
    if model._is_unfinished_:
        raise RuntimeError(
            "this ACE was saved during training, before its clusters were "
            "fitted: load it with the cells that it was trained on, adata=..., to fit them."
        )
    if model.centroids_ is None or model.cluster_names_ is None or model.beta_ is None:
        raise RuntimeError(
            "this ACE has no clusters: create it with ACE(adata, n_clusters=8) or "
            "n_clusters='auto', or set up labels_key. To explain other groups, pass groupby."
        )
    return Clusters(model.centroids_, model.cluster_names_, model.beta_)
