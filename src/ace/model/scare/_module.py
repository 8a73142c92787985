"""The network of scVI, with a posterior mean that can be differentiated in the genes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scvi import REGISTRY_KEYS
from scvi.module import VAE

from ace import _checks, _compat
from ace.model.base._obs import state_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from ace.model.scare import SCARE

#: Arguments of the network with a single allowed value, which attributions rely on.
FIXED = {
    "log_variational": True,
    "latent_distribution": "normal",
    "batch_representation": "one-hot",
}
LIKELIHOODS = ("nb", "zinb", "poisson")
DISPERSIONS = ("gene", "gene-batch", "gene-cell")


def check_options(**options: Any) -> None:
    """Raise a ``ValueError`` if arguments of the network are out of range, or not supported."""
    for name in ("n_latent", "n_hidden", "n_layers"):
        _checks.whole(options[name], name, 1)
    _checks.number(options["dropout_rate"], "dropout_rate", 0, 1, below=True)
    _checks.one_of(options["gene_likelihood"], "gene_likelihood", LIKELIHOODS)
    for name, value in FIXED.items():
        if options.get(name, value) != value:
            raise ValueError(f"{name}={options[name]!r}: SCARE supports {name}={value!r} only.")
    _checks.one_of(options.get("dispersion", "gene"), "dispersion", DISPERSIONS)


def sizes_of(model: SCARE, use_observed_lib_size: bool) -> dict[str, Any]:
    """Return the arguments of the network that depend on the data of a model."""
    stats = model.summary_stats
    categories = state_of(model, REGISTRY_KEYS.CAT_COVS_KEY) or {}
    size_factor = model.registry_["setup_args"].get("size_factor_key") is not None
    sizes: dict[str, Any] = {
        "n_input": len(model.var_names),
        "n_batch": stats.n_batch,
        "n_labels": stats.n_labels,
        "n_continuous_cov": stats.get("n_extra_continuous_covs", 0),
        "n_cats_per_cov": categories.get("n_cats_per_key"),
        "use_size_factor_key": size_factor,
        "use_observed_lib_size": use_observed_lib_size,
    }
    if not use_observed_lib_size and not size_factor:
        # These are saved with the weights, from where a model without an AnnData loads them.
        means, variances = np.zeros((1, stats.n_batch)), np.ones((1, stats.n_batch))
        if model.adata is not None:
            means, variances = _compat.init_library_size(model.adata_manager, stats.n_batch)
        sizes |= {"library_log_means": means, "library_log_vars": variances}
    return sizes


class ScareModule(VAE):
    """The variational autoencoder of scVI :cite:p:`lopez2018scvi` with access to its encoder.

    Takes the parameters of :class:`scvi.module.VAE`.
    """

    def encode(
        self,
        log_x: Tensor,
        batch_index: Tensor,
        cont_covs: Tensor | None = None,
        cat_covs: Tensor | None = None,
    ) -> Tensor:
        """Return the mean of the posterior, ``(n_cells, n_latent)``, given ``log1p`` of counts."""
        categories: tuple[Tensor, ...] = ()
        if self.encode_covariates:
            log_x = log_x if cont_covs is None else torch.cat((log_x, cont_covs), dim=-1)
            categories = () if cat_covs is None else torch.split(cat_covs, 1, dim=1)
        # The two parts of the encoder, which as a whole also draws a sample.
        hidden = self.z_encoder.encoder(log_x, batch_index, *categories)
        return self.z_encoder.mean_encoder(hidden)

    def embed(self, x: Tensor, *covariates: Any) -> Tensor:
        """Return the mean of the posterior given counts; for covariates see :meth:`encode`."""
        return self.encode(torch.log1p(x), *covariates)

    def decode_mean(self, z: Tensor, tensors: dict[str, Tensor]) -> Tensor:
        """Return the mean counts of the decoder, ``(n_cells, n_genes)``, at each cell's total."""
        if self.use_observed_lib_size:
            library = tensors[REGISTRY_KEYS.X_KEY].sum(1, keepdim=True).clamp_min(1).log()
        else:
            with torch.no_grad():
                library = self.inference(**self._get_inference_input(tensors))["library"]
        inputs = self._get_generative_input(tensors, {"z": z, "library": library})
        return self.generative(**inputs)["px"].mean

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Put encoders and decoder in evaluation mode inside the block.

        A pass through other cells must not update the running statistics of batch normalisation,
        and with the statistics of a minibatch the value of a cell would depend on other cells.
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
        """Return batch, continuous and categorical covariates of a minibatch."""
        return (
            tensors[REGISTRY_KEYS.BATCH_KEY],
            tensors.get(REGISTRY_KEYS.CONT_COVS_KEY),
            tensors.get(REGISTRY_KEYS.CAT_COVS_KEY),
        )
