"""The autoencoder of ACE and the terms of its loss."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from scvi import REGISTRY_KEYS
from scvi.module.base import LossOutput, auto_move_data
from torch import Tensor, nn

from ace.model.base._module import EmbeddingModule
from ace.nn import ConcreteSelector, batch_discrepancy

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

#: Minimum variance of the cells of a minibatch, as a fraction of that of the centroids.
LOWEST_VARIANCE = 0.1
#: Slope of the leaky ReLU for negative values, as in SAUCIE.
NEGATIVE_SLOPE = 0.2


class AceModule(EmbeddingModule):
    r"""SAUCIE's autoencoder, which scales its input, with optional gene selection.

    There is no batch normalisation, so a minibatch may be a single cell, and the embedding of a
    cell does not depend on other cells.

    Parameters
    ----------
    n_input
        Number of genes.
    n_latent
        Dimensions of the latent space.
    n_hidden
        Width of the encoder's hidden layers, which the decoder mirrors.
    n_selected
        Genes that the encoder may read, chosen in training; ``None``: all.
    dropout_rate
        Fraction of the encoder's input that is hidden from it in training.
    n_batches
        Number of batches, whose means the decoder does not reconstruct.
    """

    def __init__(
        self,
        n_input: int,
        n_latent: int = 10,
        n_hidden: Sequence[int] = (512, 256, 128),
        n_selected: int | None = None,
        dropout_rate: float = 0.5,
        n_batches: int = 1,
    ) -> None:
        super().__init__(n_input, n_latent)
        self.noise = nn.Dropout(dropout_rate)
        #: Mean of each batch minus that of all cells, in scaled units.
        self.register_buffer("batch_offset", torch.zeros(n_batches, n_input))
        #: Sum of the variances of the scaled genes, the unit of the reconstruction loss.
        self.register_buffer("total_variance", torch.tensor(float(n_input)))
        self.selector = None if n_selected is None else ConcreteSelector(n_input, n_selected)
        self.encoder = _layers((n_selected or n_input, *n_hidden), n_latent)
        self.decoder = _layers((n_latent, *reversed(n_hidden)), n_input)

    @torch.no_grad()
    def set_moments(self, means: np.ndarray, variance: np.ndarray) -> None:
        """Set the moments of the data that the reconstruction loss needs.

        Parameters
        ----------
        means
            Mean scaled expression of each batch less that of all cells, shape
            ``(n_batches, n_genes)``.
        variance
            Variance of each scaled gene around the means of the batches; the selectors start from
            genes in proportion to it.
        """
        self.batch_offset.copy_(torch.from_numpy(means))
        total = float(variance.sum())
        self.total_variance.fill_(total if total > 0 else 1.0)
        if self.selector is not None and total > 0:
            self.selector.prefer(torch.from_numpy(variance))

    @auto_move_data
    def embed(self, x: Tensor) -> Tensor:
        """Latent representation, shape ``(n_cells, n_latent)``, of unscaled expression."""
        return self._encode(self.scaled(x))

    @auto_move_data
    def reconstruct(self, x: Tensor) -> Tensor:
        """Reconstructed expression in the units of ``x``, with the mean of all batches.

        A gene that was constant in the training cells is reconstructed as this constant.
        """
        scaled = self.decoder(self.embed(x))
        varies = self.factor > 0
        return self.offset + torch.where(varies, scaled / torch.where(varies, self.factor, 1), 0.0)

    @property
    def selects(self) -> bool:
        """Whether genes are still being selected."""
        return self.selector is not None and not self.selector.is_settled

    def _encode(self, scaled: Tensor) -> Tensor:
        # Dropout is applied before the selection, or several selectors would choose the same gene.
        read = self.noise(scaled)
        return self.encoder(read if self.selector is None else self.selector(read))

    def loss_terms(
        self,
        x: Tensor,
        *,
        batch: Tensor | None = None,
        centroids: Tensor | None = None,
        cluster: Tensor | None = None,
        regularise: bool = False,
    ) -> dict[str, Tensor]:
        r"""Return the unweighted terms of the loss of a minibatch.

        Parameters
        ----------
        x
            Unscaled expression, shape ``(n_cells, n_genes)``.
        batch
            Batch of each cell; ``None``: no correction.
        centroids
            Centroids of the clusters, shape ``(n_clusters, n_latent)``; ``None``: no clustering.
        cluster
            Cluster of each cell, -1 for cells that belong to none; ``None``: the nearest.
        regularise
            Compute SAUCIE's two regularisers.

        Returns
        -------
        By name

        ``reconstruction``
            Mean of :math:`\lVert x_i - g(f(x_i)) \rVert^2` (Eq. 1) over the variance of the
            data: the fraction of unexplained variance. With batch correction, the difference
            between the mean of a batch and that of all cells is not reconstructed, so that the
            latent space need not encode it.
        ``batch``
            :func:`ace.nn.batch_discrepancy` of the latent representation (Eq. 2).
        ``cluster``
            :math:`\sum_{ic} \delta_{ic}\, o_c(z_i)` (Eq. 3) over the summed squared distance to
            the mean cell: a ratio, which does not fall when the latent space shrinks. (If the
            cells hardly vary, it is relative to a tenth of the centroids' variance.)
        ``crowding``
            :meth:`ace.nn.ConcreteSelector.crowding`, while genes are being selected.
        ``id``
            Entropy of the mean activations in the decoder's first layer, 1 if all are equal.
        ``distance``
            Mean squared distance between reconstructed cells that activate the same units there.
        """
        scaled = self.scaled(x)
        z = self._encode(scaled)
        code = self.decoder[:2](z)
        reconstructed = self.decoder[2:](code)
        target = scaled if batch is None else scaled - self.batch_offset[batch]
        error = (reconstructed - target).square().sum(1).mean()
        terms = {"reconstruction": error / self.total_variance}
        if batch is not None:
            terms["batch"] = batch_discrepancy(z, batch)
        if self.selector is not None and self.selects:
            terms["crowding"] = self.selector.crowding()
        if centroids is not None:
            if cluster is None:
                cluster = torch.cdist(z.detach(), centroids).argmin(1)
            known = cluster >= 0
            lowest = LOWEST_VARIANCE * centroids.var(0, unbiased=False).mean().clamp_min(1e-12)
            terms["cluster"] = _share_within(z[known], centroids[cluster[known]], lowest)
        if regularise:
            terms["id"], terms["distance"] = _regularisers(
                code, reconstructed / self.total_variance.sqrt()
            )
        return terms

    def generative(self, z: Tensor) -> dict[str, Tensor]:
        """Decode embedded cells, in scaled units."""
        return {"x": self.decoder(z)}

    def loss(
        self,
        tensors: dict[str, Tensor],
        inference_outputs: dict[str, Tensor],
        generative_outputs: dict[str, Tensor],
    ) -> LossOutput:
        """Return the reconstruction loss, as scvi-tools expects it."""
        x = tensors[REGISTRY_KEYS.X_KEY]
        scaled = self.scaled(x)
        error = (generative_outputs["x"] - scaled).square().sum(1) / self.total_variance
        return LossOutput(loss=error.mean(), reconstruction_loss=error, n_obs_minibatch=len(x))


def _layers(sizes: Sequence[int], n_out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_units in pairwise(sizes):
        layers += [nn.Linear(n_in, n_units), nn.LeakyReLU(NEGATIVE_SLOPE)]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], n_out))


def _share_within(z: Tensor, centroids: Tensor, lowest: Tensor) -> Tensor:
    if len(z) == 0:
        return (z * 0.0).sum()
    total = (z - z.mean(0)).square().mean()
    # Few or identical cells have too little variance to divide by.
    return (z - centroids).square().mean() / torch.maximum(total, lowest)


def _regularisers(code: Tensor, reconstructed: Tensor) -> tuple[Tensor, Tensor]:
    """SAUCIE's information dimension and intracluster distance :cite:p:`amodio2019saucie`."""
    active = code.clamp_min(0)
    share = active.sum(0) / active.sum().clamp_min(1e-12)
    # Inactive units must not give log(0), and get a gradient of 0.
    entropy = -(share * share.clamp_min(1e-12).log()).sum() / math.log(max(2, code.shape[1]))
    units = (active > 0.5 * active.detach().amax()).to(code)
    alike = (_squared_distances(units) < 0.5).to(code)
    distance = (alike * _squared_distances(reconstructed)).sum() / alike.sum()
    return entropy, distance


def _squared_distances(x: Tensor) -> Tensor:
    """Return distances between all rows, differentiable for identical rows."""
    squared = x.square().sum(1)
    return (squared.unsqueeze(0) + squared.unsqueeze(1) - 2 * x @ x.T).clamp_min(0)
