"""How sure predictions may be: one temperature for all logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize_scalar
from torch.nn import functional as F

if TYPE_CHECKING:
    import torch

#: Bounds of the temperature.
COOLEST, HOTTEST = 0.05, 20.0


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    r"""Temperature T that makes held-out labels likeliest :cite:p:`guo2017calibration`.

    .. math::
        T = \arg\min_T - \sum_{ic} t_{ic} \log \mathrm{softmax}(\ell_i / T)_c

    The targets :math:`t` give a cell's own class :math:`1 - 1 / (n + 2)` and the others the rest,
    as Platt's do :cite:p:`platt1999probabilistic`: n cells that are all classified right do not
    show that none ever is not.

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
    n_cells, n_labels = logits.shape
    # Label smoothing gives its share to all classes, the own one included.
    smoothing = n_labels / ((n_labels - 1) * (n_cells + 2))

    def loss(log_temperature: float) -> float:
        scaled = logits / float(np.exp(log_temperature))
        return float(F.cross_entropy(scaled, labels, label_smoothing=min(smoothing, 1.0)))

    found = minimize_scalar(loss, bounds=np.log([COOLEST, HOTTEST]), method="bounded")
    return float(np.exp(found.x))
