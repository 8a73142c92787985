"""Training of scNym: MixMatch of labelled and unlabelled cells, and domain adversaries."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import torch
from scvi import REGISTRY_KEYS
from torch import Tensor
from torch.nn import functional as F

from ace.model.training._plan import EpochPlan

if TYPE_CHECKING:
    from ace.model.scnym._module import ScnymModule
    from ace.model.scnym._recipe import Recipe

DOMAINS_KEY = "domains"

#: Terms of the loss.
TERMS = ("supervised", "unsupervised", "adversary")


def sigmoid_ramp(done: float) -> float:
    r"""Return :math:`e^{-5 (1 - t)^2}`, which rises from nearly 0 to 1 with ``done``."""
    return math.exp(-5.0 * (1.0 - min(done, 1.0)) ** 2)


def mix_up(x: Tensor, y: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    r"""Mix each cell with a smaller share of another cell :cite:p:`zhang2017mixup`.

    :math:`\lambda' = \max(\lambda, 1 - \lambda)`, :math:`\lambda \sim Beta(\alpha, \alpha)`: a
    mixture counts as labelled or unlabelled like its dominant cell.
    """
    share = torch.distributions.Beta(alpha, alpha).sample((len(x), 1)).to(x)
    share = torch.maximum(share, 1 - share)
    partner = torch.randperm(len(x), device=x.device)
    return torch.lerp(x[partner], x, share), torch.lerp(y[partner], y, share)


class ScnymTrainingPlan(EpochPlan):
    r"""Algorithm 1 of the paper, logged once per epoch.

    .. math::
        L = L_{sup} + \lambda(t) L_{SSL} + L_{adv}

    with the cross-entropy :math:`L_{sup}` of mixtures in which a labelled cell dominates, the mean
    squared error :math:`L_{SSL}` of those in which a pseudolabelled one does, and the adversary's
    cross-entropy, whose gradient enters the classifier with the weight :math:`-w(t)`.

    Logs ``train_loss``, ``train_supervised``, ``train_unsupervised``, ``train_adversary``,
    ``train_confident`` (fraction of the unlabelled cells whose pseudolabel is used), and for the
    network that predicts ``validation_loss`` (cross-entropy) and ``validation_accuracy``.

    Parameters
    ----------
    module
        The network.
    recipe
        The settings.
    n_epochs
        Epochs of this training, for the ramps.
    n_steps
        Minibatches in an epoch.
    is_trained
        Whether the network has been trained before, so that its teacher is useful from the start.
    """

    module: ScnymModule
    watched = "supervised"

    def __init__(
        self,
        module: ScnymModule,
        recipe: Recipe,
        *,
        n_epochs: int,
        n_steps: int,
        is_trained: bool = False,
    ) -> None:
        super().__init__(module, optimizer_creator=recipe.new_optimizer)
        self.recipe = recipe
        self._n_epochs = n_epochs
        self._n_steps = n_steps
        self._steps_done = 0
        self._is_trained = is_trained
        self.teacher = module
        if recipe.teacher_decay is not None:
            self.teacher = copy.deepcopy(module).eval().requires_grad_(False)

    def progress(self) -> dict[str, Any]:
        """Return the number of steps, which the ramps depend on, for a checkpoint."""
        return {"steps_done": self._steps_done}

    def go_on_from(self, progress: dict[str, Any]) -> None:
        """Restore the state of the ramps from a checkpoint."""
        self._steps_done = progress["steps_done"]

    def train(self, mode: bool = True) -> ScnymTrainingPlan:
        """Set the mode of the network; the teacher stays in evaluation mode."""
        super().train(mode)
        if self.teacher is not self.module:
            self.teacher.eval()
        return self

    def step(self, batch: dict[str, Tensor]) -> tuple[int, dict[str, Tensor]]:
        """Return the terms of the loss of a minibatch."""
        x, labels = batch[REGISTRY_KEYS.X_KEY], batch[REGISTRY_KEYS.LABELS_KEY]
        if not self.training:
            logits = self._logits(self.teacher, x)
            accuracy = (logits.argmax(1) == labels).float().mean()
            return len(x), {"loss": F.cross_entropy(logits, labels), "accuracy": accuracy}
        # Labelled cells come first.
        n = int((labels >= 0).sum())
        x, others, labels = x[:n], x[n:], labels[:n]
        terms: dict[str, Tensor] = {}
        confident = torch.ones(len(others), dtype=torch.bool, device=x.device)
        if len(others) and (self.recipe.mixmatch or self.recipe.adversary_confident_only):
            pseudolabels, confident = self._pseudolabels(others)
            terms["confident"] = confident.float().mean()
        # Batch normalisation needs two cells.
        if self.recipe.mixmatch and len(others) and n + int(confident.sum()) > 1:
            terms |= self._mixmatch(x, labels, others[confident], pseudolabels[confident])
        elif n:
            terms["supervised"] = F.cross_entropy(self._logits(self.module, x), labels)
        seen, domains = batch[REGISTRY_KEYS.X_KEY], batch[DOMAINS_KEY]
        if self.recipe.adversary_confident_only and len(others):
            seen = torch.cat([x, others[confident]])
            domains = torch.cat([domains[:n], domains[n:][confident]])
        if self.recipe.adversary_weight and len(seen) > 1:
            terms["adversary"] = self.module.adversarial_loss(
                self.module.embed(seen),
                domains,
                self.recipe.adversary_weight * self._ramp(self.recipe.adversary_ramp_epochs),
            )
        nothing = torch.zeros((), device=x.device, requires_grad=True)
        loss = sum((terms[name] for name in TERMS if name in terms), nothing)
        return n + len(others), {"loss": loss, **terms}

    @staticmethod
    def _logits(network: ScnymModule, x: Tensor) -> Tensor:
        """Return logits without the temperature, which is fitted after training."""
        return network.classifier(network.embed(x))

    @torch.no_grad()
    def _pseudolabels(self, x: Tensor) -> tuple[Tensor, Tensor]:
        r"""Sharpened predictions, :math:`z_i \propto p_i^{1/T}`, and which of them to use."""
        logits = self.teacher.classify(x)  # calibrated, if trained before
        confident = torch.softmax(logits, dim=1).amax(1) >= self.recipe.confidence_threshold
        return torch.softmax(logits / self.recipe.sharpening, dim=1), confident

    def _mixmatch(
        self, x: Tensor, labels: Tensor, others: Tensor, pseudolabels: Tensor
    ) -> dict[str, Tensor]:
        """Return both losses of mixtures."""
        targets = F.one_hot(labels, self.module.n_labels).to(x.dtype)
        mixed, mixed_targets = mix_up(
            torch.cat([x, others]), torch.cat([targets, pseudolabels]), self.recipe.mixup_alpha
        )
        logits = self._logits(self.module, mixed)
        n = len(x)
        terms = {}
        if n:
            terms["supervised"] = F.cross_entropy(logits[:n], mixed_targets[:n])
        if len(others):
            error = (torch.softmax(logits[n:], dim=1) - mixed_targets[n:]).square().sum(1).mean()
            weight = self.recipe.ssl_weight * self._ramp(self.recipe.ssl_ramp_epochs)
            terms["unsupervised"] = weight * error
        return terms

    def _ramp(self, epochs: int | None) -> float:
        n_steps = (self._n_epochs if epochs is None else epochs) * self._n_steps
        return sigmoid_ramp(self._steps_done / n_steps) if n_steps else 1.0

    @torch.no_grad()
    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Update the teacher."""
        super().on_train_batch_end(outputs, batch, batch_idx)
        self._steps_done += 1
        if self.teacher is self.module:
            return
        decay = self.recipe.teacher_decay or 0.0
        if not self._is_trained:  # equal weights of the first steps
            decay = min(decay, 1 - 1 / (self._steps_done + 1))
        own, following = self.module.state_dict(), self.teacher.state_dict()
        moved = [name for name, value in own.items() if value.is_floating_point()]
        torch._foreach_lerp_(
            [following[name] for name in moved], [own[name] for name in moved], 1 - decay
        )
