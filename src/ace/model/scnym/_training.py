"""Prepare the training of scNym."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scvi import REGISTRY_KEYS
from torch import nn

from ace._listed import listed
from ace.model.base._scaling import learn_scale
from ace.model.scnym._domains import domain_codes
from ace.model.scnym._loader import LabelledAndUnlabelled
from ace.model.scnym._plan import DOMAINS_KEY
from ace.model.training._run import Prepared
from ace.model.training._training import BestWeights

if TYPE_CHECKING:
    from ace.model.scnym._model import SCNYM
    from ace.model.scnym._recipe import Recipe
    from ace.model.training._run import Training
    from ace.model.training._split import Split

#: Metric for early stopping and the best epoch.
MONITOR = "validation_accuracy"


def prepare_training(model: SCNYM, training: Training, recipe: Recipe) -> Prepared:
    """Check the cells, learn the scaling, and make the training plan and the minibatches."""
    reader, labels, split = training.reader, training.codes, training.split
    domains = domain_codes(model, labels)
    unlabelled = np.flatnonzero(labels < 0)
    trained_on = np.union1d(split[0], unlabelled)
    if not any(len(np.unique(c[c >= 0])) > 1 for c in domains[trained_on].T):
        recipe = replace(recipe, adversary_weight=0.0)  # there is one domain only
    if not (recipe.mixmatch or recipe.adversary_weight):
        unlabelled = unlabelled[:0]  # unlabelled cells would not change the network
    check_cells(model, labels, split, unlabelled)
    check_minibatches(model.module, recipe, split, unlabelled, training.batch_size)
    reader.require_finite(np.concatenate([*split, unlabelled]))
    if not model.is_trained_:
        cells = np.union1d(split[0], unlabelled)
        model.module.set_scale(*learn_scale(reader, cells, None))
    data = LabelledAndUnlabelled(
        reader,
        {REGISTRY_KEYS.LABELS_KEY: labels, DOMAINS_KEY: domains},
        split,
        labels,
        unlabelled,
        recipe.balance,
        training.batch_size,
        training.rng,
    )
    n_steps = len(data.train_dataloader())
    has_labels = len(split[0]) > 0
    n_epochs = training.max_epochs or recipe.default_epochs(n_steps, has_labels=has_labels)
    if training.early_stopping:
        recipe = recipe.rising_within(max(1, n_epochs // 2))
    plan = model._training_plan_cls(
        model.module,
        recipe,
        n_epochs=n_epochs,
        n_steps=n_steps,
        is_trained=model.is_trained_,
    )
    # Before the ramps end, the network has hardly learned from the unlabelled cells.
    ramps = recipe.ramp_epochs(n_epochs, unlabelled=bool(len(unlabelled)))
    first = min(ramps, n_epochs - 1)
    best = BestWeights(MONITOR, "max", first_epoch=first, latest=True)
    return Prepared(plan, data, n_epochs, MONITOR, "max", best, warmup_epochs=first)


def check_cells(model: SCNYM, labels: np.ndarray, split: Split, unlabelled: np.ndarray) -> None:
    """Raise before training if there are no cells to learn from, or a class has none."""
    if not len(split[0]) and not len(unlabelled):
        raise ValueError(
            "no cell has a label, and this preset does not use unlabelled cells: train "
            'with preset="default".'
        )
    lost = np.setdiff1d(np.arange(len(model.labels)), labels[split[0]])
    if len(lost) and not model.is_trained_:
        raise ValueError(
            f"no training cell has the labels {listed(model.labels[lost])}: choose another split."
        )


def check_minibatches(
    network: nn.Module, recipe: Recipe, split: Split, unlabelled: np.ndarray, batch_size: int
) -> None:
    """Raise if a minibatch would have a single cell, which batch normalisation cannot use."""
    if not any(isinstance(part, nn.BatchNorm1d) for part in network.modules()):
        return
    # Without a teacher, the network itself, in training mode, labels the unlabelled cells.
    labels_them = recipe.teacher_decay is None and (
        recipe.mixmatch or recipe.adversary_confident_only
    )
    sizes = {"labelled": len(split[0]), "unlabelled": len(unlabelled) if labels_them else 0}
    for kind, size in sizes.items():
        if min(size, batch_size) == 1:
            fix = "use batch_size=2 or more" if batch_size == 1 else f"add {kind} cells"
            raise ValueError(
                f"each minibatch would hold one {kind} cell (batch_size={batch_size}, {size} "
                f"{kind} cells to train on), and batch normalisation needs two: {fix}, or "
                'build the model with normalization="layer".'
            )
