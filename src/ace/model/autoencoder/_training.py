"""Prepare the training of ACE, and fit its clusters at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scvi import REGISTRY_KEYS

from ace._listed import listed
from ace.model.autoencoder._clusters import Recluster, label_names
from ace.model.base._obs import registered_codes
from ace.model.base._scaling import learn_scale, scaled_moments
from ace.model.training._loaders import SplitCells
from ace.model.training._run import Prepared

if TYPE_CHECKING:
    from ace.model.autoencoder._model import ACE
    from ace.model.base._reader import MatrixReader
    from ace.model.training._run import Training

#: Default number of epochs (for up to 20 000 cells) and its minimum in minibatches.
MAX_EPOCHS, MIN_STEPS = 30, 600


def prepare_training(model: ACE, training: Training, warmup_epochs: int | None) -> Prepared:
    """Check the cells, learn the scaling, and make the training plan and the minibatches."""
    network, reader, split = model.module, training.reader, training.split
    batches = registered_codes(model, REGISTRY_KEYS.BATCH_KEY)
    labels = registered_codes(model, REGISTRY_KEYS.LABELS_KEY)
    weights = model.weights_
    if model.batch_key is None or not weights["batch"]:  # no correction: a single batch
        batches, weights = np.zeros_like(batches), weights | {"batch": 0.0}
    check_cells(model, split, batches, labels if model._is_supervised else None)
    if training.early_stopping and network.selects:
        raise ValueError(
            "early stopping would end the training while genes are still being chosen: pass "
            "early_stopping=False, or train again with it afterwards."
        )
    if not model.is_trained_:
        offset, factor = learn_scale(reader, split[0], model.scale_)
        network.set_scale(offset, factor)
        n_batches = len(network.batch_offset)
        network.set_moments(*scaled_moments(reader, split[0], offset, factor, batches, n_batches))
    max_epochs = training.epochs(MAX_EPOCHS, MIN_STEPS)
    plan = model._training_plan_cls(
        network,
        weights,
        recluster=_recluster(model, reader, split[0], training.batch_size, training.rng),
        warmup_epochs=max_epochs // 2 if warmup_epochs is None else warmup_epochs,
        **training.plan_options(model._training_plan_cls),
    )
    if model.is_trained_ and not model._is_supervised:
        plan.centroids = model.centroids_  # k-means continues
    codes = {REGISTRY_KEYS.BATCH_KEY: batches, REGISTRY_KEYS.LABELS_KEY: labels}
    data = SplitCells(reader, codes, split, training.batch_size, training.rng)
    # The best epoch is not restored: it would be one of the first, without the clusters.
    return Prepared(plan, data, max_epochs)


def _recluster(
    model: ACE,
    reader: MatrixReader,
    cells: np.ndarray,
    batch_size: int | None,
    rng: np.random.Generator,
) -> Recluster | None:
    n_clusters = model._n_clusters
    if n_clusters is None and not model._is_supervised:
        return None
    labels = registered_codes(model, REGISTRY_KEYS.LABELS_KEY)
    return Recluster(model, reader, cells, labels, n_clusters, batch_size, rng)


def fit_clusters(
    model: ACE,
    reader: MatrixReader,
    centroids: np.ndarray | None,
    batch_size: int | None,
    rng: np.random.Generator,
) -> None:
    """Fit the clusters, if there are any, to the trained latent space.

    Parameters
    ----------
    model
        A trained model; its clusters are set.
    reader
        Its cells.
    centroids
        Centroids to start k-means from; ``None`` if there are none yet.
    batch_size
        Number of cells embedded at once.
    rng
        Draws the cells for an initial clustering.
    """
    recluster = _recluster(model, reader, model.train_indices, batch_size, rng)
    if recluster is not None:
        clusters = recluster.final(centroids)
        # Stored as plain attributes, so that files do not depend on a class of this package.
        model.centroids_, model.cluster_names_ = clusters.centroids, clusters.names
        model.beta_ = clusters.beta
        model._is_unfinished_ = False


def check_cells(
    model: ACE,
    split: tuple[np.ndarray, ...],
    batches: np.ndarray,
    labels: np.ndarray | None,
) -> None:
    """Raise before training if the clusters could not be fitted, or batches are unknown."""
    n_clusters = model._n_clusters
    fewest = 3 if n_clusters == "auto" else int(n_clusters or 1)
    if len(split[0]) < fewest:
        raise ValueError(
            f"n_clusters={n_clusters!r} needs at least {fewest} training cells, got "
            f"{len(split[0])}."
        )
    if (batches[np.concatenate(split[:2])] < 0).any():
        raise ValueError(
            f"adata.obs[{model.batch_key!r}] is missing or holds batches unknown to the model: "
            "train on cells of its batches only."
        )
    if labels is not None:
        present = np.unique(labels[split[0]])
        lost = [n for i, n in enumerate(label_names(model)) if i not in present]
        if lost:
            raise ValueError(
                f"no training cell has the labels {listed(lost)}: choose another split. "
                "If labels were renamed after the set-up, set up and make the model again."
            )
