"""Digits, the networks that the papers explain on them, and which images are explained."""

from __future__ import annotations

import base64
import os
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ace.explain import ClassifierScorer, fit_centroids
from ace.nn import ConvolutionalClassifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from ace.explain import GroupScorer

#: Ten pairs, both ways: each digit is the source of two and the target of two. The ACE paper names
#: 8 → 5, 8 → 3, 1 → 7 and 7 → 1 of its twenty.
ACE_PAIRS = [
    pair
    for a, b in ("85", "83", "17", "49", "27", "06", "65", "32", "09", "14")
    for pair in ((a, b), (b, a))
]
#: Six pairs, both ways. The Kratos paper names 3 → 8, 8 → 3 and 0 ↔ 8 of its twelve.
KRATOS_PAIRS = [pair for a, b in ("38", "08", "17", "49", "56", "27") for pair in ((a, b), (b, a))]


@dataclass(frozen=True)
class Digits:
    """Images as float32 in [0, 1], flat, and their labels."""

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    shape: tuple[int, int]


def load_digits(name: str) -> Digits:
    """Full MNIST from ``ACE_DATA_DIR``, or the 8 × 8 digits that come with scikit-learn."""
    if name == "mnist":
        with np.load(Path(os.environ["ACE_DATA_DIR"]) / "mnist.npz") as file:
            parts = [file[k] for k in ("x_train", "y_train", "x_test", "y_test")]
        highest = 255
    else:
        from sklearn.datasets import load_digits as bundled
        from sklearn.model_selection import train_test_split

        images, labels = bundled(return_X_y=True)
        split = train_test_split(images, labels, test_size=0.3, stratify=labels, random_state=0)
        parts = [split[i] for i in (0, 2, 1, 3)]
        highest = 16
    images = [
        torch.from_numpy(x.reshape(len(x), -1).astype(np.float32)) / highest for x in parts[::2]
    ]
    labels = [torch.from_numpy(y.astype(np.int64)) for y in parts[1::2]]
    side = round(images[0].shape[1] ** 0.5)
    return Digits(images[0], labels[0], images[1], labels[1], (side, side))


def convolutional(digits: Digits) -> nn.Module:
    """The network of the ACE paper; smaller filters for smaller images."""
    return ConvolutionalClassifier(digits.shape, 10, kernel_size=5 if digits.shape[0] > 10 else 3)


def vector(digits: Digits) -> nn.Module:
    """The network of the Kratos paper, for images in one row."""
    n_pixels = digits.shape[0] * digits.shape[1]
    return nn.Sequential(
        nn.Linear(n_pixels, 256), nn.ReLU(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 10)
    )


def binary_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Eq. 11 of the Kratos paper: on each output of the softmax."""
    wanted = F.one_hot(labels, logits.shape[1]).to(logits)
    return F.binary_cross_entropy(torch.softmax(logits, 1), wanted)


@dataclass(frozen=True)
class Subject:
    """A network of a paper, how it was trained, what is explained, and between which digits."""

    make: Callable[[Digits], nn.Module]
    loss: Callable[[Tensor, Tensor], Tensor]
    epochs: int
    batch_size: int
    scorer: Callable[[Any, Digits], GroupScorer]
    pairs: list[tuple[str, str]]


SUBJECTS = {
    "convolutional": Subject(
        convolutional,
        F.cross_entropy,
        10,
        128,
        lambda network, digits: fit_centroids(
            network.embedding, digits.train, digits.train_labels
        ),
        ACE_PAIRS,
    ),
    "vector": Subject(
        vector,
        binary_cross_entropy,
        10,
        64,
        lambda network, _: ClassifierScorer(network, [str(d) for d in range(10)]),
        KRATOS_PAIRS,
    ),
}


def train(subject: Subject, digits: Digits, epochs: int) -> tuple[nn.Module, float]:
    """Train with Adam from 1e-3 down to 0; give the network and the seconds."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = subject.make(digits)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        n_steps = epochs * -(-len(digits.train) // subject.batch_size)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=n_steps)
        start = time.perf_counter()
        for epoch in range(epochs):
            for rows in torch.randperm(len(digits.train)).split(subject.batch_size):
                loss = subject.loss(network(digits.train[rows]), digits.train_labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            passed = time.perf_counter() - start
            print(f"  epoch {epoch + 1} of {epochs}, {passed:.0f} s", flush=True)
    return network.eval().requires_grad_(False), passed


def trained(name: str, digits: Digits, epochs: int, cache: Path | None) -> Any:
    """Train once: network, scorer and seconds of training, kept in ``cache``."""
    subject = SUBJECTS[name]
    if cache is not None and cache.exists():
        kept = torch.load(cache)
        network = subject.make(digits)
        network.load_state_dict(kept["weights"])
        network.eval().requires_grad_(False)
        return network, subject.scorer(network, digits).eval(), kept["seconds"]
    network, seconds = train(subject, digits, epochs)
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"weights": network.state_dict(), "seconds": seconds}, cache)
    return network, subject.scorer(network, digits).eval(), seconds


def predict(module: nn.Module, images: Tensor) -> Tensor:
    """Number of the largest output, shape ``(n_images,)``."""
    with torch.no_grad():
        return torch.cat([module(x).argmax(1) for x in images.split(500)])


def choose(
    digits: Digits, right: Tensor, pairs: list[tuple[str, str]], n: int, seed: int
) -> list[np.ndarray]:
    """Numbers of ``n`` test images of each pair's source, drawn from those that are ``right``."""
    chosen = []
    for i, (source, _) in enumerate(pairs):
        own = np.flatnonzero(((digits.test_labels == int(source)) & right).numpy())
        chosen.append(np.random.default_rng((seed, i)).permutation(own)[:n])
    return chosen


def pack(image: np.ndarray) -> str:
    """An image in [0, 1] as text: 8 bits a pixel, compressed."""
    levels = np.round(255 * image).astype(np.uint8)
    return base64.b64encode(zlib.compress(levels.tobytes(), 9)).decode()


def unpack(text: str, shape: tuple[int, int]) -> np.ndarray:
    """The image that :func:`pack` made into text."""
    levels = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=np.uint8)
    return levels.reshape(shape).astype(np.float32) / 255
