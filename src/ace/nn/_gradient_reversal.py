"""Gradient reversal, for adversarial training in a single step."""

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
    r"""Identity with a reversed gradient, for adversarial training :cite:p:`ganin2016domain`.

    Placed between an embedding and a domain classifier, the classifier learns to separate the
    domains, while the embedding receives :math:`-w\,\partial L_{adv} / \partial x` and learns to
    mix them.

    Parameters
    ----------
    x
        Tensor of any shape.
    weight
        Factor :math:`w` of the reversed gradient.

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
