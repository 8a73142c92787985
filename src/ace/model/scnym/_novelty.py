"""Novelty of cells: evidence that a cell belongs to none of the known types."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ace.model.base._outputs import network_outputs
from ace.model.base._texts import BATCH_SIZE, CELLS

if TYPE_CHECKING:
    import numpy as np

    from ace.model.base._reader import MatrixReader
    from ace.model.scnym._module import ScnymModule

#: Shrinkage of the covariance towards a multiple of the identity.
SHRINKAGE = 0.1
#: Weight of the distance relative to the energy, both in standard deviations.
DISTANCE_WEIGHT = 2.0
#: Documentation of :meth:`ace.model.SCNYM.novelty`.
NOVELTY = (
    r"""
.. math::
    N = \frac{E - \tilde E}{\sigma_E} + 2 \frac{D - \tilde D}{\sigma_D}, \quad
    E = - \log \sum_c e^{\ell_c}, \quad
    D = \min_c \sqrt{(z - \mu_c)^T \Sigma^{-1} (z - \mu_c)}

with the energy :math:`E` of the logits :math:`\ell` :cite:p:`liu2020energy`, high without
evidence for any class, and the Mahalanobis distance :math:`D` of the embedding :math:`z`
to the nearest class :cite:p:`lee2018simple`. Means :math:`\mu_c` and the covariance
:math:`\Sigma` (shrunk by a tenth towards a multiple of the identity) are those of the
labelled training cells, medians and standard deviations those of the validation cells,
whose novelty is about 0. Train with ``preset="new_identity"`` if new types may occur.

Parameters
----------
"""
    + CELLS.strip()
    + """
"""
    + BATCH_SIZE.strip()
    + """

Returns
-------
Score per cell, float32, shape ``(n_cells,)``. ``novelty_threshold_`` is the value that
95 % of the validation cells do not exceed; ``None`` without validation cells.

Raises
------
RuntimeError
    If the model is not trained, or was saved before the novelty was fitted.
ValueError
    If genes are missing, or values are NaN, infinite, or of another kind than those that
    the model was trained on.
"""
)
#: Cells in double precision at a time.
CHUNK = 10_000


class Novelty(nn.Module):
    """Energy of the logits and Mahalanobis distance of the embedding.

    See :meth:`ace.model.SCNYM.novelty` for the formula. Each part detects types that the other one
    misses: a classifier is overconfident on a new type that expresses the markers of a class.

    Parameters
    ----------
    n_latent
        Dimensions of the embedding.
    n_labels
        Number of classes.
    """

    means: Tensor
    whitening: Tensor
    medians: Tensor
    spreads: Tensor

    def __init__(self, n_latent: int, n_labels: int) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(n_labels, n_latent))
        self.register_buffer("whitening", torch.eye(n_latent))
        self.register_buffer("medians", torch.zeros(2))
        self.register_buffer("spreads", torch.ones(2))

    @torch.no_grad()
    def learn_places(self, z: Tensor, labels: Tensor) -> None:
        """Fit means and covariance to embedded cells; every class needs cells."""
        n_labels, n_latent = self.means.shape
        totals = torch.zeros(n_labels, n_latent, dtype=torch.float64)
        squares = torch.zeros(n_latent, n_latent, dtype=torch.float64)
        for part, classes in zip(z.split(CHUNK), labels.split(CHUNK), strict=True):
            doubled = part.double()
            totals.index_add_(0, classes, doubled)
            squares += doubled.T @ doubled
        sizes = torch.bincount(labels, minlength=n_labels)[:, None]
        means = totals / sizes
        covariance = (squares - means.T @ totals) / len(z)
        mean_variance = covariance.diagonal().mean().clamp(min=1e-12)
        covariance *= 1 - SHRINKAGE
        covariance.diagonal().add_(SHRINKAGE * mean_variance)
        # Σ = L Lᵀ; distances after multiplication by L⁻ᵀ are Mahalanobis distances.
        lower = torch.linalg.cholesky(covariance)
        identity = torch.eye(n_latent, dtype=torch.float64)
        self.means.copy_(means)
        self.whitening.copy_(torch.linalg.solve_triangular(lower, identity, upper=False).T)

    @torch.no_grad()
    def learn_units(self, z: Tensor, logits: Tensor) -> None:
        """Fit medians and standard deviations to cells of known types."""
        parts = self.parts(z, logits)
        self.medians.copy_(parts.median(0).values)
        spreads = parts.std(0, correction=0)
        self.spreads.copy_(torch.where(spreads > 0, spreads, 1.0))

    def parts(self, z: Tensor, logits: Tensor) -> Tensor:
        """Energy and distance, shape ``(n_cells, 2)``."""
        distances = torch.cdist(z @ self.whitening, self.means @ self.whitening)
        return torch.stack([-torch.logsumexp(logits, 1), distances.amin(1)], dim=1)

    def forward(self, z: Tensor, logits: Tensor) -> Tensor:
        """Novelty of embedded cells with these logits, shape ``(n_cells,)``."""
        energy, distance = ((self.parts(z, logits) - self.medians) / self.spreads).unbind(1)
        return energy + DISTANCE_WEIGHT * distance


def novelty_of(
    network: ScnymModule, reader: MatrixReader, rows: np.ndarray, batch_size: int | None
) -> np.ndarray:
    """Return the novelty of cells, shape ``(n_cells,)``."""

    def column(x: Tensor) -> Tensor:
        return network.novelty_of(x)[:, None]

    return network_outputs(network, column, 1, reader, rows, batch_size)[:, 0].numpy()
