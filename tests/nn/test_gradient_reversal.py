from __future__ import annotations

import torch

from ace.nn import reverse_gradient


def test_identity_with_a_reversed_gradient() -> None:
    x = torch.tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=True)
    y = reverse_gradient(x, 0.3)
    torch.testing.assert_close(y, x, rtol=0, atol=0)
    (y * torch.tensor([2.0, -1.0])).sum().backward()
    torch.testing.assert_close(x.grad, torch.tensor([[-0.6, 0.3]]).expand(2, 2))


def test_the_adversary_itself_learns_as_usual() -> None:
    """Only layers before the reversal receive the reversed gradient."""
    torch.manual_seed(0)
    before, adversary = torch.nn.Linear(3, 2), torch.nn.Linear(2, 2)
    x, domains = torch.randn(8, 3), torch.tensor([0, 1] * 4)

    def gradients(weight: float | None) -> tuple[torch.Tensor, torch.Tensor]:
        z = before(x)
        z = z if weight is None else reverse_gradient(z, weight)
        loss = torch.nn.functional.cross_entropy(adversary(z), domains)
        first, second = torch.autograd.grad(loss, [before.weight, adversary.weight])
        return first, second

    plain, turned = gradients(None), gradients(0.25)
    torch.testing.assert_close(turned[0], -0.25 * plain[0])
    torch.testing.assert_close(turned[1], plain[1])
