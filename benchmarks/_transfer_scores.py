"""How well labels were found, how true the confidence was, and whether the unknown was seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import f1_score, roc_auc_score

if TYPE_CHECKING:
    import pandas as pd
    from _transfer_data import Cells

N_BINS = 10


@dataclass(frozen=True)
class Answer:
    """What a method says about the unlabelled cells."""

    labels: np.ndarray
    probabilities: pd.DataFrame | None = None  # cells × known types
    novelty: np.ndarray | None = None  # more: rather none of the known types
    threshold: float | None = None  # 95 % of known cells are at most so novel
    said: dict[str, Any] = field(default_factory=dict)  # for the record: versions, own clocks

    @property
    def confidence(self) -> np.ndarray | None:
        """Probability of the label."""
        return None if self.probabilities is None else self.probabilities.max(axis=1).to_numpy()


def judge(answer: Answer, cells: Cells) -> dict[str, Any]:
    """Compare with the truth.

    Only cells whose type some labelled cell has are scored. Balanced accuracy and macro F1 are
    means over the types that scored cells have. The calibration error and the frame of the
    reliability diagram are those of ten bins of equal width.
    """
    truth, labels = cells.truth[cells.scored], answer.labels[cells.scored]
    present = np.unique(truth)
    recall = {str(name): float((labels[truth == name] == name).mean()) for name in present}
    row: dict[str, Any] = {
        "n_labelled": int((~cells.target).sum()),
        "n_scored": len(truth),
        "n_not_scored": int((~cells.scored).sum()),
        "accuracy": float((labels == truth).mean()),
        "balanced_accuracy": float(np.mean(list(recall.values()))),
        "macro_f1": float(
            f1_score(truth, labels, labels=present, average="macro", zero_division=0)
        ),
        "recall": {name: round(value, 4) for name, value in recall.items()},
    }
    if answer.confidence is not None:
        frame = reliability(answer.confidence[cells.scored], labels == truth)
        row |= {"ece": calibration_error(frame), "reliability": frame}
    return row


def reliability(confidence: np.ndarray, right: np.ndarray) -> list[list[float]]:
    """Cells, sum of confidence, and right ones of each bin: sums, so that runs can be pooled."""
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    sums = [np.bincount(bins, w, N_BINS) for w in (None, confidence, right.astype(float))]
    return [[int(n), round(float(c), 4), int(r)] for n, c, r in zip(*sums, strict=True)]


def calibration_error(frame: list[list[float]]) -> float:
    """Mean distance of confidence from accuracy, bins weighted by their cells."""
    n, confidence, right = np.asarray(frame, float).T
    return float(np.abs(confidence - right).sum() / n.sum())


def judge_novelty(answer: Answer, cells: Cells, hidden: str) -> dict[str, Any]:
    """Whether cells of the hidden type are told from those of known types."""
    assert answer.novelty is not None
    new = cells.truth == hidden
    known = cells.scored
    chosen = new | known
    row: dict[str, Any] = {
        "n_hidden": int(new.sum()),
        "n_known": int(known.sum()),
        "auroc": float(roc_auc_score(new[chosen], answer.novelty[chosen])),
    }
    if answer.threshold is not None:
        flagged = answer.novelty > answer.threshold
        row |= {
            "flagged": float(flagged[new].mean()),
            "kept": float((~flagged[known]).mean()),
        }
    return row
