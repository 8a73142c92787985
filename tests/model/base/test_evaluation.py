from __future__ import annotations

import numpy as np
import torch

from ace.model.base._evaluation import evaluate_classifier

LABELS = np.array(["a", "b", "c"], dtype=object)


def test_metrics_of_a_small_example() -> None:
    # Six cells: four of "a" (three correct, one predicted "c"), two of "b" (one correct); no "c".
    predicted = [0, 0, 0, 2, 1, 0]
    confidence = 0.8
    probabilities = torch.full((6, 3), (1 - confidence) / 2)
    probabilities[torch.arange(6), predicted] = confidence
    result = evaluate_classifier(probabilities, torch.tensor([0, 0, 0, 0, 1, 1]), LABELS)
    assert result["n_cells"] == 6
    assert np.isclose(result["accuracy"], 4 / 6)
    assert np.isclose(result["balanced_accuracy"], (3 / 4 + 1 / 2) / 2)
    # F1: a 2·3/(4+4), b 2·1/(2+1), c 0.
    assert np.isclose(result["macro_f1"], (6 / 8 + 2 / 3 + 0) / 3)
    # All confidences are in one bin: |0.8 - 4/6|.
    assert np.isclose(result["ece"], confidence - 4 / 6, atol=1e-6)
    expected = [[3, 0, 1], [1, 1, 0], [0, 0, 0]]
    np.testing.assert_array_equal(result["confusion"].to_numpy(), expected)
    assert list(result["confusion"].index) == list(LABELS)
    assert result["confusion"].index.name == "label"
    assert result["confusion"].columns.name == "prediction"


def test_perfect_predictions() -> None:
    result = evaluate_classifier(torch.eye(3), torch.arange(3), LABELS)
    assert [result[k] for k in ("accuracy", "balanced_accuracy", "macro_f1")] == [1.0, 1.0, 1.0]
    assert result["ece"] < 1e-6
