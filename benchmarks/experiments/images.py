"""Experiment on digits: what makes another digit of an image (ACE, Figure 4; Kratos, Figure 7).

Ours, the published solver and Foolbox's elastic-net attack (EAD) are given the same images. The
attack gets the log-odds of source and target as its two logits, so that it answers the same
question, and keeps its smallest L1.
"""

import time
from collections.abc import Callable
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn import datasets
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

import ace
from ace.explain import ClassifierScorer, GroupScorer, fit_centroids
from ace.nn import ConvolutionalClassifier
from benchmarks.core.data import path
from benchmarks.core.experiment import GRIDS, Entry, experiment
from benchmarks.core.store import Task, Values

EPOCHS, N_IMAGES, STEPS = 10, 100, 5000
QUICK_EPOCHS, QUICK_IMAGES, QUICK_STEPS = 15, 5, 200
#: Our solver on all images of a pair; with a margin in its name, it is one of those compared.
ALL_IMAGES = "proximal"
#: The settings of the EAD paper's experiments, weighted towards its L1 part as far as helped.
STRONGER = {"steps": 1000, "initial_const": 0.1, "regularization": 0.1}

Pairs = list[tuple[str, str]]


def pairs_of(network: str) -> Pairs:
    """Source and target of each pair: the papers name 8 and 4 of theirs, both ways."""
    blocks = (block for block in GRIDS["mnist"]["runs"] if block["methods"] == [ALL_IMAGES])
    (pairs,) = (block["settings"] for block in blocks if network in block["protocols"])
    return [tuple(pair.split("→")) for pair in pairs]


def load_digits(name: str) -> list[Tensor]:
    """Full MNIST, or the 8 × 8 digits that come with scikit-learn.

    Returns images for training and for the test, flat and in [0, 1], and their labels.
    """
    if name == "mnist":
        with np.load(path("mnist.npz")) as file:
            parts = [file[k] for k in ("x_train", "x_test", "y_train", "y_test")]
    else:
        both = datasets.load_digits(return_X_y=True)
        parts = train_test_split(*both, test_size=0.3, stratify=both[1], random_state=0)
    highest = 255 if name == "mnist" else 16
    x = [torch.from_numpy(p.reshape(len(p), -1).astype(np.float32)) / highest for p in parts[:2]]
    return [*x, *(torch.from_numpy(p.astype(np.int64)) for p in parts[2:])]


def _convolutional(side: int) -> nn.Module:
    """ACE §5.3: two convolutions, smaller for smaller images."""
    return ConvolutionalClassifier((side, side), 10, kernel_size=5 if side > 10 else 3)


def _vector(side: int) -> nn.Module:
    """Kratos §6.4: three layers."""
    layers = nn.Linear(side**2, 256), nn.ReLU(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 10)
    return nn.Sequential(*layers)


