"""Training of Kratos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scvi import REGISTRY_KEYS

from ace.model.training._plan import EpochPlan

if TYPE_CHECKING:
    from torch import Tensor

    from ace.model.kratos._module import KratosModule


class KratosTrainingPlan(EpochPlan):
    """Supervised training, logged once per epoch.

    Logs ``train_loss``, ``train_accuracy``, ``validation_loss`` and ``validation_accuracy``.
    The parameters are those of :class:`~ace.model.training._plan.EpochPlan`: ``module``, ``lr``,
    ``weight_decay`` and ``eps`` of Adam, or ``optimizer_creator`` for another optimizer.
    """

    module: KratosModule

    def step(self, batch: dict[str, Tensor]) -> tuple[int, dict[str, Tensor]]:
        """Return loss and accuracy of a minibatch."""
        labels = batch[REGISTRY_KEYS.LABELS_KEY]
        logits = self.module.classify(batch[REGISTRY_KEYS.X_KEY])
        accuracy = (logits.detach().argmax(1) == labels).float().mean()
        loss = self.module.classification_loss(logits, labels)
        return len(labels), {"loss": loss, "accuracy": accuracy}
