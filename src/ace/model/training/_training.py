"""Seeds, floating-point mode, warnings and best weights of training."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import Callback
from scvi import settings

from ace import _checks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lightning.pytorch import LightningModule, Trainer


def resolve_seed(random_state: int | None) -> int:
    """Return the seed given by an argument, else ``scvi.settings.seed``, else 0."""
    if random_state is not None:
        _checks.seed(random_state)
        return int(random_state)
    return 0 if settings.seed is None else int(settings.seed)


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Treat denormal floats as zero inside, in the calling thread.

    A CPU is an order of magnitude slower with numbers below about 1e-38. torch sets the mode of
    one thread only; :func:`drop_tiny_moments` keeps denormals from its worker threads.
    """
    # torch has no getter: multiply a denormal to find the current mode.
    was_flushed = (torch.tensor([1e-310], dtype=torch.float64) * 1.0).item() == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(was_flushed)


#: Too small to change a weight, and large enough not to become denormal in 100 steps of decay.
TINY_MOMENT = 1e-30


def drop_tiny_moments(optimizer: torch.optim.Optimizer) -> None:
    """Set tiny running means of gradients to zero.

    The mean gradient of a unit that is never active, or of a gene that is never expressed, decays
    by a tenth at each step of Adam until it is denormal: a tenth to a half of all at the end of
    training. Weights are not affected.
    """
    for state in optimizer.state.values():
        moment = state.get("exp_avg")
        if moment is not None:
            moment.masked_fill_(moment.abs() < TINY_MOMENT, 0.0)


@contextmanager
def quiet_trainer() -> Iterator[None]:
    """Silence Lightning's advice on settings that this package chooses."""
    # Lightning lists accelerators and tips at each training.
    lightning = logging.getLogger("lightning.pytorch")
    level = lightning.level
    lightning.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # Workers would each pickle the matrix; slicing rows is cheap.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # Early stopping works here, because all processes have the same metrics.
        warnings.filterwarnings("ignore", message="early_stopping was automatically disabled.*")
        # The callback that wrote a checkpoint is not needed to resume from it.
        warnings.filterwarnings("ignore", message="Be aware that when using `ckpt_path`.*")
        # A teacher is in evaluation mode from the start to the end.
        warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")
        # torch's own notes to Lightning (pytree and scheduler names that were renamed).
        warnings.filterwarnings("ignore", category=FutureWarning, module="lightning.*")
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="lightning.*")
        try:
            yield
        finally:
            lightning.setLevel(level)


class BestWeights(Callback):
    """Restore the weights of the best validation epoch at the end.

    Parameters
    ----------
    monitor
        Metric logged in validation.
    mode
        Whether the best is the smallest (``"min"``) or the largest (``"max"``).
    first_epoch
        Epochs before this one do not count, because their loss is not comparable.
    latest
        Of equally good epochs, keep the last instead of the first.
    """

    def __init__(
        self, monitor: str, mode: str, first_epoch: int = 0, latest: bool = False
    ) -> None:
        self.monitor = monitor
        self._first_epoch = first_epoch
        self._latest = latest
        self._sign = 1.0 if mode == "min" else -1.0
        self._best = float("inf")
        self._weights: dict[str, torch.Tensor] | None = None
        self.best_epoch: int | None = None

    @property
    def state_key(self) -> str:
        """Key of the state in a checkpoint."""
        return "BestWeights"

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint."""
        return {"best": self._best, "weights": self._weights, "epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self._best, self._weights = state_dict["best"], state_dict["weights"]
        self.best_epoch = state_dict["epoch"]

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare this epoch with the best so far."""
        metrics: dict[str, Any] = trainer.callback_metrics
        if trainer.sanity_checking or self.monitor not in metrics:
            return
        if trainer.current_epoch < self._first_epoch:
            return
        value = self._sign * float(metrics[self.monitor])
        if value < self._best or (self._latest and value == self._best):
            self._best = value
            self.best_epoch = trainer.current_epoch
            self._weights = {k: v.detach().clone() for k, v in pl_module.state_dict().items()}

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the best epoch's weights."""
        if self._weights is not None:
            pl_module.load_state_dict(self._weights)
            self._weights = None
