"""Group scorers from an embedding: linear maps and prototypes."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor, nn

from ace.nn import NeuralizedClustering


class LinearEmbedding(nn.Module):
    r"""A linear embedding :math:`z = W^\top x + b`, such as principal components.

    Parameters
    ----------
    loadings
        Array :math:`W` of shape ``(n_features, n_latent)``.
    offset
        Array :math:`b` of shape ``(n_latent,)``: minus the mean's projection where data are
        centred.
    """

    loadings: Tensor
    offset: Tensor

    def __init__(self, loadings: np.ndarray, offset: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("loadings", torch.tensor(loadings, dtype=torch.float32))
        self.register_buffer("offset", torch.tensor(offset, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Shape ``(n_cells, n_features)`` → ``(n_cells, n_latent)``."""
        return x @ self.loadings + self.offset


def fit_clustering(
    z: np.ndarray, codes: np.ndarray, *, n_prototypes: int = 3, seed: int = 0
) -> NeuralizedClustering:
    r"""Describe given groups by prototypes in a latent space.

    The prototypes of a group are its own k-means centroids, so groups need not be spherical. The
    stiffness is :math:`\beta = 1 / 2\sigma^2` with :math:`\sigma^2` the mean squared distance to
    the nearest own prototype, per dimension: the scorer then is the posterior of an isotropic
    Gaussian mixture fitted to the groups.

    Parameters
    ----------
    z
        Latent representation, shape ``(n_cells, n_latent)``.
    codes
        Group of each cell, shape ``(n_cells,)``, ``0 … n_groups - 1``.
    n_prototypes
        Prototypes a group; fewer where a group has fewer than 10 cells for each.
    seed
        Seed of k-means.

    Returns
    -------
    The neuralised clustering.
    """
    centroids, group_of, inertia = [], [], 0.0
    for group in range(codes.max() + 1):
        own = np.ascontiguousarray(z[codes == group])
        k = max(1, min(n_prototypes, len(own) // 10))
        fitted = KMeans(k, n_init=3 if k > 1 else 1, random_state=seed).fit(own)
        centroids.append(fitted.cluster_centers_)
        group_of += [group] * k
        inertia += fitted.inertia_
    prototypes = np.concatenate(centroids)
    variance = inertia / z.size
    if variance <= 0:  # every cell lies on a prototype: any stiffness separates them
        variance = max(float(prototypes.var()), 1.0)
    return NeuralizedClustering(
        torch.tensor(prototypes, dtype=torch.float32), torch.tensor(group_of), 0.5 / variance
    )
