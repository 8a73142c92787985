"""Fit the temperature and the novelty of scNym to labelled cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch.nn import functional as F

from ace.model.scnym._novelty import novelty_of

if TYPE_CHECKING:
    from ace.model.base._reader import MatrixReader
    from ace.model.scnym._model import SCNYM

#: Bounds of the temperature.
COOLEST, HOTTEST = 0.05, 20.0
#: Fraction of the validation cells below the threshold of novelty.
KEPT = 0.95
#: Minimum number of validation cells for a calibration: with fewer, further training keeps the
#: earlier calibration, and the threshold of novelty is inaccurate.
MIN_HELD_OUT = 20


def calibrate(
    model: SCNYM, reader: MatrixReader, labels: np.ndarray, batch_size: int | None
) -> None:
    """Fit means and covariance to training cells, temperature and units to validation cells.

    Parameters
    ----------
    model
        A trained model.
    reader
        Its cells.
    labels
        Class of each cell.
    batch_size
        Cells in a minibatch.
    """
    train, held_out = model.train_indices, model.validation_indices
    known = held_out if len(held_out) else train
    network = model.module
    z = torch.from_numpy(model._embed(reader, train, batch_size))
    network.novelty.cpu().learn_places(z, torch.from_numpy(labels[train]))
    network.novelty.to(model.device)
    z = torch.from_numpy(model._embed(reader, known, batch_size)).to(model.device)
    with torch.no_grad():
        logits = network.classifier(z)
    network.novelty.learn_units(z, logits)
    truth = torch.from_numpy(labels[held_out])
    model.temperature_ = fit_temperature(logits.cpu()[: len(held_out)], truth)
    network.temperature.fill_(model.temperature_)
    model.novelty_threshold_ = None
    if len(held_out):
        scores = novelty_of(network, reader, held_out, batch_size)
        model.novelty_threshold_ = float(np.quantile(scores, KEPT, method="higher"))
    model._is_unfinished_ = False


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    r"""Fit the temperature T that maximises the likelihood of held-out labels.

    See :cite:t:`guo2017calibration`:

    .. math::
        T = \arg\min_T - \sum_i (1 - \epsilon) \log p_i(T) + \epsilon \log (1 - p_i(T)) , \quad
        p_i(T) = \mathrm{softmax}(\ell_i / T)_{y_i}

    with Platt's :math:`\epsilon = 1 / (n + 2)` :cite:p:`platt1999probabilistic`, because n
    correctly classified cells do not show that the error rate is zero.

    Parameters
    ----------
    logits
        Shape ``(n_cells, n_labels)``.
    labels
        Class of each cell.

    Returns
    -------
    The temperature; 1 without cells.
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
