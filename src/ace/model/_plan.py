"""What the training plans share: an optimizer, and means logged once an epoch."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule

from ace.model._training import drop_tiny_moments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor, nn

#: In 100 steps a mean gradient decays by 0.9¹⁰⁰ ≈ 3e-5.
STEPS_BETWEEN_CLEANUPS = 100


class _Means:
    """Means of some numbers over the cells of an epoch.

    Sums stay on the device: reading a number at every step would make the processor wait for it.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, Tensor | int] = {}

    def update(self, n_cells: int, numbers: dict[str, Tensor], counts: dict[str, Tensor]) -> None:
        for name, number in numbers.items():
            n = counts.get(name, n_cells)
            self._sums[name] = self._sums.get(name, 0.0) + number.detach() * n
            self._counts[name] = self._counts.get(name, 0) + n

    def take(self, prefix: str) -> dict[str, float]:
        """Give the means, and start anew; NaN of what no cell had a part in."""
        means = {
            f"{prefix}_{name}": float(total) / n if (n := float(self._counts[name])) else math.nan
            for name, total in self._sums.items()
        }
        self._sums, self._counts = {}, {}
        return means


class EpochPlan(LightningModule):
    """Training by Adam, with the means over the cells of an epoch in the history.

    A subclass says in :meth:`step` what the loss of a minibatch is, and what else is logged.

    Parameters
    ----------
    module
        The network.
    lr
        Learning rate of Adam.
    weight_decay
        Weight decay of Adam.
    eps
        What Adam adds to the root of the mean squared gradient.
    optimizer_creator
        Makes another optimizer from the parameters; the arguments above are then unused.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        eps: float = 1e-8,
        optimizer_creator: Callable[[Iterable[Tensor]], torch.optim.Optimizer] | None = None,
    ) -> None:
        super().__init__()
        self.module = module
        self.lr = lr
        self.weight_decay = weight_decay
        self.eps = eps
        self.optimizer_creator = optimizer_creator
        self._train_means, self._validation_means = _Means(), _Means()

    @abstractmethod
    def step(self, batch: dict[str, Tensor]) -> tuple[int, dict[str, Tensor]]:
        """Number of cells of a minibatch, and means over them: ``"loss"`` and what is logged."""

    def n_counted(self) -> dict[str, Tensor]:
        """Cells of the last minibatch that a mean is over, where these are not all."""
        return {}

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Loss of a minibatch."""
        n_cells, numbers = self.step(batch)
        self._train_means.update(n_cells, numbers, self.n_counted())
        return numbers["loss"]

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Add a minibatch to the validation metrics."""
        self._validation_means.update(*self.step(batch), self.n_counted())

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Keep the optimizer's state out of the range where a CPU is slow."""
        if batch_idx % STEPS_BETWEEN_CLEANUPS == 0:
            for optimizer in self.trainer.optimizers:
                drop_tiny_moments(optimizer)

    def on_train_epoch_end(self) -> None:
        """Log the means over the training cells."""
        self.log_dict(self._train_means.take("train"), prog_bar=True)

    def on_validation_epoch_end(self) -> None:
        """Log the means over the validation cells."""
        self.log_dict(self._validation_means.take("validation"), prog_bar=True)

    def parameter_groups(self) -> list[Any]:
        """Parameters as the optimizer gets them."""
        return [p for p in self.module.parameters() if p.requires_grad]

    def configure_optimizers(self) -> Any:
        """Adam, or what ``optimizer_creator`` makes."""
        if self.optimizer_creator is not None:
            return self.optimizer_creator([p for p in self.module.parameters() if p.requires_grad])
        # One kernel for all parameters, where there is one: a third of a step's time on a CPU.
        fused = next(self.module.parameters()).device.type in {"cpu", "cuda"}
        return torch.optim.Adam(
            self.parameter_groups(),
            lr=self.lr,
            weight_decay=self.weight_decay,
            eps=self.eps,
            fused=fused,
        )
