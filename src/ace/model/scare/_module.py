"""scVI's network, with a posterior mean that can be differentiated in the genes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from scvi import REGISTRY_KEYS
from scvi.module import VAE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor


class ScareModule(VAE):
    """The variational autoencoder of scvi-tools :cite:p:`lopez2018scvi`, and its encoder alone.

    Parameters are those of :class:`scvi.module.VAE`.
    """

    def encode(
        self,
        log_x: Tensor,
        batch_index: Tensor,
        cont_covs: Tensor | None = None,
        cat_covs: Tensor | None = None,
    ) -> Tensor:
        """Mean of the posterior, ``(n_cells, n_latent)``, of ``log1p`` of counts."""
        categories: tuple[Tensor, ...] = ()
        if self.encode_covariates:
            log_x = log_x if cont_covs is None else torch.cat((log_x, cont_covs), dim=-1)
            categories = () if cat_covs is None else torch.split(cat_covs, 1, dim=1)
        # Its two parts, since the encoder as a whole also draws a sample.
        hidden = self.z_encoder.encoder(log_x, batch_index, *categories)
        return self.z_encoder.mean_encoder(hidden)

    def embed(self, x: Tensor, *covariates: Any) -> Tensor:
        """Mean of the posterior of counts; the covariates are those of :meth:`encode`."""
        return self.encode(torch.log1p(x), *covariates)

    def decode_mean(self, z: Tensor, tensors: dict[str, Tensor]) -> Tensor:
        """Mean counts of the decoder, ``(n_cells, n_genes)``, at each cell's own total."""
        if self.use_observed_lib_size:
            library = tensors[REGISTRY_KEYS.X_KEY].sum(1, keepdim=True).clamp_min(1).log()
        else:
            with torch.no_grad():
                library = self.inference(**self._get_inference_input(tensors))["library"]
        inputs = self._get_generative_input(tensors, {"z": z, "library": library})
        return self.generative(**inputs)["px"].mean

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Encoders and decoder in evaluation mode inside.

        A pass with other cells must not move the running statistics of a batch normalisation,
        and with those of a minibatch each cell's value would depend on the others'.
        """
        parts = (self.z_encoder, self.l_encoder, self.decoder)
        were_training = [part.training for part in parts]
        for part in parts:
            part.eval()
        try:
            yield
        finally:
            for part, training in zip(parts, were_training, strict=True):
                part.train(training)

    @staticmethod
    def covariates(tensors: dict[str, Tensor]) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Batch, continuous and categorical covariates of a minibatch."""
        return (
            tensors[REGISTRY_KEYS.BATCH_KEY],
            tensors.get(REGISTRY_KEYS.CONT_COVS_KEY),
            tensors.get(REGISTRY_KEYS.CAT_COVS_KEY),
        )
