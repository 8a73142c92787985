"""Settings of the training of scNym, and presets: published, default and ablations."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from ace._checks._arguments import number, one_of, whole
from ace.model.training._options import check_plan_kwargs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Preset = Literal[
    "default",
    "new_identity",
    "supervised",
    "published",
    "no_adversary",
    "no_mixmatch",
    "no_teacher",
]

#: Default number of minibatches of a training, and bounds of its epochs.
N_STEPS = 400
MIN_EPOCHS, MAX_EPOCHS = 10, 100

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adadelta": torch.optim.Adadelta,
    "adamw": torch.optim.AdamW,
}


@dataclass(frozen=True)
class Recipe:
    r"""Settings of a training; ``plan_kwargs`` of :meth:`ace.model.SCNYM.train` replaces them.

    Parameters
    ----------
    mixmatch
        Use pseudolabels and MixUp :cite:p:`berthelot2019mixmatch`. Otherwise, the classifier
        learns from unmixed labelled cells, and only the adversary uses unlabelled cells.
    ssl_weight
        Final weight of the error on pseudolabels.
    ssl_ramp_epochs
        Epochs over which this weight is ramped up; ``None`` for all epochs.
    sharpening
        Temperature T of :math:`z_i \propto p_i^{1/T}`, which sharpens pseudolabels.
    mixup_alpha
        MixUp draws mixing coefficients from Beta(alpha, alpha).
    confidence_threshold
        Minimum probability of pseudolabels that are used. With many classes, few cells may reach
        it: ``train_confident`` in the history is the fraction that does.
    adversary_weight
        Final weight of the adversary's reversed gradient; 0 for no adversary.
    adversary_ramp_epochs
        Epochs over which this weight is ramped up; ``None`` for all epochs.
    adversary_confident_only
        Pass to the adversary only unlabelled cells above the threshold, so that cells of unknown
        types are not moved towards known types.
    teacher_decay
        Decay of the mean teacher :cite:p:`tarvainen2017mean`, a running mean of the weights that
        provides the pseudolabels and the final network; ``None`` for no teacher.
    balance
        Class balance of the labelled cells drawn, from 0 (unchanged) to 1 (equal).
    optimizer
        ``"adadelta"`` or ``"adamw"``.
    lr
        Learning rate.
    weight_decay
        Weight decay.
    max_epochs
        Passes over the larger part; ``None`` for a number of epochs with 400 minibatches.
    """

    mixmatch: bool = True
    ssl_weight: float = 1.0
    ssl_ramp_epochs: int | None = None
    sharpening: float = 0.5
    mixup_alpha: float = 0.3
    confidence_threshold: float = 0.9
    adversary_weight: float = 0.3
    adversary_ramp_epochs: int | None = None
    adversary_confident_only: bool = False
    teacher_decay: float | None = 0.98
    balance: float = 0.5
    optimizer: str = "adadelta"
    lr: float = 1.0
    weight_decay: float = 1e-4
    max_epochs: int | None = None

    def __post_init__(self) -> None:
        for name in ("ssl_weight", "adversary_weight", "weight_decay"):
            number(getattr(self, name), name)
        for name in ("sharpening", "mixup_alpha", "lr"):
            number(getattr(self, name), name, above=True)
        for name in ("ssl_ramp_epochs", "adversary_ramp_epochs"):
            whole(getattr(self, name), name, 0, optional=True)
        whole(self.max_epochs, "max_epochs", optional=True)
        number(self.balance, "balance", 0, 1)
        number(self.confidence_threshold, "confidence_threshold", 0, 1, below=True)
        number(self.teacher_decay, "teacher_decay", 0, 1, above=True, below=True, optional=True)
        one_of(self.optimizer, "optimizer", OPTIMIZERS)

    def rising_within(self, n_epochs: int) -> Recipe:
        """Ramp up weights over ``n_epochs`` if they would be ramped up over all epochs."""
        ramps: dict[str, Any] = {
            name: n_epochs
            for name in ("ssl_ramp_epochs", "adversary_ramp_epochs")
            if getattr(self, name) is None
        }
        return dataclasses.replace(self, **ramps)

    def default_epochs(self, n_steps: int, *, has_labels: bool) -> int:
        """Return the default number of epochs.

        Parameters
        ----------
        n_steps
            Minibatches in an epoch.
        has_labels
            Whether there are labelled cells; without them, training is short, because it drifts.
        """
        if self.max_epochs is not None:
            return self.max_epochs
        wanted = -(-N_STEPS // n_steps) if has_labels else MIN_EPOCHS
        return min(max(wanted, MIN_EPOCHS), MAX_EPOCHS)

    def ramp_epochs(self, n_epochs: int, *, unlabelled: bool) -> int:
        """Number of epochs until all weights that are used have their final values."""
        ramps = [0]
        if self.mixmatch and unlabelled:
            ramps.append(n_epochs if self.ssl_ramp_epochs is None else self.ssl_ramp_epochs)
        if self.adversary_weight:
            epochs = self.adversary_ramp_epochs
            ramps.append(n_epochs if epochs is None else epochs)
        return max(ramps)

    def new_optimizer(self, parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
        """Return the optimizer."""
        return OPTIMIZERS[self.optimizer](
            parameters, lr=self.lr, weight_decay=self.weight_decay, foreach=True
        )


DEFAULT = Recipe()

PRESETS: dict[str, Recipe] = {
    "default": DEFAULT,
    # Pseudolabels would make the network overconfident on unknown types, and an adversary
    # that sees these cells would move them towards known types.
    "new_identity": dataclasses.replace(
        DEFAULT, mixmatch=False, adversary_weight=0.1, adversary_confident_only=True
    ),
    "supervised": dataclasses.replace(DEFAULT, mixmatch=False, adversary_weight=0.0),
    # Section 2 and Algorithm 1 of the paper; layers and early stopping are separate arguments.
    "published": Recipe(
        ssl_ramp_epochs=100,
        confidence_threshold=0.0,
        adversary_weight=0.1,
        adversary_ramp_epochs=20,
        teacher_decay=None,
        balance=0.0,
        weight_decay=1e-5,
        max_epochs=400,
    ),
    "no_adversary": dataclasses.replace(DEFAULT, adversary_weight=0.0),
    "no_mixmatch": dataclasses.replace(DEFAULT, mixmatch=False),
    "no_teacher": dataclasses.replace(DEFAULT, teacher_decay=None),
}


def recipe_of(
    preset: str,
    changes: dict[str, Any],
    *,
    lr: float | None = None,
    weight_decay: float | None = None,
) -> Recipe:
    """Return the settings of a preset, with some of them replaced.

    Parameters
    ----------
    preset
        Name of the preset.
    changes
        Other settings.
    lr, weight_decay
        Arguments of ``train``; ``None`` for those of the preset.

    Raises
    ------
    ValueError
        If there is no such preset, or a value is out of range.
    TypeError
        If there is no such setting.
    """
    one_of(preset, "preset", PRESETS)
    settings = {field.name for field in dataclasses.fields(Recipe)}
    check_plan_kwargs(changes, settings - {"lr", "weight_decay"}, "scNym's training")
    optimizer = {"lr": lr, "weight_decay": weight_decay}
    given: dict[str, Any] = {k: v for k, v in optimizer.items() if v is not None}
    return dataclasses.replace(PRESETS[preset], **changes, **given)
