"""Group scorers from an embedding: linear maps and prototypes."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import eigh
from sklearn.cluster import KMeans
from torch import Tensor, nn

from ace.nn import NeuralizedClustering

#: Numbers of prototypes that are tried, in this order.
N_PROTOTYPES = (3, 5, 8, 12, 20)
#: Share of cells that a scorer should give to their own group.
ENOUGH = 0.9
#: Cells of each group, at most, that the number is chosen on, and the share that judges.
N_CELLS_CHOICE = 1000
HELD_OUT = 1 / 3


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
    z: np.ndarray, codes: np.ndarray, *, n_prototypes: int | None = None, seed: int = 0
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
        Prototypes a group; fewer where a group has fewer than 10 cells for each, or fewer that
        differ. ``None``: see :func:`choose_n_prototypes`.
    seed
        Seed of that choice. k-means begins with parts that are cut across their longest axis
        :cite:p:`su2007search`, and leaves nothing to chance.

    Returns
    -------
    The neuralised clustering.
    """
    if n_prototypes is None:
        n_prototypes = choose_n_prototypes(z, codes, seed=seed)
    centroids, group_of, inertia = [], [], 0.0
    for group in range(codes.max() + 1):
        own = np.ascontiguousarray(z[codes == group])
        starts = _starts(own, max(1, min(n_prototypes, len(own) // 10)))
        fitted = KMeans(len(starts), init=starts, n_init=1).fit(own)
        centroids.append(fitted.cluster_centers_)
        group_of += [group] * len(starts)
        inertia += fitted.inertia_
    prototypes = np.concatenate(centroids)
    variance = inertia / z.size
    # Every cell lies on a prototype, up to rounding: any stiffness separates them.
    if variance <= 1e-10 * float(z.var(axis=0).mean()):
        variance = max(float(prototypes.var()), 1.0)
    return NeuralizedClustering(
        torch.tensor(prototypes, dtype=torch.float32), torch.tensor(group_of), 0.5 / variance
    )


def _starts(z: np.ndarray, k: int) -> np.ndarray:
    """Means of at most ``k`` parts: the widest is cut at its mean, across its longest axis."""
    parts = [z]
    while len(parts) < k:
        widest = int(np.argmax([len(part) * part.var(0).sum() for part in parts]))
        centered = parts[widest] - parts[widest].mean(0)
        last = z.shape[1] - 1
        _, axis = eigh(centered.T @ centered, subset_by_index=[last, last])
        above = (centered @ axis)[:, 0] > 0
        if above.all() or not above.any():  # no two cells differ, but by rounding
            break
        parts[widest : widest + 1] = [parts[widest][~above], parts[widest][above]]
    return np.stack([part.mean(0) for part in parts])


def choose_n_prototypes(z: np.ndarray, codes: np.ndarray, *, seed: int = 0) -> int:
    """Choose how many prototypes a group gets, by the fidelity on cells that they are not of.

    A third of each group's cells is held out (of at most 1000), prototypes are fitted to the
    others, and the fidelity is the share of held-out cells that are given to their own group. 3,
    5, 8, 12 and 20 prototypes are tried in this order until it is at least 0.9. Where none gets
    there, the smallest number is taken whose fidelity is within one standard error of the best.
    So groups that 3 prototypes describe well keep 3, and more are used only if they help.

    Parameters
    ----------
    z
        Latent representation, shape ``(n_cells, n_latent)``.
    codes
        Group of each cell, shape ``(n_cells,)``, ``0 … n_groups - 1``.
    seed
        Seed of the cells held out.

    Returns
    -------
    The number.
    """
    rng = np.random.default_rng([seed, 2])
    fit, judge = [], []
    for group in range(codes.max() + 1):
        own = rng.permutation(np.flatnonzero(codes == group))[:N_CELLS_CHOICE]
        n_held_out = int(len(own) * HELD_OUT)  # 0 of a group of one or two cells
        judge.append(own[:n_held_out])
        fit.append(own[n_held_out:])
    fitted, judged = np.sort(np.concatenate(fit)), np.sort(np.concatenate(judge))
    if len(judged) == 0:
        return N_PROTOTYPES[0]
    held_out = torch.tensor(z[judged], dtype=torch.float32)
    # A large group counts by its cells, not by those that were drawn of it.
    weights = (np.bincount(codes) / np.maximum([len(own) for own in judge], 1))[codes[judged]]
    # More prototypes than the largest group has cells for are the same again.
    most = max(len(own) for own in fit) // 10
    fidelity: dict[int, float] = {}
    for n in N_PROTOTYPES:
        if fidelity and most <= max(fidelity):
            break
        clustering = fit_clustering(z[fitted], codes[fitted], n_prototypes=n, seed=seed)
        given = clustering.group_logits(held_out).argmax(1).numpy()
        fidelity[n] = float(np.average(given == codes[judged], weights=weights))
        if fidelity[n] >= ENOUGH:
            return n
    best = max(fidelity.values())
    error = np.sqrt(best * (1 - best) / len(judged))
    return next(n for n, share in fidelity.items() if share >= best - error)
