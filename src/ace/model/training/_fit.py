"""Run Lightning's trainer on a training plan and its cells."""

from __future__ import annotations

import difflib
import inspect
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from scvi.train import LoudEarlyStopping, SaveCheckpoint, Trainer

from ace import _checks, _compat
from ace._threads import seeded
from ace.model.saving._model_file import saved_weights
from ace.model.training._plan import EpochPlan, joined
from ace.model.training._processes import is_ddp, of_first_process, still_connected, strategy_of
from ace.model.training._training import flushed_denormals, quiet_trainer

if TYPE_CHECKING:
    import torch

    from ace.model.base._gene_model import GeneModel
    from ace.model.training._loaders import SplitCells
    from ace.model.training._training import BestWeights


def fit(
    model: GeneModel,
    plan: EpochPlan,
    data: SplitCells,
    *,
    seed: int,
    max_epochs: int,
    early_stopping: bool,
    monitor: str,
    mode: str = "min",
    best: BestWeights | None,
    trainer_kwargs: dict[str, Any],
) -> None:
    """Train with a fixed seed, and validate after each epoch.

    If ``best`` is given, the weights of the best epoch are restored at the end.

    Parameters
    ----------
    model
        The model; its history and split are set.
    plan
        Its training plan.
    data
        Data module with its cells.
    seed
        Seed of PyTorch's random state.
    max_epochs
        Passes over the training cells.
    early_stopping, monitor, mode
        Whether to stop when a metric no longer improves; its name; ``"min"`` or ``"max"``.
    best
        Keeps the weights of the best epoch; ``None`` keeps those of the last.
    trainer_kwargs
        Arguments of :class:`scvi.train.Trainer`.

    Raises
    ------
    RuntimeError
        If the training diverges.
    TypeError
        If the trainer has no such argument.
    ValueError
        If early stopping is enabled without validation cells.
    """
    if early_stopping and not data.n_val:
        raise ValueError(
            "early stopping needs validation cells: pass early_stopping=False, or reserve some "
            "(validation_size=0.1)."
        )
    _known(trainer_kwargs)
    callbacks = _user_callbacks(trainer_kwargs.pop("callbacks", None))
    stopping = _stopping_options(trainer_kwargs)
    if data.n_val:
        if best is not None:
            callbacks.insert(0, best)  # before scvi-tools' checkpoint, so that it runs last
        trainer_kwargs.setdefault("check_val_every_n_epoch", 1)
    if early_stopping:
        # scvi-tools disables it with several processes, but ace gives all the same metrics.
        callbacks.append(LoudEarlyStopping(monitor=monitor, mode=mode, **stopping))
    # scvi-tools' trainer accepts only its own checkpoint callbacks.
    checkpoints = [c for c in callbacks if _is_checkpoint_of_lightning(c)]
    callbacks = [c for c in callbacks if not _is_checkpoint_of_lightning(c)]
    # Metrics are logged once per epoch, so the trainer need not log at every step.
    trainer_kwargs.setdefault("log_every_n_steps", len(data.train_dataloader()))
    trainer_kwargs["strategy"] = strategy_of(
        trainer_kwargs.get("strategy", "auto"), trainer_kwargs.get("devices")
    )
    earlier = model.history_ if isinstance(model.history_, dict) else {}
    # scvi-tools' checkpoints save the model during training, including these attributes.
    model.train_indices, model.validation_indices = data.train_idx, data.val_idx
    model.test_indices = data.test_idx
    model.history_, model.is_trained_ = None, False
    plan.history_before = _as_lists(earlier)
    model.module.train()  # a trained module would stay in evaluation mode
    with (
        seeded(seed),
        flushed_denormals(),
        quiet_trainer(),
        _compat.checkpoints_read_by(saved_weights),
        TemporaryDirectory() as folder,
    ):
        # With several processes, scvi-tools passes the history through a file.
        trainer_kwargs.setdefault(
            "log_save_dir", folder if is_ddp(trainer_kwargs["strategy"]) else None
        )
        runner = model._train_runner_cls(
            model,
            training_plan=plan,
            data_splitter=data,
            max_epochs=int(max_epochs),  # Lightning does not accept NumPy integers
            callbacks=callbacks,
            use_distributed_sampler=False,  # the minibatches are already split across processes
            **trainer_kwargs,
        )
        runner.trainer.callbacks.extend(checkpoints)
        runner()
    plan.require_converged(None if best is None else best.best_epoch)
    logged = _as_lists(model.history_)
    if still_connected(runner.trainer):
        logged = of_first_process(logged)
    model.history_ = _as_frames(
        _continued(_as_lists(earlier), joined(plan.earlier_history, logged))
    )


