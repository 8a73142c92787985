"""How Kratos is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule
from scvi import REGISTRY_KEYS

from ace.model._training import drop_tiny_moments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor

    from ace.model.kratos._module import KratosModule


#: In 100 steps a mean gradient decays by 0.9¹⁰⁰ ≈ 3e-5.
STEPS_BETWEEN_CLEANUPS = 100


class _EpochMetrics:
    """Mean loss and accuracy over the cells of an epoch.

    Sums stay on the device: reading a number at every step would make the processor wait for it.
    """

    def __init__(self) -> None:
        self._loss: Tensor | float = 0.0
        self._correct: Tensor | int = 0
        self._n_cells = 0

    def update(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        self._loss = self._loss + loss.detach() * len(labels)
        self._correct = self._correct + (logits.detach().argmax(1) == labels).sum()
        self._n_cells += len(labels)

    def take(self, prefix: str) -> dict[str, float]:
        """Give the means, and start anew."""
        means = {
            f"{prefix}_loss": float(self._loss) / self._n_cells,
            f"{prefix}_accuracy": float(self._correct) / self._n_cells,
        }
        self.__init__()  # type: ignore[misc]
        return means


class KratosTrainingPlan(LightningModule):
    """Supervised training, logged once an epoch.

    Logs ``train_loss``, ``train_accuracy``, ``validation_loss`` and ``validation_accuracy``.

    Parameters
    ----------
    module
        The network.
    lr
        Learning rate of Adam.
    weight_decay
        Weight decay of Adam.
    optimizer_creator
        Makes another optimizer from the parameters; ``lr`` and ``weight_decay`` are then unused.
    """

    def __init__(
        self,
        module: KratosModule,
        *,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        optimizer_creator: Callable[[Iterable[Tensor]], torch.optim.Optimizer] | None = None,
    ) -> None:
        super().__init__()
        self.module = module
        self.lr = lr
        self.weight_decay = weight_decay
        self.optimizer_creator = optimizer_creator
        self._train_metrics = _EpochMetrics()
        self._validation_metrics = _EpochMetrics()

    def _step(self, batch: dict[str, Tensor], metrics: _EpochMetrics) -> Tensor:
        labels = batch[REGISTRY_KEYS.LABELS_KEY]
        logits = self.module.classify(batch[REGISTRY_KEYS.X_KEY])
        loss = self.module.classification_loss(logits, labels)
        metrics.update(loss, logits, labels)
        return loss

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Loss of a minibatch."""
        return self._step(batch, self._train_metrics)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Add a minibatch to the validation metrics."""
        self._step(batch, self._validation_metrics)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Keep the optimizer's state out of the range where a CPU is slow."""
        if batch_idx % STEPS_BETWEEN_CLEANUPS == 0:
            for optimizer in self.trainer.optimizers:
                drop_tiny_moments(optimizer)

    def on_train_epoch_end(self) -> None:
        """Log the means over the training cells."""
        self.log_dict(self._train_metrics.take("train"), prog_bar=True)

    def on_validation_epoch_end(self) -> None:
        """Log the means over the validation cells."""
        self.log_dict(self._validation_metrics.take("validation"), prog_bar=True)

    def configure_optimizers(self) -> Any:
        """Adam, or what ``optimizer_creator`` makes."""
        parameters = [p for p in self.module.parameters() if p.requires_grad]
        if self.optimizer_creator is not None:
            return self.optimizer_creator(parameters)
        # One kernel for all parameters, where there is one: a third of a step's time on a CPU.
        fused = parameters[0].device.type in {"cpu", "cuda"}
        return torch.optim.Adam(
            parameters, lr=self.lr, weight_decay=self.weight_decay, fused=fused
        )