def _each_output(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy on each output of the softmax (Kratos, Eq. 11)."""
    return F.binary_cross_entropy(logits.softmax(1), F.one_hot(labels, 10).to(logits))


#: Network, loss and size of a minibatch.
NETWORKS: dict[str, tuple[Callable[..., nn.Module], Callable[..., Tensor], int]] = {
    "convolutional": (_convolutional, F.cross_entropy, 128),
    "vector": (_vector, _each_output, 64),
}


def train(name: str, x: Tensor, labels: Tensor, epochs: int) -> tuple[nn.Module, float]:
    """Train with Adam from 1e-3 down to 0; returns the network and the seconds."""
    new, loss, size = NETWORKS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = new(round(x.shape[1] ** 0.5))
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        n_steps = epochs * -(-len(x) // size)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=n_steps)
        start = time.perf_counter()
        for _ in range(epochs):
            for rows in torch.randperm(len(x)).split(size):
                optimizer.zero_grad()
                loss(network(x[rows]), labels[rows]).backward()
                optimizer.step()
                schedule.step()
    return network.eval().requires_grad_(False), time.perf_counter() - start


@lru_cache(maxsize=1)
def _prepared(data: str, name: str, seed: int) -> tuple[GroupScorer, Values, list[np.ndarray]]:
    """The scorer of a trained network, how good both are, and the test images of each pair."""
    x, test, labels, truth = load_digits(data)
    quick = data == "digits"
    network, seconds = train(name, x, labels, QUICK_EPOCHS if quick else EPOCHS)
    scorer: GroupScorer = (
        fit_centroids(network.embedding, x, labels)
        if name == "convolutional"
        else ClassifierScorer(network, [str(d) for d in range(10)])
    ).eval()
    right, given = (predict(m, test) == truth for m in (network, scorer))
    quality = {"accuracy": right.float().mean(), "fidelity": given.float().mean()}
    chosen = []
    for i, (source, _) in enumerate(pairs_of(name)):
        own = np.flatnonzero(((truth == int(source)) & right & given).numpy())
        rows = np.random.default_rng((seed, i)).permutation(own)
        chosen.append(test[rows[: QUICK_IMAGES if quick else N_IMAGES]].numpy())
    return scorer, quality | {"n_test": len(test), "seconds": seconds}, chosen


def predict(module: nn.Module, images: Tensor) -> Tensor:
    """Number of the largest output, shape ``(n_images,)``."""
    with torch.no_grad():
        return torch.cat([module(x).argmax(1) for x in images.split(500)])


def _run(task: Task, method: Entry, prepared: None, quick: bool) -> Values:
    """The network itself; or a solver on all images of a pair, or on one image of each pair."""
    scorer, quality, chosen = _prepared(task.data, task.protocol, task.seed)
    if method.run is None:
        return quality
    pairs = pairs_of(task.protocol)
    if task.method == ALL_IMAGES:
        pair = tuple(task.setting.split("→"))
        images = chosen[pairs.index(pair)]
        pairs = [pair] * len(images)
    else:
        images = np.stack([own[int(task.setting.removeprefix("part "))] for own in chosen])
    start = time.perf_counter()
    found = method.run(scorer, images, pairs, quick)
    values = {"seconds": time.perf_counter() - start} | judge(scorer, images, found, pairs)
    if task.method == ALL_IMAGES:
        side = round(images.shape[1] ** 0.5)
        first = np.round(255 * np.stack([images[0], found[0]])).astype(np.uint8)
        drawn = first.reshape(2, side, side)
        values["arrays"] = dict(zip(("original", "result"), drawn, strict=True))
    return values


def judge(scorer: GroupScorer, images: np.ndarray, found: np.ndarray, pairs: Pairs) -> Values:
    """Judge perturbed images by the scorer, whichever solver found them."""
    with torch.no_grad():
        m = scorer(torch.from_numpy(found)).numpy()
    source, target = np.array(pairs).astype(int).T
    each, delta = np.arange(len(images)), found - images
    return {
        "n_images": len(images),
        "flipped": np.mean(m[each, source] < m[each, target]),
        "assigned": np.mean(m.argmax(1) == target),
        "n_pixels": np.median((delta != 0).sum(1)),
        **{f"l1@{i}": round(float(v), 3) for i, v in enumerate(np.abs(delta).sum(1))},
    }


def ours(
    scorer: GroupScorer, images: np.ndarray, pairs: Pairs, quick: bool, **options: Any
) -> Any:
    """``ace.explain.transitions``; the published solver with 5000 subgradient steps."""
    if options.get("solver") == "subgradient":
        options["max_steps"] = QUICK_STEPS if quick else STEPS
    targets = [target for _, target in pairs]
    return ace.explain.transitions(scorer, images, targets, **options).perturbed


class OfPair(nn.Module):
    """The log-odds of two groups, other ones for each image."""

    def __init__(self, scorer: GroupScorer, pairs: Tensor) -> None:
        super().__init__()
        self.scorer, self.pairs = scorer, pairs

    def forward(self, x: Tensor) -> Tensor:
        """Shape ``(n_images, 2)``: source, target."""
        return self.scorer(x).gather(1, self.pairs)


def attack(
    scorer: GroupScorer, images: np.ndarray, pairs: Pairs, quick: bool, margin: int, **options: Any
) -> np.ndarray:
    import foolbox

    options |= {"steps": 50} if quick else {}
    both = torch.tensor([[int(s), int(t)] for s, t in pairs])
    model = foolbox.PyTorchModel(OfPair(scorer, both).eval(), (0, 1), device="cpu")
    ead = foolbox.attacks.EADAttack(decision_rule="L1", confidence=float(margin), **options)
    to_target = foolbox.criteria.TargetedMisclassification(torch.ones(len(pairs)).long())
    x = torch.from_numpy(images)
    found = ead.run(model, x, to_target)
    # Where it found none it returns zeros, which are no small perturbation.
    return torch.where((found == 0).all(1)[:, None], x, found).numpy()


def _methods() -> dict[str, Entry]:
    found = {
        "network": Entry(),
        ALL_IMAGES: Entry(ours),
        "proximal, margin 1": Entry(ours),
        "proximal, margin 0": Entry(partial(ours, margin=1e-3)),
        "subgradient, margin 1": Entry(partial(ours, solver="subgradient")),
    }
    if find_spec("foolbox"):
        for margin in (1, 0):
            for name, options in (("stronger", STRONGER), ("default", {})):
                call: Callable[..., Any] = partial(attack, margin=margin, **options)
                found[f"EAD {name}, margin {margin}"] = Entry(call)
    return found


MNIST = experiment(
    "mnist",
    _run,
    _methods,
    files=lambda data: ("mnist.npz",) if data == "mnist" else (),
)
