"""What an epoch of ``KRATOS.train`` and ``ACE.train`` costs, against a bare PyTorch loop.

    python benchmarks/train_speed.py --help

Same network, initial weights, cells, minibatch size, optimizer and loss, on the CPU, in one
process and in turns. The bare loop is the least one can write: it indexes a dense tensor that is
already scaled, and neither validates nor records anything. The models slice rows of the AnnData's
matrix, scale them, validate after each epoch and write the history; ``KRATOS`` keeps the best
weights. Denormal floats are flushed in both.
"""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from collections.abc import Callable
from itertools import pairwise, product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from _data import GROUP, available, load
from _results import RESULTS, Results, code_key
from lightning.pytorch import Callback
from scipy import sparse
from torch import nn

from ace.model import ACE, KRATOS

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
KEYS = ("subject", "matrix", "seed")
DATA = {"dense": "pbmc3k_processed", "csr": "pbmc3k"}
TRAIN = 0.9  # the rest is for validation, which only the models do

if TYPE_CHECKING:
    from anndata import AnnData


class _Clock(Callback):
    """Time from the start of each epoch to the start of the next: validation is included."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    def on_train_epoch_start(self, *args: Any) -> None:
        self.starts.append(time.perf_counter())

    def on_train_end(self, *args: Any) -> None:
        self.starts.append(time.perf_counter())


def model_epochs(
    model: KRATOS | ACE, split: list[np.ndarray], batch_size: int, n_epochs: int
) -> list[float]:
    """Seconds of each epoch."""
    clock = _Clock()
    model.train(
        max_epochs=n_epochs,
        external_indexing=split,
        batch_size=batch_size,
        early_stopping=False,
        accelerator="cpu",
        enable_progress_bar=False,
        callbacks=[clock],
    )
    return list(np.diff(clock.starts))


class BareLoop:
    """Training as a script would have it."""

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        x: torch.Tensor,
        target: torch.Tensor,
        batch_size: int,
    ) -> None:
        self.network, self.loss, self.x, self.target = network, loss, x, target
        self.batch_size = batch_size
        self.optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def epochs(self, n_epochs: int) -> list[float]:
        """Seconds of each epoch."""
        torch.set_flush_denormal(True)
        seconds = []
        for _ in range(n_epochs):
            start = time.perf_counter()
            order = torch.randperm(len(self.x))
            for first in range(0, len(order), self.batch_size):
                rows = order[first : first + self.batch_size]
                loss = self.loss(self.network(self.x[rows]), self.target[rows])
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
            seconds.append(time.perf_counter() - start)
        torch.set_flush_denormal(False)
        return seconds


def kratos(adata: AnnData, x: torch.Tensor, cells: np.ndarray, seed: int) -> tuple[Any, BareLoop]:
    """The classifier, and its network, weights too, in a bare loop."""
    KRATOS.setup_anndata(adata, GROUP)
    model = KRATOS(adata, random_state=seed)
    codes = torch.from_numpy(adata.obs[GROUP].cat.codes.to_numpy().astype(np.int64))
    sizes = (len(model.var_names), 256, 64, len(model.labels))
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    _copy_weights(model, network)

    def loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.binary_cross_entropy(torch.softmax(logits, dim=1), target)

    return model, BareLoop(network, loss, x[cells], F.one_hot(codes[cells]).float(), 64)


def autoencoder(
    adata: AnnData, x: torch.Tensor, cells: np.ndarray, seed: int
) -> tuple[Any, BareLoop]:
    """The autoencoder with default settings, and its network in a bare loop."""
    ACE.setup_anndata(adata)
    model = ACE(adata, random_state=seed)
    sizes = (len(model.var_names), 512, 256, 128, 10, 128, 256, 512, len(model.var_names))
    layers: list[nn.Module] = [nn.Dropout(0.5)]
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.LeakyReLU(0.2)]
    del layers[8], layers[-1]  # neither the latent space nor the output is rectified
    network = nn.Sequential(*layers)
    _copy_weights(model, network)

    def loss(reconstructed: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (reconstructed - target).square().sum(1).mean()

    return model, BareLoop(network, loss, x[cells], x[cells], 128)


def _copy_weights(model: KRATOS | ACE, network: nn.Sequential) -> None:
    own = [m for m in model.module.modules() if isinstance(m, nn.Linear)]
    bare = [m for m in network if isinstance(m, nn.Linear)]
    for layer, source in zip(bare, own, strict=True):
        layer.load_state_dict(source.state_dict())


SUBJECTS = {"kratos": kratos, "ace": autoencoder}


def compare(
    subject: str, matrix: str, seed: int, rounds: int, n_epochs: int, threads: int
) -> dict[str, Any]:
    """Train both in turns, and give medians over the epochs that follow a first one."""
    adata = load(DATA[matrix])
    torch.set_num_threads(threads)  # scanpy's preprocessing may have set another number
    x = adata.X.toarray() if sparse.issparse(adata.X) else adata.X
    spread = np.ptp(x, axis=0)
    scaled = (x - x.min(axis=0)) / np.where(spread > 0, spread, 1)
    split = np.split(
        np.random.default_rng(seed).permutation(adata.n_obs), [int(TRAIN * adata.n_obs)]
    )
    values = torch.from_numpy(scaled.astype(np.float32))
    model, bare = SUBJECTS[subject](adata, values, split[0], seed)
    torch.manual_seed(seed)
    mine: list[float] = []
    theirs: list[float] = []
    ratios: list[float] = []
    for _ in range(rounds):
        # The first epoch of a turn warms caches up.
        own = model_epochs(model, split, bare.batch_size, n_epochs)[1:]
        other = bare.epochs(n_epochs)[1:]
        mine, theirs = mine + own, theirs + other
        ratios.append(float(median(own) / median(other)))
    return {
        "n_cells": len(split[0]),
        "n_genes": adata.n_vars,
        "threads": torch.get_num_threads(),
        f"ms_{subject}": 1e3 * float(median(mine)),
        "ms_bare": 1e3 * median(theirs),
        "ratio": float(median(mine) / median(theirs)),
        "ratio_lowest": min(ratios),
        "ratio_highest": max(ratios),
    }


def main(arguments: list[str] | None = None) -> None:
    """Compare on dense and sparse cells, for each seed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=RESULTS / "train_speed.json")
    parser.add_argument("--subjects", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=5, help="turns of each")
    parser.add_argument("--epochs", type=int, default=8, help="epochs in a turn")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args(arguments)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.simplefilter("ignore")
    results = Results(options.out, KEYS)
    code = code_key("model", "nn", files=("train_speed.py", "_data.py"))
    for matrix, data in DATA.items():
        if available(data):
            print(f"{data} left out: {available(data)}")
            continue
        for subject, seed in product(options.subjects, options.seeds):
            row = {"subject": f"{subject.upper()}.train", "matrix": matrix, "seed": seed}
            row["code"] = code
            if results.get(row):
                continue
            row |= compare(subject, matrix, seed, options.rounds, options.epochs, options.threads)
            results.add(row)
            print({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()})


if __name__ == "__main__":
    main()
