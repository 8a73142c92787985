"""Prototypes of given groups in a latent space."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import eigh
from sklearn.cluster import KMeans

from ace.nn import NeuralizedClustering

#: Numbers of prototypes per group that are tried, in this order.
N_PROTOTYPES = (3, 5, 8, 12, 20)
#: Share of held-out cells assigned to their own group at which the search stops.
SUFFICIENT = 0.9
#: Largest number of cells per group used to choose the number, and the share held out.
N_CELLS_CHOICE = 1000
HELD_OUT = 1 / 3


def fit_clustering(
    z: np.ndarray, codes: np.ndarray, *, n_prototypes: int | None = None, random_state: int = 0
) -> NeuralizedClustering:
    r"""Represent given groups by prototypes in a latent space.

    The prototypes of a group are its k-means centroids, so groups need not be spherical. The
    inverse temperature is :math:`\beta = 1 / 2\sigma^2`, where :math:`\sigma^2` is the mean
    squared distance per dimension between a cell and the nearest prototype of its group. The
    scorer is then the posterior of groups with equal prior probabilities, each an isotropic
    Gaussian mixture with equal weights, see :class:`ace.nn.NeuralizedClustering`.

    Parameters
    ----------
    z
        Latent representation, shape ``(n_cells, n_latent)``.
    codes
        Group of each cell, shape ``(n_cells,)``, ``0 … n_groups - 1``.
    n_prototypes
        Number of prototypes per group. A group gets fewer if it has fewer than 10 cells per
        prototype, or fewer distinct cells. ``None`` for :func:`choose_n_prototypes`.
    random_state
        Seed of that choice. k-means itself is deterministic: it starts from parts that are split
        across their longest axis :cite:p:`su2007search`.

    Returns
    -------
    The neuralised clustering.
    """
    if n_prototypes is None:
        n_prototypes = choose_n_prototypes(z, codes, random_state=random_state)
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
    # If all cells lie on a prototype, up to rounding, any inverse temperature separates them.
    if variance <= 1e-10 * float(z.var(axis=0).mean()):
        variance = max(float(prototypes.var()), 1.0)
    return NeuralizedClustering(
        torch.tensor(prototypes, dtype=torch.float32), torch.tensor(group_of), 0.5 / variance
    )


def _starts(z: np.ndarray, k: int) -> np.ndarray:
    """Means of at most ``k`` parts; the widest is split at its mean, across its longest axis."""
    parts = [z]
    while len(parts) < k:
        widest = int(np.argmax([len(part) * part.var(0).sum() for part in parts]))
        centered = parts[widest] - parts[widest].mean(0)
        last = z.shape[1] - 1
        _, axis = eigh(centered.T @ centered, subset_by_index=[last, last])
        above = (centered @ axis)[:, 0] > 0
        if above.all() or not above.any():  # all cells are equal, up to rounding
            break
        parts[widest : widest + 1] = [parts[widest][~above], parts[widest][above]]
    return np.stack([part.mean(0) for part in parts])


def choose_n_prototypes(z: np.ndarray, codes: np.ndarray, *, random_state: int = 0) -> int:
    """Choose the number of prototypes per group by the fidelity on held-out cells.

    A third of the cells of each group is held out (of at most 1000 cells per group), and
    prototypes are fitted to the others. The fidelity is the share of held-out cells that are
    assigned to their own group. 3, 5, 8, 12 and 20 prototypes are tried in this order until it is
    at least 0.9. If it never is, the result is the smallest number whose fidelity is within one
    standard error of the best.

    Parameters
    ----------
    z
        Latent representation, shape ``(n_cells, n_latent)``.
    codes
        Group of each cell, shape ``(n_cells,)``, ``0 … n_groups - 1``.
    random_state
        Seed of the choice of held-out cells.

    Returns
    -------
    The number of prototypes per group.
    """
    fit, judge = _split(codes, np.random.default_rng([random_state, 2]))
    fitted, judged = np.sort(np.concatenate(fit)), np.sort(np.concatenate(judge))
    if len(judged) == 0:
        return N_PROTOTYPES[0]
    held_out = torch.tensor(z[judged], dtype=torch.float32)
    # Groups are weighted by their total number of cells, not by the number drawn.
    weights = (np.bincount(codes) / np.maximum([len(own) for own in judge], 1))[codes[judged]]
    # Stop if the largest group has too few cells for more prototypes.
    most = max(len(own) for own in fit) // 10
    fidelity: dict[int, float] = {}
    for n in N_PROTOTYPES:
        if fidelity and most <= max(fidelity):
            break
        clustering = fit_clustering(z[fitted], codes[fitted], n_prototypes=n)
        assigned = clustering.group_logits(held_out).argmax(1).numpy()
        fidelity[n] = float(np.average(assigned == codes[judged], weights=weights))
        if fidelity[n] >= SUFFICIENT:
            return n
    best = max(fidelity.values())
    error = np.sqrt(best * (1 - best) / len(judged))
    return next(n for n, share in fidelity.items() if share >= best - error)


def _split(
    codes: np.ndarray, rng: np.random.Generator
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Cells of each group to fit prototypes to, and cells to hold out."""
    fit, judge = [], []
    for group in range(codes.max() + 1):
        own = rng.permutation(np.flatnonzero(codes == group))[:N_CELLS_CHOICE]
        n_held_out = int(len(own) * HELD_OUT)  # 0 for groups of one or two cells
        judge.append(own[:n_held_out])
        fit.append(own[n_held_out:])
    return fit, judge
