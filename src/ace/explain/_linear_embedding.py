"""Linear maps to a latent space, and gradients through them without dense cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from ace.explain._cells import GroupedCells
    from ace.explain._contrast import Contrast
    from ace.explain._paths import Paths


class LinearEmbedding(nn.Module):
    r"""A linear embedding :math:`z = W^\top x + b`, such as principal components.

    Parameters
    ----------
    loadings
        Array :math:`W` of shape ``(n_features, n_latent)``.
    offset
        Array :math:`b` of shape ``(n_latent,)``: for centred data, minus the projection of the
        mean.
    attributed
        Loadings that gradients are computed with, by default :math:`W`. They may differ from 0 for
        features that do not contribute to the embedding but vary with it.
    """

    loadings: Tensor
    offset: Tensor
    attributed: Tensor

    def __init__(
        self, loadings: np.ndarray, offset: np.ndarray, attributed: np.ndarray | None = None
    ) -> None:
        super().__init__()
        self.register_buffer("loadings", torch.tensor(loadings, dtype=torch.float32))
        self.register_buffer("offset", torch.tensor(offset, dtype=torch.float32))
        self._is_exact = attributed is None or attributed is loadings
        same = self.loadings if attributed is None else torch.tensor(attributed)
        self.register_buffer("attributed", same.float())

    def forward(self, x: Tensor) -> Tensor:
        """Shape ``(n_cells, n_features)`` → ``(n_cells, n_latent)``."""
        z = x @ self.loadings + self.offset
        if self._is_exact:
            return z
        along = x @ self.attributed  # its gradient, with the value of z
        return along + (z - along).detach()


def sum_through_linear_embedding(
    embedding: LinearEmbedding,
    clustering: nn.Module,
    contrast: Contrast,
    cells: GroupedCells,
    paths: Paths,
) -> np.ndarray:
    r"""Sum path attributions for each reference group, through a linear embedding.

    The gradient of :math:`m(W^\top x + b)` with respect to the features is :math:`W g`, where
    :math:`g` is the gradient in the embedding. The sum over paths :math:`n` is

    .. math:: \sum_n (x_n - x'_n)_i\, (W g_n)_i
        = \sum_k W_{ik} \Bigl[\sum_n (x_n - x'_n)_i\, g_{nk}\Bigr] .

    The bracket is a product of the (sparse) cells with a narrow matrix, so no cell is converted
    to dense, and gradients have the dimension of the embedding. :math:`W` in front of it are the
    loadings ``attributed``.

    Parameters
    ----------
    embedding
        The embedding, on the CPU.
    clustering
        Module from coordinates to log-odds.
    contrast
        What is explained.
    cells
        NumPy or SciPy matrices without context.
    paths
        The paths.

    Returns
    -------
    Array of shape ``(n_reference_groups, n_features)``, groups in increasing order.
    """
    z, loadings = cells.coordinates(embedding), embedding.attributed.numpy()
    source = contrast.source
    baseline = np.empty((len(paths.source_row), z[0].shape[1]), np.float32)
    groups = np.unique(paths.group)
    for group in groups:
        baseline[paths.group == group] = z[group][paths.row[paths.group == group]]
    line = z[source][paths.source_row] - baseline
    point = torch.from_numpy(baseline + paths.alpha * line).requires_grad_()
    log_odds = contrast.of_log_odds(clustering(point))
    gradient = torch.autograd.grad(log_odds.sum(), point)[0].numpy()
    total = np.empty((len(groups), len(loadings)))
    for i, group in enumerate(groups):
        at = np.flatnonzero(paths.group == group)
        change = cells[source].transposed_times(paths.source_row[at], gradient[at])
        change = change - cells[group].transposed_times(paths.row[at], gradient[at])
        total[i] = np.einsum("ik,ik->i", change, loadings)
    return total
