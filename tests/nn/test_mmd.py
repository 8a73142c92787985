"""MMD between batches: by hand, unbiased, for any number of batches."""

import numpy as np
import pytest
import torch

from ace.nn import batch_discrepancy


def test_two_batches_by_hand():
    z = torch.tensor([[0.0], [1.0], [3.0], [5.0]])
    width = 2.0

    def k(a, b):
        return np.exp(-((a - b) ** 2) / (2 * width))

    expected = k(0, 1) + k(3, 5) - 2 * np.mean([k(0, 3), k(0, 5), k(1, 3), k(1, 5)])
    found = batch_discrepancy(z, torch.tensor([0, 0, 1, 1]), [width])
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_pairs_of_batches_are_weighted_by_pairs_of_cells():
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(12, 2, generator=generator)
    batch = torch.tensor([0] * 2 + [1] * 3 + [2] * 7)
    pairs = {(0, 1): 6, (0, 2): 14, (1, 2): 21}
    expected = 0.0
    for (a, b), weight in pairs.items():
        keep = (batch == a) | (batch == b)
        one = batch_discrepancy(z[keep], (batch[keep] == b).long(), [1.0, 3.0])
        expected += weight * one.item() / sum(pairs.values())
    assert batch_discrepancy(z, batch, [1.0, 3.0]).item() == pytest.approx(expected, rel=1e-5)


def test_batches_of_one_distribution_do_not_differ_on_average():
    generator = torch.Generator().manual_seed(1)
    # Unequal sizes, for which a biased estimate would be about 1/3.
    values = [
        batch_discrepancy(
            torch.randn(20, 3, generator=generator), torch.tensor([0] * 3 + [1] * 17)
        ).item()
        for _ in range(400)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / 20
    assert np.std(values) > 0


def test_scale_of_the_latent_space_does_not_matter():
    generator = torch.Generator().manual_seed(2)
    z = torch.randn(30, 4, generator=generator)
    batch = torch.arange(30) % 3
    z[batch == 0] += 1
    one, thousand = batch_discrepancy(z, batch), batch_discrepancy(1000 * z, batch)
    assert one > 0.05
    torch.testing.assert_close(one, thousand, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "batch", [[0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 2, 3], [5, 5, 5, 2]], ids=str
)
def test_nothing_to_compare_is_zero_and_differentiable(batch):
    z = torch.randn(4, 2, requires_grad=True)
    value = batch_discrepancy(z, torch.tensor(batch))
    assert value.item() == 0
    value.backward()
    assert torch.equal(z.grad, torch.zeros(4, 2))


def test_a_batch_of_one_cell_is_left_out():
    z = torch.tensor([[0.0], [0.1], [5.0], [5.1], [100.0]])
    with_one = batch_discrepancy(z, torch.tensor([0, 0, 1, 1, 2]))
    torch.testing.assert_close(with_one, batch_discrepancy(z[:4], torch.tensor([0, 0, 1, 1])))


@pytest.mark.parametrize("bandwidths", [None, (1e-2, 1.0, 10.0, 1e3)])
def test_its_gradient_brings_batches_together(bandwidths):
    generator = torch.Generator().manual_seed(3)
    z = torch.randn(40, 2, generator=generator)
    batch = torch.arange(40) % 2
    z[batch == 0] += 2
    z.requires_grad_()
    (gradient,) = torch.autograd.grad(batch_discrepancy(z, batch, bandwidths), z)
    assert (gradient[batch == 0].mean(0) > 0).all()
    assert (gradient[batch == 1].mean(0) < 0).all()


def test_cells_on_one_point_give_no_nan():
    z = torch.zeros(6, 2, requires_grad=True)
    torch.set_flush_denormal(True)  # as in training
    try:
        value = batch_discrepancy(z, torch.arange(6) % 2)
        value.backward()
    finally:
        torch.set_flush_denormal(False)
    assert value.item() == 0
    assert torch.isfinite(z.grad).all()
