"""The training of every model, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ace import _checks, _compat
from ace.model.training._fit import fit
from ace.model.training._options import plan_options
from ace.model.training._split import eligible, fingerprint, split_of
from ace.model.training._transaction import all_or_nothing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ace.model.base._gene_model import GeneModel
    from ace.model.base._reader import MatrixReader
    from ace.model.training._loaders import SplitCells
    from ace.model.training._plan import EpochPlan
    from ace.model.training._split import Split
    from ace.model.training._training import BestWeights


@dataclass
class Training:
    """One call of ``train``: the arguments that all models share, and the cells."""

    max_epochs: int | None
    batch_size: int
    train_size: float | None
    validation_size: float | None
    external_indexing: Sequence[Sequence[int] | np.ndarray | None] | None
    early_stopping: bool
    early_stopping_patience: int
    random_state: int | None
    #: ``None`` for the default of the model.
    lr: float | None
    weight_decay: float | None
    plan_kwargs: dict[str, Any] | None
    #: Further arguments of the trainer, with ``accelerator`` and ``devices``.
    trainer_kwargs: dict[str, Any]

    #: Whether the model had been trained before.
    continues: bool = field(init=False)
    reader: MatrixReader = field(init=False)
    #: Class of each cell; cells with a negative code are not split.
    codes: np.ndarray = field(init=False)
    split: Split = field(init=False)
    #: Source of randomness of the split, the order of the cells and the trainer's seed.
    rng: np.random.Generator = field(init=False)

    @classmethod
    def of(cls, arguments: dict[str, Any]) -> Training:
        """Collect the arguments of a call of ``train``, given as its ``locals()``."""
        hardware = {name: arguments[name] for name in ("accelerator", "devices")}
        given = {f.name: arguments[f.name] for f in fields(cls) if f.name in arguments}
        return cls(**given | {"trainer_kwargs": hardware | arguments["trainer_kwargs"]})

    def check(self) -> None:
        """Raise if an argument is out of range."""
        _checks.whole(self.max_epochs, "max_epochs", optional=True)
        _checks.whole(self.batch_size, "batch_size")
        if self.random_state is not None:
            _checks.seed(self.random_state)
        for name in ("lr", "weight_decay"):
            _checks.number(getattr(self, name), name, optional=True)

    def epochs(self, cap: int, min_steps: int = 0) -> int:
        """Return ``max_epochs``, or a default.

        Parameters
        ----------
        cap
            Default for up to 20 000 training cells; ``cap · 20 000 / n`` for more.
        min_steps
            Minimum number of minibatches of the default.
        """
        if self.max_epochs is not None:
            return self.max_epochs
        n_cells = len(self.split[0])
        steps_per_epoch = -(-n_cells // self.batch_size)
        n_epochs = _compat.get_max_epochs_heuristic(n_cells, epochs_cap=cap)
        return max(n_epochs, -(-min_steps // steps_per_epoch))

    def plan_options(self, plan: type[EpochPlan], **defaults: Any) -> dict[str, Any]:
        """Return the arguments of a training plan: the defaults, updated with the user's."""
        given = {"lr": self.lr, "weight_decay": self.weight_decay}
        defaults |= {name: value for name, value in given.items() if value is not None}
        return plan_options(plan, self.plan_kwargs, **defaults)


@dataclass
class Prepared:
    """A training plan, its cells, and how the trainer runs it."""

    plan: EpochPlan
    data: SplitCells
    max_epochs: int
    #: Metric for early stopping.
    monitor: str = "validation_loss"
    #: Whether the metric is to be minimised (``"min"``) or maximised (``"max"``).
    mode: str = "min"
    #: Restores the weights of the best epoch; ``None`` keeps those of the last epoch.
    best: BestWeights | None = None
    #: Epochs before early stopping begins.
    warmup_epochs: int = 0


@all_or_nothing
def run_training(model: GeneModel, training: Training, **options: Any) -> None:
    """Train a model; if this fails, the model is left unchanged.

    Parameters
    ----------
    model
        The model. Its hooks are ``_classes_to_split`` (class of each cell), ``_prepare_training``
        (scaling, training plan and minibatches) and ``_finish_training`` (fits to the trained
        network).
    training
        Arguments of ``train``.
    **options
        Arguments of ``train`` that only this model has, passed to ``_prepare_training``.
    """
    training.check()
    training.continues = model.is_trained_
    training.reader = model._reader()
    training.codes = model._classes_to_split()
    seed = model.random_state_ if training.random_state is None else int(training.random_state)
    # Further training must not repeat the random numbers of the first.
    training.rng = np.random.default_rng([seed, model._n_epochs_trained])
    training.split = split_of(
        model,
        training.codes,
        training.train_size,
        training.validation_size,
        training.external_indexing,
        training.rng,
    )
    prepared = model._prepare_training(training, **options)
    model._split_fingerprint_ = fingerprint(model.adata)
    model._split_eligible_ = eligible(training.codes)
    fit(
        model,
        prepared.plan,
        prepared.data,
        seed=int(training.rng.integers(2**31)),
        max_epochs=prepared.max_epochs,
        early_stopping=training.early_stopping,
        monitor=prepared.monitor,
        mode=prepared.mode,
        best=prepared.best,
        trainer_kwargs={
            "early_stopping_patience": training.early_stopping_patience,
            "early_stopping_warmup_epochs": prepared.warmup_epochs,
            **training.trainer_kwargs,
        },
    )
    model._finish_training(training, prepared.plan)
