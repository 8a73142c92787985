from __future__ import annotations

import numpy as np
import pytest
import torch

from ace.model.base._evaluation import calibration
from ace.model.scnym._calibration import fit_temperature


def test_bins_include_their_bounds_and_a_confidence_of_one() -> None:
    """One bin: 10 cells of confidence 1, 8 of them correct, and 10 correct ones at 0.95."""
    confidence = np.r_[np.ones(10), np.full(10, 0.95)]
    probabilities = torch.tensor(np.stack([confidence, 1 - confidence], 1), dtype=torch.float32)
    truth = torch.tensor([0] * 8 + [1] * 2 + [0] * 10)
    found = calibration(probabilities, truth, 10)
    assert found["ece"] == pytest.approx(abs(0.9 - 0.975), abs=1e-5)
    last = found["reliability"].iloc[-1]
    assert last["n_cells"] == 20
    assert last["confidence"] == pytest.approx(0.975, abs=1e-5)


def test_calibration_error_equals_that_of_the_table() -> None:
    rng = np.random.default_rng(0)
    probabilities = torch.from_numpy(rng.dirichlet(np.full(4, 0.3), size=500)).float()
    probabilities[::50] = torch.tensor([0.5, 0.25, 0.25, 0.0])  # at the bound of a bin
    probabilities[1::50] = torch.tensor([0.0, 1.0, 0.0, 0.0])
    truth = torch.from_numpy(rng.integers(0, 4, 500))
    for n_bins in (1, 2, 10, 15):
        found = calibration(probabilities, truth, n_bins)
        frame = found["reliability"].dropna()
        gaps = (frame["accuracy"] - frame["confidence"]).abs() * frame["n_cells"]
        assert frame["n_cells"].sum() == 500
        assert found["ece"] == pytest.approx(gaps.sum() / 500, abs=1e-6)


@pytest.mark.parametrize(("n", "margin"), [(8, 4.0), (98, 4.0), (8, 0.5)])
def test_temperature_is_finite_if_all_predictions_are_correct(n: int, margin: float) -> None:
    """Platt's target for n correct cells is (n + 1) / (n + 2), a log-odds of log(n + 1)."""
    logits = torch.tensor([[margin, 0.0]]).repeat(n, 1)
    found = fit_temperature(logits, torch.zeros(n, dtype=torch.long))
    assert found == pytest.approx(margin / np.log(n + 1), rel=1e-3)


def test_temperature_without_cells_is_one() -> None:
    assert fit_temperature(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long)) == 1.0
