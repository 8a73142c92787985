"""How sure predictions may be: one temperature for all logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize_scalar
from torch.nn import functional as F

if TYPE_CHECKING:
    import torch

#: Bounds of the temperature.
COOLEST, HOTTEST = 1.0, 20.0


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    r"""Temperature T that makes held-out labels likeliest :cite:p:`guo2017calibration`.

    .. math::
        T = \arg\min_{T \ge 1} - \sum_i \log \mathrm{softmax}(\ell_i / T)_{y_i}

    Parameters
    ----------
    logits
        Shape ``(n_cells, n_labels)``.
    labels
        Class of each cell.

    Returns
    -------
    The temperature; 1 where there are no cells.
    """
    if not len(labels):
        return 1.0
    logits = logits.double()

    def loss(log_temperature: float) -> float:
        return float(F.cross_entropy(logits / float(np.exp(log_temperature)), labels))

    found = minimize_scalar(loss, bounds=np.log([COOLEST, HOTTEST]), method="bounded")
    return float(np.exp(found.x)) if found.fun < loss(0.0) else 1.0
