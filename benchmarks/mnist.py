"""What makes another digit of an image, by ours, the published solver and an elastic-net attack.

    python benchmarks/mnist.py --help

convolutional
    ACE §5.3: two convolutions, the class means of the last pooling layer as centroids, 20 pairs.
vector
    Kratos §6.4: images as vectors of 784, the classifier of the single-cell part, 12 pairs.

Both are trained for 10 epochs, as ACE's; Kratos' number for digits is not told.

For each pair 100 test images that network and scorer get right: the share that is flipped, the
sum of the changes (L1), the pixels changed, and seconds. The first images of each pair are given
to all solvers: ours, the published one (5000 subgradient steps of 1e-3) and Foolbox's elastic-net
attack (EAD). The attack is given the log-odds of source and target as its two logits, so that it
answers the same question: with a margin of 1, as published (its ``confidence``), and with none.
It keeps its smallest L1 (``decision_rule="L1"``), with its default settings and stronger ones.

Full MNIST is read from ACE_DATA_DIR. Without it, and with --quick, the digits that come with
scikit-learn are explained. Trained weights are kept beside the quick results.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from _images import SUBJECTS, Digits, choose, load_digits, pack, predict, trained
from _results import RESULTS, Results, Row, code_key

import ace

if TYPE_CHECKING:
    from collections.abc import Callable

    from ace.explain import GroupScorer

KEYS = ("network", "subject", "images", "seed")
OURS = tuple(f"../src/ace/explain/{f}.py" for f in ("_prox_linear", "_solver", "_transitions"))
NETWORKS = (
    "_images.py",
    "../src/ace/explain/_centroids.py",
    *(f"../src/ace/nn/{f}.py" for f in ("_convolutional_classifier", "_neuralized_clustering")),
)
NO_MARGIN = 1e-3
#: The settings of the EAD paper's experiments, weighted towards its L1 part as far as helped.
STRONGER = {"steps": 1000, "initial_const": 0.1, "regularization": 0.1}


def main(arguments: list[str] | None = None) -> None:
    """Train each network once, then compare on it."""
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    results = Results(options.out, KEYS)
    digits = load_digits(options.data)
    for name in options.networks:
        print(f"{name}, {options.data} ...", flush=True)
        epochs = options.epochs or SUBJECTS[name].epochs
        code = f"{code_key(files=NETWORKS)}-{options.data}-{epochs}"
        cache = RESULTS / "quick" / "weights" / f"{name}-{code}.pt"
        network, scorer, seconds = trained(name, digits, epochs, cache)
        Comparison(results, code, name, network, scorer, digits, options).run(seconds)


class Comparison:
    """All comparisons on one network."""

    def __init__(
        self,
        results: Results,
        code: str,
        name: str,
        network: torch.nn.Module,
        scorer: GroupScorer,
        digits: Digits,
        options: argparse.Namespace,
    ) -> None:
        self.results, self.code, self.name, self.options = results, code, name, options
        self.network, self.scorer, self.digits = network, scorer, digits
        self.right = predict(network, digits.test) == digits.test_labels
        self.given = predict(scorer, digits.test) == digits.test_labels
        self.pairs = SUBJECTS[name].pairs[: options.pairs]
        self.chosen = choose(
            digits, self.right & self.given, self.pairs, options.images, options.seed
        )

    def run(self, seconds: float) -> None:
        """The network, ours on all images, all on the first images of each pair."""
        self.keep("network", "all", lambda: self.describe(seconds))
        for pair, rows in zip(self.pairs, self.chosen, strict=True):
            self.keep("proximal", "→".join(pair), partial(self.explain_pair, pair, rows))
        for part in range(self.options.parts):
            for subject, call in self.solvers(part).items():
                self.keep(subject, f"part {part}", partial(self.compare, part, call))

    def keep(self, subject: str, images: str, make: Callable[[], Row]) -> None:
        """Make and keep a row, unless the same code made it before."""
        code = self.code
        if subject.startswith("proximal"):
            code += "-" + code_key(files=OURS)
        elif subject.startswith("subgradient"):
            code += f"-{self.options.steps}"
        row = {"network": self.name, "subject": subject, "images": images}
        row |= {"seed": self.options.seed, "code": code}
        if self.results.get(row):
            return
        row |= make()
        self.results.add(row)
        summary = {k: v for k, v in row.items() if not isinstance(v, list) and k != "code"}
        summary |= {k: round(float(np.median(v)), 3) for k, v in row.items() if k == "l1"}
        summary.pop("example", None)
        print("  " + ", ".join(f"{k} {v}" for k, v in summary.items()), flush=True)

    def describe(self, seconds: float) -> Row:
        """How good the network is, and how well the scorer reproduces the digits."""
        row = {
            "accuracy": float(self.right.float().mean()),
            "fidelity": float(self.given.float().mean()),
            "n_test": len(self.right),
            "seconds": round(seconds, 1),
        }
        if isinstance(self.scorer, ace.explain.EmbeddingScorer):
            clustering = self.scorer.clustering
            row |= {"beta": clustering.beta, "n_latent": clustering.prototypes.shape[1]}
        return row

    def explain_pair(self, pair: tuple[str, str], rows: np.ndarray) -> Row:
        """Ours on all images of a pair; the first of them is kept to be drawn."""
        images = self.digits.test[rows].numpy()
        start = time.perf_counter()
        found = ace.explain.transitions(self.scorer, images, pair[1])
        seconds = time.perf_counter() - start
        example = {
            "shape": self.digits.shape,
            "source": pair[0],
            "target": pair[1],
            "original": pack(found.images[0]),
            "result": pack(found.perturbed[0]),
            "l1": round(float(found.l1[0]), 3),
        }
        return {
            "n_images": len(rows),
            "seconds": seconds,
            "flipped": float(found.flipped.mean()),
            "assigned": float(np.mean([a == pair[1] for a in found.assigned])),
            "l1": [round(float(v), 3) for v in found.l1],
            "n_pixels": float(np.median(found.n_pixels)),
            "example": example,
        }

    def solvers(self, part: int) -> dict[str, Callable[[np.ndarray, list[str]], Any]]:
        """What answers the question for one part of the images, by name."""
        ours = partial(ace.explain.transitions, self.scorer)
        published = partial(ours, solver="subgradient", max_steps=self.options.steps)
        found = {
            "proximal, margin 1": ours,
            "proximal, margin 0": partial(ours, margin=NO_MARGIN),
            "subgradient, margin 1": published,
        }
        quick = {"steps": 50} if self.options.quick else {}
        settings = {"stronger": STRONGER | quick}
        if part < self.options.default_parts:
            settings["default"] = quick
        found |= {
            f"EAD {name}, margin {margin}": partial(self.attack, float(margin), chosen)
            for name, chosen in settings.items()
            for margin in (1, 0)
        }
        return {name: call for name, call in found.items() if name.startswith(self.options.only)}

    def compare(self, part: int, call: Callable[[np.ndarray, list[str]], Any]) -> Row:
        """One image of each pair."""
        rows = np.array([rows[part] for rows in self.chosen])
        images = self.digits.test[rows].numpy()
        targets = [target for _, target in self.pairs]
        start = time.perf_counter()
        found = call(images, targets)
        seconds = time.perf_counter() - start
        perturbed = found if isinstance(found, np.ndarray) else found.perturbed
        # Judged alike, whoever found them.
        with torch.no_grad():
            m = self.scorer(torch.from_numpy(perturbed))
        each = np.arange(len(rows))
        source, target = ([int(d) for d in side] for side in zip(*self.pairs, strict=True))
        gap = (m[each, source] - m[each, target]).numpy()
        delta = perturbed - images
        return {
            "n_images": len(rows),
            "seconds": seconds,
            "flipped": float(np.mean(gap < 0)),
            "assigned": float(np.mean(m.argmax(1).numpy() == target)),
            "gap": float(np.median(gap)),
            "l1": [round(float(v), 3) for v in np.abs(delta).sum(1)],
            "n_pixels": float(np.median((delta != 0).sum(1))),
        }

    def attack(
        self, margin: float, settings: dict[str, Any], images: np.ndarray, targets: list[str]
    ) -> np.ndarray:
        """Foolbox's elastic-net attack on the log-odds of source and target."""
        import foolbox

        pair = torch.tensor([[int(s), int(t)] for s, t in self.pairs])
        model = foolbox.PyTorchModel(OfPair(self.scorer, pair).eval(), (0, 1), device="cpu")
        attack = foolbox.attacks.EADAttack(decision_rule="L1", confidence=margin, **settings)
        to_target = foolbox.criteria.TargetedMisclassification(torch.ones(len(pair)).long())
        x = torch.from_numpy(images)
        found = attack.run(model, x, to_target)
        # Where it found none it gives zeros, which are no small perturbation.
        failed = (found == 0).all(1)
        return torch.where(failed[:, None], x, found).numpy()


