from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ace.nn import ConvolutionalClassifier


def test_layers_are_those_of_the_paper():
    """Two convolutions with ReLU, 2 × 2 max pooling and a linear layer, by hand."""
    network = ConvolutionalClassifier((28, 28), 10)
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters() if p.ndim > 1}
    assert list(shapes.values()) == [(32, 1, 5, 5), (32, 32, 5, 5), (10, 3200)]
    (w1, b1), (w2, b2), (w3, b3) = zip(
        *[iter(network.parameters())] * 2,
        strict=True,
    )
    x = torch.rand(3, 28, 28)
    hidden = F.conv2d(x[:, None], w1, b1).clamp_min(0)
    hidden = F.conv2d(hidden, w2, b2).clamp_min(0)
    pooled = hidden.unfold(2, 2, 2).unfold(3, 2, 2).amax((-1, -2)).flatten(1)
    torch.testing.assert_close(network.embed(x), pooled)
    torch.testing.assert_close(network(x), pooled @ w3.T + b3)


def test_flat_images_are_the_same_images():
    network = ConvolutionalClassifier((9, 12), 4, n_filters=3, kernel_size=3)
    x = torch.rand(2, 9, 12)
    assert network.n_latent == 3 * 2 * 4
    torch.testing.assert_close(network(x.flatten(1)), network(x), rtol=0, atol=0)
    torch.testing.assert_close(network.embedding(x.flatten(1)), network.embed(x), rtol=0, atol=0)
    assert network(x).shape == (2, 4)


def test_errors():
    with pytest.raises(ValueError, match=r"at least 10 pixels .* got \(8, 8\)"):
        ConvolutionalClassifier((8, 8), 10)
    with pytest.raises(ValueError, match="n_filters must be a positive whole number, got 0"):
        ConvolutionalClassifier((8, 8), 10, n_filters=0, kernel_size=3)
    network = ConvolutionalClassifier((8, 10), 10, kernel_size=3)
    with pytest.raises(ValueError, match=r"shape \(n_images, 8, 10\) or \(n_images, 80\)"):
        network(torch.rand(2, 10, 8))
