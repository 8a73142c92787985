"""Run the trainer of Lightning on a plan and its cells."""

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
from ace.model._model_file import saved_weights
from ace.model._plan import EpochPlan, joined
from ace.model._processes import is_ddp, of_first_process, still_connected, strategy_of
from ace.model._training import flushed_denormals, quiet_trainer

if TYPE_CHECKING:
    import torch

    from ace.model._latent import LatentModel
    from ace.model._loaders import SplitCells
    from ace.model._training import BestWeights


def check_training(*, max_epochs: Any, batch_size: Any, random_state: Any, **rates: Any) -> None:
    """Raise unless the numbers of a training can be meant; ``rates`` are not negative."""
    _checks.positive(max_epochs, "max_epochs")
    _checks.positive(batch_size, "batch_size", optional=False)
    if random_state is not None:
        _checks.seed(random_state)
    for name, value in rates.items():
        _checks.number(value, name)


def plan_options(plan: type[EpochPlan], given: Any, **defaults: Any) -> dict[str, Any]:
    """Give the arguments of a training plan: the defaults, replaced by ``plan_kwargs``.

    Raises
    ------
    TypeError
        If the plan has no such argument.
    """
    if given is None:
        return defaults
    known = {
        name
        for part in plan.__mro__
        if issubclass(part, EpochPlan)
        for name in list(inspect.signature(part.__init__).parameters)[1:]
    } - {"module", "weights", "recluster", "attribution_loss", "warmup_epochs", "kwargs"}
    unknown = sorted(map(str, set(given) - known)) if isinstance(given, dict) else [repr(given)]
    if unknown:
        raise TypeError(f"plan_kwargs has no {unknown}; {plan.__name__} takes {sorted(known)}.")
    options = defaults | given
    for name in ("lr", "weight_decay", "eps"):
        if name in options:
            _checks.number(options[name], name)
    return options


def fit(
    model: LatentModel,
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
    """Train: seeded, validated in each epoch, perhaps going back to the best one.

    Parameters
    ----------
    model
        The model, whose history and split are set.
    plan
        Its training plan.
    data
        Minibatches of its cells.
    seed
        Seed of all that PyTorch draws.
    max_epochs
        Passes over the training cells.
    early_stopping, monitor, mode
        Whether to stop when a metric no longer improves, which, and what better means.
    best
        Keeps the weights of the best epoch, if any are to be kept.
    trainer_kwargs
        Arguments of :class:`scvi.train.Trainer`.

    Raises
    ------
    RuntimeError
        If the training diverges.
    TypeError
        If the trainer has no such argument.
    ValueError
        If early stopping is asked for without validation cells.
    """
    if early_stopping and not data.n_val:
        raise ValueError(
            "early stopping needs validation cells: pass early_stopping=False, or leave room "
            "for them (validation_size=0.1)."
        )
    _known(trainer_kwargs)
    callbacks = trainer_kwargs.pop("callbacks", None) or []
    if not isinstance(callbacks, list | tuple) or not all(
        isinstance(c, Callback) for c in callbacks
    ):
        raise TypeError(f"callbacks takes a list of callbacks of Lightning, got {callbacks!r}.")
    callbacks = list(callbacks)
    stopping = {
        name: trainer_kwargs.pop(f"early_stopping_{name}", default)
        for name, default in (("patience", 45), ("min_delta", 0.0), ("warmup_epochs", 0))
    }
    _checks.whole(stopping["patience"], "early_stopping_patience", 0)
    _checks.whole(stopping["warmup_epochs"], "early_stopping_warmup_epochs", 0)
    _checks.number(stopping["min_delta"], "early_stopping_min_delta")
    if data.n_val:
        if best is not None:
            callbacks.insert(0, best)  # a checkpoint of scvi-tools has the last word
        trainer_kwargs.setdefault("check_val_every_n_epoch", 1)
    if early_stopping:
        # scvi-tools leaves it out when several processes train; here all know the same metrics.
        callbacks.append(LoudEarlyStopping(monitor=monitor, mode=mode, **stopping))
    # scvi-tools' trainer takes its own kind of checkpoints only.
    checkpoints = [c for c in callbacks if _is_checkpoint_of_lightning(c)]
    callbacks = [c for c in callbacks if not _is_checkpoint_of_lightning(c)]
    # Everything is logged once an epoch: never look for something to log at a step.
    trainer_kwargs.setdefault("log_every_n_steps", len(data.train_dataloader()))
    trainer_kwargs["strategy"] = strategy_of(
        trainer_kwargs.get("strategy", "auto"), trainer_kwargs.get("devices")
    )
    earlier = model.history_ if isinstance(model.history_, dict) else {}
    # A checkpoint of scvi-tools saves the model as it is in the middle of the training.
    model.train_indices, model.validation_indices = data.train_idx, data.val_idx
    model.test_indices = data.test_idx
    model.history_, model.is_trained_ = None, False
    plan.history_before = _as_lists(earlier)
    model.module.train()  # a trained module comes in evaluation mode, and would stay in it
    with (
        seeded(seed),
        flushed_denormals(),
        quiet_trainer(),
        _compat.checkpoints_read_by(saved_weights),
        TemporaryDirectory() as folder,
    ):
        # Where several processes train, scvi-tools hands the history over in a file.
        trainer_kwargs.setdefault(
            "log_save_dir", folder if is_ddp(trainer_kwargs["strategy"]) else None
        )
        runner = model._train_runner_cls(
            model,
            training_plan=plan,
            data_splitter=data,
            max_epochs=int(max_epochs),  # Lightning takes no integer of NumPy
            callbacks=callbacks,
            use_distributed_sampler=False,  # the minibatches are shared out already
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


def restores_best(callbacks: Any) -> bool:
    """Whether a checkpoint of scvi-tools puts the best weights back at the end."""
    return any(isinstance(c, SaveCheckpoint) and c.load_best_on_end for c in callbacks or ())


def _is_checkpoint_of_lightning(callback: Any) -> bool:
    return isinstance(callback, ModelCheckpoint) and not isinstance(callback, SaveCheckpoint)


def _known(trainer_kwargs: dict[str, Any]) -> None:
    """Refuse arguments that no trainer has."""
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
    """Network and history as they are if a training ends here."""
    plan: EpochPlan = trainer.lightning_module
    # The logger gets the means of this epoch after the callbacks.
    logged = joined(_as_lists(getattr(trainer.logger, "history", None)), plan.unlogged)
    history = _as_frames(_continued(plan.history_before, joined(plan.earlier_history, logged)))
    return getattr(plan, "teacher", plan.module), history


# -- history -----------------------------------------------------------------------------------


def _as_lists(history: Any) -> dict[str, list[list[float]]]:
    """Give a history as ``{name: [epochs, values]}``."""
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
    """Put the epochs of a further training after those of the trainings before it."""
    n_before = max((int(max(epochs)) + 1 for epochs, _ in earlier.values() if epochs), default=0)
    moved = {
        name: [[epoch + n_before for epoch in epochs], values]
        for name, (epochs, values) in later.items()
    }
    return joined(earlier, moved)
