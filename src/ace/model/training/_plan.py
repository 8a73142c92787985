"""Base class of the training plans: an optimizer, and means logged once per epoch."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule

from ace.model.training._processes import gathered, of_first_process, weight_of_share
from ace.model.training._training import drop_tiny_moments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor, nn

#: Training diverged if the watched loss grew by this factor (relative to 1, if it began lower).
MOST_GROWTH = 1e3
#: Above this loss, single precision cannot represent the contribution of one cell.
LARGEST = 1e12
CHECKPOINT_KEY = "ace"

#: In 100 steps a mean gradient decays by 0.9¹⁰⁰ ≈ 3e-5.
STEPS_BETWEEN_CLEANUPS = 100


class _Means:
    """Running means of metrics over the cells of an epoch.

    Sums stay on the device, because reading a value at every step would stall the CPU.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, Tensor | int] = {}

    def update(self, n_cells: int, numbers: dict[str, Tensor], counts: dict[str, Tensor]) -> None:
        for name, number in numbers.items():
            n = counts.get(name, n_cells)
            self._sums[name] = self._sums.get(name, 0.0) + number.detach() * n
            self._counts[name] = self._counts.get(name, 0) + n

    @property
    def state(self) -> dict[str, list[float]]:
        """Sum and count of each metric so far."""
        return {name: [float(s), float(self._counts[name])] for name, s in self._sums.items()}

    @state.setter
    def state(self, state: dict[str, list[float]]) -> None:
        self._sums = {name: torch.tensor(s, dtype=torch.float64) for name, (s, _) in state.items()}
        self._counts = {name: torch.tensor(n) for name, (_, n) in state.items()}

    def take(self, prefix: str, *, several_processes: bool = False) -> dict[str, float]:
        """Return the means and reset; NaN for metrics without any cells."""
        totals: dict[str, tuple[float, float]] = {}
        for part in gathered(self.state) if several_processes else [self.state]:
            for name, (s, n) in part.items():
                so_far = totals.get(name, (0.0, 0.0))
                totals[name] = so_far[0] + s, so_far[1] + n
        self._sums, self._counts = {}, {}
        return {f"{prefix}_{name}": s / n if n else math.nan for name, (s, n) in totals.items()}