def _user_callbacks(callbacks: Any) -> list[Callback]:
    given = callbacks or []
    if isinstance(given, list | tuple) and all(isinstance(c, Callback) for c in given):
        return list(given)
    raise TypeError(f"callbacks must be a list of Lightning callbacks, got {given!r}.")


def _stopping_options(trainer_kwargs: dict[str, Any]) -> dict[str, Any]:
    """Take the options of early stopping out of the arguments of the trainer."""
    options = {
        name: trainer_kwargs.pop(f"early_stopping_{name}", default)
        for name, default in (("patience", 20), ("min_delta", 0.0), ("warmup_epochs", 0))
    }
    _checks.whole(options["patience"], "early_stopping_patience", 0)
    _checks.whole(options["warmup_epochs"], "early_stopping_warmup_epochs", 0)
    _checks.number(options["min_delta"], "early_stopping_min_delta")
    return options


def restores_best(callbacks: Any) -> bool:
    """Whether one of scvi-tools' checkpoints restores the best weights at the end."""
    return any(isinstance(c, SaveCheckpoint) and c.load_best_on_end for c in callbacks or ())


def _is_checkpoint_of_lightning(callback: Any) -> bool:
    return isinstance(callback, ModelCheckpoint) and not isinstance(callback, SaveCheckpoint)


def _known(trainer_kwargs: dict[str, Any]) -> None:
    """Raise if the trainer does not have one of the arguments."""
    known = {
        name
        for trainer in Trainer.__mro__[:2]
        for name in inspect.signature(trainer.__init__).parameters
    } | {"ckpt_path", "accelerator", "devices", "trainer_config"}
    for name in trainer_kwargs:
        if name not in known - {"self", "kwargs"}:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"train() has no argument {name!r}.{hint}")


def state_in_training(trainer: Any) -> tuple[torch.nn.Module, dict[str, pd.DataFrame]]:
    """Return the network and the history as if training ended now."""
    plan: EpochPlan = trainer.lightning_module
    # The logger receives the means of this epoch only after the callbacks have run.
    logged = joined(_as_lists(getattr(trainer.logger, "history", None)), plan.unlogged)
    history = _as_frames(_continued(plan.history_before, joined(plan.earlier_history, logged)))
    return getattr(plan, "teacher", plan.module), history


# -- history -----------------------------------------------------------------------------------


def _as_lists(history: Any) -> dict[str, list[list[float]]]:
    """Convert a history to ``{name: [epochs, values]}``."""
    frames = history if isinstance(history, dict) else {}
    return {name: [list(frame.index), list(frame[name])] for name, frame in frames.items()}


def _as_frames(history: dict[str, list[list[float]]]) -> dict[str, pd.DataFrame]:
    return {
        name: pd.DataFrame(
            {name: values},
            index=pd.Index(np.array(epochs, dtype=np.int64), name="epoch"),
            dtype=object,
        )
        for name, (epochs, values) in history.items()
    }


def _continued(
    earlier: dict[str, list[list[float]]], later: dict[str, list[list[float]]]
) -> dict[str, list[list[float]]]:
    """Append the epochs of a training to those of earlier trainings."""
    n_before = max((int(max(epochs)) + 1 for epochs, _ in earlier.values() if epochs), default=0)
    moved = {
        name: [[epoch + n_before for epoch in epochs], values]
        for name, (epochs, values) in later.items()
    }
    return joined(earlier, moved)
