"""How SCARE is trained: scVI's evidence lower bound, and the attribution loss."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from scvi import REGISTRY_KEYS

from ace import _checks
from ace.model.training._plan import EpochPlan

if TYPE_CHECKING:
    from torch import Tensor

    from ace.model.scare._loss import AttributionLoss
    from ace.model.scare._module import ScareModule


class ScareTrainingPlan(EpochPlan):
    r"""Training of an ``SCARE``, logged once an epoch.

    .. math:: L = w_R L_R + w_D L_D + w_A L_A

    (Eq. 4), with the negative log-likelihood :math:`L_R` of the counts and the Kullback-Leibler
    divergence :math:`L_D`, both summed within a cell. Logs for training and validation: ``loss``,
    ``reconstruction`` and ``kl`` without their weights, ``elbo`` (:math:`L_R + L_D`, lower is
    better), ``attribution``, and for each ground truth ``attribution_<name>`` and
    ``share_<name>``, the share of absolute attribution on its genes.

    Parameters
    ----------
    module
        The network.
    attribution_loss
        The ground truths; ``None``: the plain model.
    attribution_weight
        :math:`w_A`. 0: the attribution loss is not computed.
    attribution_warmup_epochs
        Epochs before the attribution loss joins in.
    reconstruction_weight
        :math:`w_R`.
    kl_weight
        :math:`w_D`.
    kl_warmup_epochs
        Epochs in which the weight of the divergence rises from 0 to ``kl_weight``.
    **kwargs
        ``lr``, ``weight_decay`` and ``eps`` of Adam, or ``optimizer_creator``, which makes another
        optimizer from the parameters.
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
        """Weight of the divergence in this epoch."""
        if self.current_epoch >= self._kl_warmup_epochs:
            return self._kl_weight
        return self._kl_weight * self.current_epoch / self._kl_warmup_epochs

    def step(self, batch: dict[str, Tensor]) -> tuple[int, dict[str, Tensor]]:
        """Give the terms of the loss of a minibatch."""
        # One cell has no variance: the last minibatch of an epoch may be a single one.
        with self.module.evaluating() if len(batch[REGISTRY_KEYS.X_KEY]) == 1 else nullcontext():
            _, _, found = self.module(batch)
        n_cells = found.n_obs_minibatch
        reconstruction = found.reconstruction_loss_sum / n_cells
        kl_z, kl_library = (
            found.kl_local[k].mean() for k in ("kl_divergence_z", "kl_divergence_l")
        )
        # As in scvi-tools, the weight is that of the cells' states, not of their totals.
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
        """Cells of the last minibatch that each ground truth has something to say about."""
        return {} if self.attribution_loss is None else self.attribution_loss.n_counted
