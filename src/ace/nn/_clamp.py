from __future__ import annotations

import torch
from torch import Tensor


def clamp(x: Tensor, low: Tensor | float, high: Tensor | float = torch.inf) -> Tensor:
    """Limit values to a range, with the full gradient of values at a bound.

    Genes that a cell does not express are at the lower bound of their range. Their gradient
    depends on the version of PyTorch in :func:`torch.clamp` (from 2.15 on, it is 0 or 1/2), and is
    1/2 in :func:`torch.maximum`.

    Parameters
    ----------
    x
        Values.
    low, high
        Bounds, broadcastable to the shape of ``x``.

    Returns
    -------
    The limited values. Their gradient is 1 within the bounds and at them, and 0 outside.
    """
    return torch.where(x < low, low, torch.where(x > high, high, x))
