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

#: Least variance of the cells of a minibatch, as a share of that of the centroids.
LOWEST_VARIANCE = 0.1
#: Slope of the leaky ReLU for negative values, as SAUCIE has it.
NEGATIVE_SLOPE = 0.2


class AceModule(EmbeddingModule):
    r"""SAUCIE's autoencoder, which scales its own input, with an optional choice of genes.

    Without batch normalisation, so that a minibatch of one cell is fine and the embedding of a
    cell does not depend on the cells beside it.

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
        Number of batches whose means the decoder need not reconstruct.
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
        #: What sets the mean of each batch apart, in scaled units.
        self.register_buffer("batch_offset", torch.zeros(n_batches, n_input))
        #: Summed variance of the scaled genes: the unit of the reconstruction loss.
        self.register_buffer("total_variance", torch.tensor(float(n_input)))
        self.selector = None if n_selected is None else ConcreteSelector(n_input, n_selected)
        self.encoder = _layers((n_selected or n_input, *n_hidden), n_latent)
        self.decoder = _layers((n_latent, *reversed(n_hidden)), n_input)

    @torch.no_grad()
    def set_moments(self, means: np.ndarray, variance: np.ndarray) -> None:
        """Fix what is left to reconstruct.

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
        """Expression after the bottleneck, in the units of ``x``; batches get the mean of all.

        A gene that was constant in the training cells is given back as that constant.
        """
        scaled = self.decoder(self.embed(x))
        varies = self.factor > 0
        return self.offset + torch.where(varies, scaled / torch.where(varies, self.factor, 1), 0.0)

    @property
    def selects(self) -> bool:
        """Whether genes are still to be chosen."""
        return self.selector is not None and not self.selector.is_settled

    def _encode(self, scaled: Tensor) -> Tensor:
        # Hidden before the choice: else several selectors would insure each other's gene.
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
        r"""Terms of the loss of a minibatch, none of them weighted.

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
            :math:`\sum_i \lVert x_i - g(f(x_i)) \rVert^2` (Eq. 1) a cell, over the variance of
            the data: the share that is not explained. Where batches are corrected for, the decoder
            is spared the difference between a batch's mean and that of all cells, so that the
            latent space need not know of it.
        ``batch``
            :func:`ace.nn.batch_discrepancy` of the latent representation (Eq. 2).
        ``cluster``
            :math:`\sum_{ic} \delta_{ic}\, o_c(z_i)` (Eq. 3) over the summed squared distance to
            the mean cell: a share, which does not fall when the latent space shrinks. (Where
            the cells of a minibatch hardly vary, a tenth of the centroids' variance stands in.)
        ``crowding``
            :meth:`ace.nn.ConcreteSelector.crowding`, as long as genes are being chosen.
        ``id``
            Entropy of the mean activations in the decoder's first layer, 1 where all are alike.
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
        """Give the reconstruction loss in the form of scvi-tools."""
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
    # A few cells, or cells alike, have no variance that others could be a share of.
    return (z - centroids).square().mean() / torch.maximum(total, lowest)


def _regularisers(code: Tensor, reconstructed: Tensor) -> tuple[Tensor, Tensor]:
    """SAUCIE's information dimension and intracluster distance :cite:p:`amodio2019saucie`."""
    active = code.clamp_min(0)
    share = active.sum(0) / active.sum().clamp_min(1e-12)
    # Units that are never active have no logarithm, and a gradient of 0.
    entropy = -(share * share.clamp_min(1e-12).log()).sum() / math.log(max(2, code.shape[1]))
    units = (active > 0.5 * active.detach().amax()).to(code)
    alike = (_squared_distances(units) < 0.5).to(code)
    distance = (alike * _squared_distances(reconstructed)).sum() / alike.sum()
    return entropy, distance


def _squared_distances(x: Tensor) -> Tensor:
    """Between all rows; unlike a root, differentiable where two are the same."""
    squared = x.square().sum(1)
    return (squared.unsqueeze(0) + squared.unsqueeze(1) - 2 * x @ x.T).clamp_min(0)
