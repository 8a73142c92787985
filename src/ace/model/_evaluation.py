"""How good the predictions of a classifier are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from torchmetrics.functional.classification import multiclass_calibration_error

if TYPE_CHECKING:
    from torch import Tensor

N_CALIBRATION_BINS = 15


def evaluate_classifier(
    probabilities: Tensor, truth: Tensor, labels: np.ndarray
) -> dict[str, Any]:
    """Judge probabilities by the true classes.

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
    ece = multiclass_calibration_error(
        probabilities, truth, num_classes=n_labels, n_bins=N_CALIBRATION_BINS, norm="l1"
    )
    return {
        "accuracy": float(accuracy_score(true, predicted)),
        "balanced_accuracy": float(recall.mean()),
        "macro_f1": float(f1_score(true, predicted, average="macro", zero_division=0.0)),
        "ece": float(ece),
        "n_cells": len(true),
        "confusion": pd.DataFrame(
            confusion,
            index=pd.Index(labels, name="label"),
            columns=pd.Index(labels, name="prediction"),
        ),
    }
