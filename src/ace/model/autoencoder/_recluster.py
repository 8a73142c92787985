"""Cluster the training cells during the training of ACE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ace.model.autoencoder._clusters import (
    choose_n_clusters,
    label_means,
    move_clusters,
    start_clusters,
)

if TYPE_CHECKING:
    from ace.model.autoencoder._model import ACE
    from ace.model.base._reader import MatrixReader


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
            n_labels = len(self.model._label_names())
            return label_means(z, self.labels[self.cells], n_labels), self.labels
        if before is None:
            n = self.n_clusters
            n = choose_n_clusters(z, self.rng) if n == "auto" else int(n)
            before = start_clusters(z, n, self.rng)
        centroids, codes = move_clusters(z, before)
        every = np.full(len(self.reader), -1, dtype=np.int64)
        every[self.cells] = codes
        return centroids, every
