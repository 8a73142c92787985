from __future__ import annotations

import numpy as np
import pytest
import torch
from scvi import REGISTRY_KEYS
from torch import nn

from ace.model.kratos import KratosModule


@pytest.fixture
def module() -> KratosModule:
    return KratosModule(n_input=5, n_labels=3, n_hidden=(4, 2))


def test_network_is_the_published_one() -> None:
    module = KratosModule(n_input=50, n_labels=8)
    linear = [m for m in module.modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(50, 256), (256, 64), (64, 8)]
    assert sum(isinstance(m, nn.ReLU) for m in module.modules()) == 2
    assert not any(isinstance(m, nn.Dropout | nn.BatchNorm1d) for m in module.modules())
    dropped = KratosModule(n_input=50, n_labels=8, dropout_rate=0.2)
    assert [m.p for m in dropped.modules() if isinstance(m, nn.Dropout)] == [0.2, 0.2]


def test_bce_is_equation_11(module: KratosModule) -> None:
    logits = torch.tensor([[1.0, -0.5, 0.3], [0.2, 0.1, 2.0]], dtype=torch.float64)
    labels = torch.tensor([0, 1])
    a = torch.softmax(logits, dim=1).numpy()
    y = np.eye(3)[labels]
    expected = -(y * np.log(a) + (1 - y) * np.log(1 - a)).sum(axis=1).mean()
    np.testing.assert_allclose(module.classification_loss(logits, labels).item(), expected)


def test_cross_entropy_option() -> None:
    module = KratosModule(n_input=5, n_labels=3, loss="cross_entropy")
    logits, labels = torch.tensor([[1.0, -0.5, 0.3]]), torch.tensor([2])
    expected = -torch.log_softmax(logits, dim=1)[0, 2]
    torch.testing.assert_close(module.classification_loss(logits, labels), expected)


@pytest.mark.parametrize("loss", ["bce", "cross_entropy"])
@pytest.mark.parametrize("right", [True, False])
def test_loss_is_finite_for_saturated_probabilities(loss: str, right: bool) -> None:
    """In float32, softmax is 1 for differences above about 17, so log(1 - a) would be -inf."""
    module = KratosModule(n_input=5, n_labels=3, loss=loss)
    logits = torch.tensor([[1e4, 0.0, -1e4]], requires_grad=True)
    value = module.classification_loss(logits, torch.tensor([0 if right else 1]))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()
    assert value == 0 if right else value > 9e3
    assert (logits.grad == 0).all() if right else logits.grad[0, 0] > 0


def test_scaling_is_part_of_the_module(module: KratosModule) -> None:
    x = torch.rand(7, 5) * 3
    offset = np.arange(5, dtype=np.float32)
    factor = np.array([1, 2, 0, 0.5, 4], dtype=np.float32)
    unscaled = module.classify((x - torch.from_numpy(offset)) * torch.from_numpy(factor))
    module.set_scale(offset, factor)
    torch.testing.assert_close(module.classify(x), unscaled)
    assert {"offset", "factor"} <= set(module.state_dict())
    other = x.clone()
    other[:, 2] = 100.0  # factor 0
    torch.testing.assert_close(module.classify(other), module.classify(x))


def test_minibatch_of_one_cell(module: KratosModule) -> None:
    module.train()
    loss = module.classification_loss(module.classify(torch.rand(1, 5)), torch.tensor([1]))
    loss.backward()
    assert torch.isfinite(loss)


def test_interface_of_scvi(module: KratosModule) -> None:
    tensors = {
        REGISTRY_KEYS.X_KEY: torch.rand(6, 5),
        REGISTRY_KEYS.LABELS_KEY: torch.tensor([[0], [1], [2], [0], [1], [2]]),
    }
    inference, generative, output = module(tensors)
    assert inference["z"].shape == (6, module.n_latent)
    torch.testing.assert_close(generative["logits"], module.classify(tensors["X"]))
    labels = tensors[REGISTRY_KEYS.LABELS_KEY].flatten()
    expected = module.classification_loss(generative["logits"], labels)
    torch.testing.assert_close(output.loss, expected)
    assert output.n_obs_minibatch == 6
    with pytest.raises(NotImplementedError, match="deterministic"):
        module.sample()
