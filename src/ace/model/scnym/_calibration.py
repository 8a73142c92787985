"""How sure predictions may be: one temperature for all logits."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch.nn import functional as F

#: Bounds of the temperature.
COOLEST, HOTTEST = 0.05, 20.0


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    r"""Temperature T that makes held-out labels likeliest :cite:p:`guo2017calibration`.

    .. math::
        T = \arg\min_T - \sum_i (1 - \epsilon) \log p_i(T) + \epsilon \log (1 - p_i(T)) , \quad
        p_i(T) = \mathrm{softmax}(\ell_i / T)_{y_i}

    with Platt's :math:`\epsilon = 1 / (n + 2)` :cite:p:`platt1999probabilistic`: n cells that are
    all classified right do not show that none ever is not.

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
    epsilon = 1 / (len(labels) + 2)
    own = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], -torch.inf)

    def loss(log_temperature: float) -> float:
        temperature = float(np.exp(log_temperature))
        # Log-odds of the cell's own class.
        odds = own / temperature - torch.logsumexp(others / temperature, dim=1)
        terms = (1 - epsilon) * F.logsigmoid(odds) + epsilon * F.logsigmoid(-odds)
        return -float(terms.mean())

    found = minimize_scalar(loss, bounds=np.log([COOLEST, HOTTEST]), method="bounded")
    return float(np.exp(found.x))
