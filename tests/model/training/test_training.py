from __future__ import annotations

import pytest
import scvi
import torch

from ace._threads import seeded
from ace.model.training._training import (
    TINY_MOMENT,
    drop_tiny_moments,
    flushed_denormals,
    resolve_seed,
)


def _flushed() -> bool:
    return (torch.tensor([1e-310], dtype=torch.float64) * 1.0).item() == 0.0


@pytest.mark.parametrize("before", [False, True])
def test_denormals_are_flushed_only_in_the_block(before: bool) -> None:
    torch.set_flush_denormal(before)
    try:
        with pytest.raises(ZeroDivisionError), flushed_denormals():
            1 / (not _flushed())  # fails in the block, where denormals are flushed
        assert _flushed() is before
    finally:
        torch.set_flush_denormal(False)


def test_seeded_is_scoped_and_reproducible() -> None:
    state = torch.get_rng_state()
    with seeded(3):
        first = torch.rand(4)
    with seeded(3):
        again = torch.rand(4)
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), state)


def test_seed_is_the_argument_or_that_of_scvi_or_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scvi.settings, "_seed", None)
    assert resolve_seed(None) == 0
    monkeypatch.setattr(scvi.settings, "_seed", 5)
    assert resolve_seed(None) == 5
    assert resolve_seed(0) == 0


@pytest.mark.parametrize("fused", [False, True])
def test_dropping_denormal_moments_does_not_change_the_weights(fused: bool) -> None:
    def train(clean: bool) -> tuple[torch.Tensor, torch.Tensor]:
        weights = torch.linspace(-1, 1, 50).requires_grad_()
        optimizer = torch.optim.Adam([weights], fused=fused)
        for step in range(1500):
            alive = torch.arange(50) < (
                50 if step < 20 else 10
            )  # most gradients are 0 after 20 steps
            weights.grad = torch.where(alive, torch.sin(weights.detach() + step), 0.0)
            optimizer.step()
            if clean and step % 100 == 0:
                drop_tiny_moments(optimizer)
        return weights.detach(), optimizer.state[weights]["exp_avg"]

    weights, moments = train(clean=False)
    denormal = (moments != 0) & (moments.abs() < torch.finfo(torch.float32).tiny)
    assert denormal.sum() == 40
    cleaned_weights, cleaned = train(clean=True)
    assert torch.equal(cleaned_weights, weights)
    assert (cleaned[10:] == 0).all()
    assert (cleaned[:10].abs() > TINY_MOMENT).all()