class EpochPlan(LightningModule):
    """Training with Adam; the history has the means over the cells of each epoch.

    Subclasses implement :meth:`step`, which returns the loss of a minibatch and other metrics to
    log. Checkpoints hold everything that is needed to resume training exactly.

    Parameters
    ----------
    module
        The network.
    lr
        Learning rate of Adam.
    weight_decay
        Weight decay of Adam.
    eps
        Term added to the denominator by Adam.
    optimizer_creator
        Creates another optimizer from the parameters; the arguments above are then ignored.
    """

    #: Metric used to detect divergence; its weight in the loss must not change.
    watched = "loss"

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
        #: Watched metric in the first minibatch, and its mean over each epoch.
        self._first_watched: Tensor | None = None
        self._watched: dict[int, float] = {}
        #: Means over the training cells of the last epoch, not yet passed to the logger.
        self.unlogged: dict[str, list[list[float]]] = {}
        self._several_processes = False
        self._resumed: dict[str, Any] | None = None
        #: History of earlier trainings.
        self.history_before: dict[str, list[list[float]]] = {}
        #: History up to the checkpoint that this training resumes from.
        self.earlier_history: dict[str, list[list[float]]] = {}

    @abstractmethod
    def step(self, batch: dict[str, Tensor]) -> tuple[int, dict[str, Tensor]]:
        """Return the number of cells in a minibatch, and its ``"loss"`` and other mean metrics."""

    def n_counted(self) -> dict[str, Tensor]:
        """Number of cells in the last minibatch for each metric that is not over all cells."""
        return {}

    def on_fit_start(self) -> None:
        """Detect whether several processes train."""
        self._several_processes = self.trainer.world_size > 1
        if self._several_processes:
            # Each process draws its own dropout masks.
            torch.manual_seed(torch.initial_seed() + self.trainer.global_rank)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Loss of a minibatch."""
        if self._resumed is not None:
            self._restore_random_state(self._resumed)
            self._resumed = None
        n_cells, numbers = self._checked_step(batch)
        self._train_means.update(n_cells, numbers, self.n_counted())
        if self._first_watched is None:
            self._first_watched = numbers.get(self.watched, numbers["loss"]).detach()
        if self._several_processes:
            return numbers["loss"] * weight_of_share(n_cells, self.device)
        return numbers["loss"]

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Add a minibatch to the validation metrics."""
        self._validation_means.update(*self._checked_step(batch), self.n_counted())

    def _checked_step(self, batch: dict[str, Tensor]) -> tuple[int, dict[str, Tensor]]:
        """Call :meth:`step`; raise a clear error if a distribution gets NaN parameters."""
        try:
            return self.step(batch)
        except ValueError as error:
            if str(error).startswith("Expected parameter"):
                raise diverged("the network's outputs are not finite") from error
            raise

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Drop denormal values from the optimizer's state, which are slow on a CPU."""
        if batch_idx % STEPS_BETWEEN_CLEANUPS == 0:
            for optimizer in self.trainer.optimizers:
                drop_tiny_moments(optimizer)

    def on_train_epoch_end(self) -> None:
        """Log the means over the training cells."""
        means = self._log_means(self._train_means, "train")
        watched = means.get(f"train_{self.watched}", means["train_loss"])
        self._watched[self.current_epoch] = watched

    def on_validation_epoch_end(self) -> None:
        """Log the means over the validation cells."""
        self._log_means(self._validation_means, "validation")

    def _log_means(self, means: _Means, prefix: str) -> dict[str, float]:
        found = means.take(prefix, several_processes=self._several_processes)
        if prefix == "train":
            self.unlogged = {
                # Rounded to single precision, as in the logger.
                name: [[float(self.current_epoch)], [float(torch.tensor(value))]]
                for name, value in found.items()
            }
        loss = found[f"{prefix}_loss"]
        if not math.isfinite(loss):
            raise diverged(f"the {prefix} loss of epoch {self.current_epoch + 1} is {loss}")
        self.log_dict(found, prog_bar=True, sync_dist=self._several_processes)
        return found

    def on_train_end(self) -> None:
        """Synchronise weights and running statistics across processes."""
        if self._several_processes:
            self.load_state_dict(of_first_process(self.state_dict()))

    def require_converged(self, epoch: int | None) -> None:
        """Raise if training diverged by the given epoch (``None``: the last).

        Raises
        ------
        RuntimeError
            If a weight is not finite, or the loss is far above its initial value.
        """
        for name, value in self.state_dict().items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                raise diverged(f"the weights {name!r} are not finite")
        if self._first_watched is None or not self._watched:
            return
        first = float(self._first_watched)
        last = self._watched.get(max(self._watched) if epoch is None else epoch, first)
        if not last <= min(MOST_GROWTH * max(first, 1.0), LARGEST):
            raise diverged(f"the mean {self.watched} went from {first:.3g} to {last:.3g}")

    # -- checkpoints ---------------------------------------------------------------------------

    def progress(self) -> dict[str, Any]:
        """Return additional state for a checkpoint: numbers, tensors, or containers of these."""
        return {}

    def go_on_from(self, progress: dict[str, Any]) -> None:
        """Restore the state returned by :meth:`progress`."""

    @property
    def _order(self) -> Any:
        """Random generator that shuffles the cells."""
        trainer: Any = self.trainer
        return trainer.datamodule.rng.bit_generator

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the random states, the unfinished means, the history and :meth:`progress`."""
        history = getattr(self.trainer.logger, "history", None)
        if not isinstance(history, dict):  # another logger, or not the first process
            history = {}
        # The logger receives the means of this epoch only after the callbacks have run.
        logged = {
            name: [[float(i) for i in frame.index], [float(x) for x in frame[name]]]
            for name, frame in history.items()
        }
        checkpoint[CHECKPOINT_KEY] = {
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all(),
            "order": self._order.state,
            "means": self._train_means.state,
            "history": joined(self.earlier_history, joined(logged, self.unlogged)),
            "progress": self.progress(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Resume from a checkpoint.

        Raises
        ------
        ValueError
            If it was not written by this plan, or was written in the middle of an epoch.
        """
        if CHECKPOINT_KEY not in checkpoint:
            raise ValueError(
                "ckpt_path is not a checkpoint of this model's training: write one with "
                "callbacks=[lightning.pytorch.callbacks.ModelCheckpoint(...)]."
            )
        batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        if not batches["is_last_batch"]:
            raise ValueError(
                "the checkpoint was written in the middle of an epoch, from which training "
                "cannot be resumed. Write checkpoints at the end of epochs "
                "(every_n_epochs=...), not every_n_train_steps."
            )
        self._resumed = checkpoint[CHECKPOINT_KEY]
        self._train_means.state = self._resumed["means"]
        self.earlier_history = self._resumed["history"]
        self.go_on_from(self._resumed["progress"])

    def on_train_epoch_start(self) -> None:
        """Restore the state of the generator that shuffles the cells."""
        if self._resumed is not None:
            self._order.state = self._resumed["order"]

    def _restore_random_state(self, resumed: dict[str, Any]) -> None:
        """Restore PyTorch's random states, as in uninterrupted training."""
        torch.set_rng_state(resumed["random"].cpu())
        if len(resumed["random_cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([state.cpu() for state in resumed["random_cuda"]])
        # A data loader draws a seed for its workers at the start of an epoch. When resuming,
        # Lightning starts the first epoch before the states are restored, so draw it again.
        torch.empty((), dtype=torch.int64).random_()

    def parameter_groups(self) -> list[Any]:
        """Parameters passed to the optimizer."""
        return [p for p in self.module.parameters() if p.requires_grad]

    def configure_optimizers(self) -> Any:
        """Return Adam, or the optimizer made by ``optimizer_creator``."""
        if self.optimizer_creator is not None:
            return self.optimizer_creator([p for p in self.module.parameters() if p.requires_grad])
        # The fused kernel saves a third of the time of a step on a CPU.
        fused = next(self.module.parameters()).device.type in {"cpu", "cuda"}
        return torch.optim.Adam(
            self.parameter_groups(),
            lr=self.lr,
            weight_decay=self.weight_decay,
            eps=self.eps,
            fused=fused,
        )


def joined(
    earlier: dict[str, list[list[float]]], later: dict[str, list[list[float]]]
) -> dict[str, list[list[float]]]:
    """Join histories, ``{name: [epochs, values]}``; values in ``later`` take precedence."""
    both = {}
    for name in {**earlier, **later}:
        values = dict(zip(*earlier.get(name, [[], []]), strict=True))
        values |= dict(zip(*later.get(name, [[], []]), strict=True))
        both[name] = [list(values), list(values.values())]
    return both


def diverged(what: str) -> RuntimeError:
    """Return the error for training that diverged."""
    return RuntimeError(
        f"training diverged: {what}. Lower the learning rate (lr=...), and "
        "check that the matrix holds the values that the model expects, without extreme ones."
    )