class OfPair(torch.nn.Module):
    """The log-odds of two groups, other ones for each image."""

    def __init__(self, scorer: GroupScorer, pair: torch.Tensor) -> None:
        super().__init__()
        self.scorer, self.pair = scorer, pair

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape ``(n_images, 2)``: source, target."""
        return self.scorer(x).gather(1, self.pair)


def _without_foolbox(only: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the solvers that can be run where foolbox is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what its own dependencies do
            import foolbox  # noqa: F401
    except ImportError as error:
        print(f"without EAD: {error}; the extra `benchmarks` has foolbox")
        return tuple(start for start in only if not start.startswith("EAD")) or ("none",)
    return only


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small digits, few images and steps")
    parser.add_argument("--networks", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--images", type=int, help="images of each pair")
    parser.add_argument("--pairs", type=int, help="pairs, at most")
    parser.add_argument("--parts", type=int, help="images of each pair that all solvers get")
    parser.add_argument("--default-parts", type=int, help="of those, for EAD's default settings")
    parser.add_argument(
        "--only",
        nargs="+",
        default=["proximal", "subgradient", "EAD"],
        help="first words of names",
    )
    parser.add_argument("--steps", type=int, help="subgradient steps (published: 5000)")
    parser.add_argument("--epochs", type=int, help="of training")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of images")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="JSON file; runs that it has are not repeated")
    options = parser.parse_args(arguments)
    folder = os.environ.get("ACE_DATA_DIR")
    there = bool(folder) and (Path(folder) / "mnist.npz").is_file()
    if not there and not options.quick:
        print("mnist.npz is not in ACE_DATA_DIR: scikit-learn's digits, in the quick form")
        options.quick = True
    quick = options.quick
    options.data = "digits" if quick else "mnist"
    options.epochs = options.epochs or (15 if quick else None)
    options.images = options.images or (5 if quick else 100)
    options.pairs = options.pairs or (4 if quick else None)
    options.parts = options.parts or (1 if quick else 3)
    options.default_parts = options.default_parts or 1
    options.steps = options.steps or (200 if quick else 5000)
    only = tuple(options.only)
    options.only = _without_foolbox(only) if any(s.startswith("EAD") for s in only) else only
    options.out = options.out or RESULTS / ("quick" if quick else "") / "mnist.json"
    return options


if __name__ == "__main__":
    main()
