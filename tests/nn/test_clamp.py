from __future__ import annotations

import pytest
import torch

from ace.nn._clamp import clamp

X = [-1.0, 0.0, 0.5, 1.0, 2.0]


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (torch.zeros(5), torch.ones(5))])
def test_values_at_a_bound_have_the_full_gradient(bounds) -> None:
    x = torch.tensor(X, requires_grad=True)
    limited = clamp(x, *bounds)
    (gradient,) = torch.autograd.grad(limited.sum(), x)
    assert limited.tolist() == [0, 0, 0.5, 1, 1]
    assert gradient.tolist() == [0, 1, 1, 1, 0]


def test_one_bound() -> None:
    x = torch.tensor(X, requires_grad=True)
    (gradient,) = torch.autograd.grad(clamp(x, 0.0).sum(), x)
    assert gradient.tolist() == [0, 1, 1, 1, 1]
