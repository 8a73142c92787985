"""Training of SCARE: the evidence lower bound of scVI, and the attribution loss."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from scvi import REGISTRY_KEYS

from ace import _checks
from ace.model.scare._loss import default_weight, loss_of
from ace.model.training._loaders import SplitCells
from ace.model.training._plan import EpochPlan
from ace.model.training._run import Prepared

if TYPE_CHECKING:
    from torch import Tensor

    from ace.model.scare import SCARE
    from ace.model.scare._loss import AttributionLoss
    from ace.model.scare._module import ScareModule
    from ace.model.training._run import Training

#: Default epochs for up to 20 000 cells, and the minimum number of steps.
MAX_EPOCHS = 50
MIN_STEPS = 1000
#: Fraction of the epochs after which the attribution loss is added.
WARMUP = 0.2


class ScareTrainingPlan(EpochPlan):
    r"""Training of SCARE; metrics are logged once per epoch.

    .. math:: L = w_R L_R + w_D L_D + w_A L_A

    (Eq. 4), with the negative log-likelihood :math:`L_R` of the counts and the Kullback-Leibler
    divergence :math:`L_D`, both summed over a cell. Metrics of training and validation are
    ``loss``; ``reconstruction`` and ``kl`` without their weights; ``elbo`` (:math:`L_R + L_D`,
    lower is better); ``attribution``; and for each ground truth ``attribution_<name>`` and
    ``share_<name>``, the share of the absolute attribution on its genes.

    Parameters
    ----------
    module
        The network.
    attribution_loss
        Loss of the ground truths; ``None`` for the plain model.
    attribution_weight
        :math:`w_A`. With 0, the attribution loss is not computed.
    attribution_warmup_epochs
        Epochs before the attribution loss is added.
    reconstruction_weight
        :math:`w_R`.
    kl_weight
        :math:`w_D`.
    kl_warmup_epochs
        Epochs over which the weight of the divergence rises from 0 to ``kl_weight``.
    **kwargs
        ``lr``, ``weight_decay`` and ``eps`` of Adam, or ``optimizer_creator``, which creates
        another optimizer from the parameters.
    """

    module: ScareModule
    watched = "reconstruction"

    def __init__(
        self,
        module: ScareModule,
        attribution_loss: AttributionLoss | None = None,
        *,
        attribution_weight: float = 0.0,
        attribution_warmup_epochs: int = 0,
        reconstruction_weight: float = 1.0,
        kl_weight: float = 1.0,
        kl_warmup_epochs: int = 0,
        lr: float = 1e-3,
        weight_decay: float = 1e-6,
        eps: float = 0.01,
        **kwargs: Any,
    ) -> None:
        super().__init__(module, lr=lr, weight_decay=weight_decay, eps=eps, **kwargs)
        weights = {
            "attribution_weight": attribution_weight,
            "reconstruction_weight": reconstruction_weight,
            "kl_weight": kl_weight,
        }
        for name, weight in weights.items():
            _checks.number(weight, name)
        _checks.whole(attribution_warmup_epochs, "attribution_warmup_epochs", 0)
        _checks.whole(kl_warmup_epochs, "kl_warmup_epochs", 0)
        self.attribution_loss = attribution_loss if attribution_weight else None
        self.attribution_weight = attribution_weight
        self.attribution_warmup_epochs = attribution_warmup_epochs
        self.reconstruction_weight = reconstruction_weight
        self._kl_weight = kl_weight
        self._kl_warmup_epochs = kl_warmup_epochs

    @property
    def kl_weight(self) -> float:
        """Weight of the divergence in the current epoch."""
        if self.current_epoch >= self._kl_warmup_epochs:
            return self._kl_weight
        return self._kl_weight * self.current_epoch / self._kl_warmup_epochs

    def step(self, batch: dict[str, Tensor]) -> tuple[int, dict[str, Tensor]]:
        """Return the number of cells of a minibatch, its loss, and the terms of the loss."""
        # Batch normalisation needs two cells, but the last minibatch may have a single one.
        with self.module.evaluating() if len(batch[REGISTRY_KEYS.X_KEY]) == 1 else nullcontext():
            _, _, found = self.module(batch)
        n_cells = found.n_obs_minibatch
        reconstruction = found.reconstruction_loss_sum / n_cells
        kl_z, kl_library = (
            found.kl_local[k].mean() for k in ("kl_divergence_z", "kl_divergence_l")
        )
        # As in scvi-tools, the weight applies to the latent space, not to the totals of the cells.
        loss = self.reconstruction_weight * reconstruction + self.kl_weight * kl_z + kl_library
        kl = kl_z + kl_library
        numbers = {"reconstruction": reconstruction, "kl": kl, "elbo": reconstruction + kl}
        if self.attribution_loss is not None:
            joined = self.current_epoch >= self.attribution_warmup_epochs
            terms = self.attribution_loss(
                self.module, batch, create_graph=self.training and joined
            )
            if joined:
                loss = loss + self.attribution_weight * terms["attribution"]
            numbers |= {name: term.detach() for name, term in terms.items()}
        return n_cells, {"loss": loss} | numbers

    def n_counted(self) -> dict[str, Tensor]:
        """Number of cells of the last minibatch that each ground truth covers."""
        return {} if self.attribution_loss is None else self.attribution_loss.n_counted


def prepare(model: SCARE, training: Training) -> Prepared:
    """Return the training plan and the minibatches of a training.

    Raises
    ------
    ValueError
        If values or covariates are not finite, or the attribution loss has a weight but there is
        no ground truth.
    """
    covariates = model._covariates(None)
    training.reader.require_finite(np.concatenate(training.split))
    max_epochs = training.epochs(MAX_EPOCHS, MIN_STEPS)
    kl_epochs = max_epochs // 2 if training.early_stopping else max_epochs
    options = training.plan_options(
        ScareTrainingPlan,
        attribution_weight=None,
        weight_decay=model._weight_decay_,
        attribution_warmup_epochs=0 if training.continues else int(WARMUP * max_epochs),
        kl_warmup_epochs=0 if training.continues else kl_epochs,
    )
    loss = loss_of(model)
    if options["attribution_weight"] is None:
        reference = model._settings.reference
        options["attribution_weight"] = (
            default_weight(model.losses_, reference) if loss is not None else 0.0
        )
    if options["attribution_weight"] and loss is None:
        raise ValueError(
            "an attribution_weight has no effect without a ground truth: create the model with "
            f"{type(model).__name__}(adata, ground_truth=[...])."
        )
    return Prepared(
        plan=ScareTrainingPlan(model.module, loss, **options),
        data=SplitCells(
            training.reader, covariates, training.split, training.batch_size, training.rng
        ),
        max_epochs=max_epochs,
        monitor="validation_elbo",
        best=None,  # the weights of the terms rise until the end, so the last epoch is kept
        warmup_epochs=max(options["attribution_warmup_epochs"], options["kl_warmup_epochs"]),
    )
