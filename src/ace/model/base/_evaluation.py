"""Accuracy and calibration of a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from torchmetrics.functional.classification import multiclass_calibration_error

if TYPE_CHECKING:
    from torch import Tensor

N_CALIBRATION_BINS = 10


def evaluate_classifier(
    probabilities: Tensor, truth: Tensor, labels: np.ndarray
) -> dict[str, Any]:
    """Evaluate probabilities with the true classes.

    Parameters
    ----------
    probabilities
        Shape ``(n_cells, n_labels)``.
    truth
        Class of each cell, shape ``(n_cells,)``.
    labels
        Name of each class.

    Returns
    -------
    ``accuracy``, ``balanced_accuracy``, ``macro_f1``, ``ece``, ``n_cells`` and the frame
    ``confusion`` (rows: truth, columns: prediction).
    """
    n_labels = len(labels)
    predicted = probabilities.argmax(dim=1).numpy()
    true = truth.numpy()
    confusion = confusion_matrix(true, predicted, labels=np.arange(n_labels))
    n_true = confusion.sum(axis=1)
    occurs = n_true > 0
    recall = confusion.diagonal()[occurs] / n_true[occurs]
    return {
        "accuracy": float(accuracy_score(true, predicted)),
        "balanced_accuracy": float(recall.mean()),
        "macro_f1": float(f1_score(true, predicted, average="macro", zero_division=0.0)),
        "ece": calibration(probabilities, truth, N_CALIBRATION_BINS)["ece"],
        "n_cells": len(true),
        "confusion": pd.DataFrame(
            confusion,
            index=pd.Index(labels, name="label"),
            columns=pd.Index(labels, name="prediction"),
        ),
    }


def calibration(probabilities: Tensor, truth: Tensor, n_bins: int) -> dict[str, Any]:
    """Compare confidence with accuracy, in bins of equal width.

    Parameters
    ----------
    probabilities
        Shape ``(n_cells, n_labels)``.
    truth
        Class of each cell, shape ``(n_cells,)``.
    n_bins
        Number of bins.

    Returns
    -------
    ``ece`` and the frame ``reliability``.
    """
    # The library has a further bin for a confidence of exactly 1.
    probabilities = probabilities.clamp(max=1 - 1e-7)
    ece = multiclass_calibration_error(
        probabilities, truth, num_classes=probabilities.shape[1], n_bins=n_bins, norm="l1"
    )
    confidence, predicted = probabilities.max(dim=1)
    bounds = torch.linspace(0, 1, n_bins + 1)
    cells = pd.DataFrame(
        {"confidence": confidence.numpy(), "accuracy": (predicted == truth).numpy().astype(float)}
    )
    # A confidence on a bound is in the bin above it, as in the library.
    grouped = cells.groupby((torch.bucketize(confidence, bounds, right=True) - 1).numpy())
    edges = np.linspace(0, 1, n_bins + 1)
    reliability = pd.DataFrame({"lower": edges[:-1], "upper": edges[1:]})
    reliability = reliability.join(grouped.mean()).assign(
        n_cells=grouped.size().reindex(reliability.index, fill_value=0)
    )
    return {"ece": float(ece), "reliability": reliability.rename_axis("bin")}
