"""How Kratos is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scvi import REGISTRY_KEYS

from ace.model.training._plan import EpochPlan

if TYPE_CHECKING:
    from torch import Tensor

    from ace.model.kratos._module import KratosModule


class KratosTrainingPlan(EpochPlan):
    """Supervised training, logged once an epoch.

    Logs ``train_loss``, ``train_accuracy``, ``validation_loss`` and ``validation_accuracy``.
    The parameters are those of every plan here: ``module``, ``lr`` and ``weight_decay`` of Adam,
    or ``optimizer_creator``, which makes another optimizer from the parameters.
    """

    module: KratosModule

    def step(self, batch: dict[str, Tensor]) -> tuple[int, dict[str, Tensor]]:
        """Loss and accuracy of a minibatch."""
        labels = batch[REGISTRY_KEYS.LABELS_KEY]
        logits = self.module.classify(batch[REGISTRY_KEYS.X_KEY])
        accuracy = (logits.detach().argmax(1) == labels).float().mean()
        loss = self.module.classification_loss(logits, labels)
        return len(labels), {"loss": loss, "accuracy": accuracy}
