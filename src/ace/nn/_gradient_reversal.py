"""Gradient reversal: how a network is trained against another in one step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradient, None


def reverse_gradient(x: Tensor, weight: float = 1.0) -> Tensor:
    r"""Identity whose gradient is turned round :cite:p:`ganin2016domain`.

    Between an embedding and an adversary, the adversary learns to tell domains apart as usual,
    while the embedding gets :math:`-w\,\partial L_{adv} / \partial x` and learns to hide them.

    Parameters
    ----------
    x
        Tensor of any shape.
    weight
        Factor :math:`w` of the gradient that passes.

    Returns
    -------
    ``x``, unchanged.

    Examples
    --------
    >>> import torch
    >>> x = torch.ones(2, requires_grad=True)
    >>> reverse_gradient(x, 0.1).sum().backward()
    >>> x.grad
    tensor([-0.1000, -0.1000])
    """
    return _Reverse.apply(x, weight)
