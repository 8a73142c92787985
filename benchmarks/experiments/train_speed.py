"""Experiment on training: an epoch against a bare PyTorch loop.

The loop indexes a dense tensor that is already scaled, and neither validates nor records
anything. The models slice rows of the matrix, scale them, validate and write the history.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback
from scipy import sparse
from torch import nn

from ace.model import ACE, KRATOS
from benchmarks.core.data import (
    GROUP,
    files,
    load,
)
from benchmarks.core.experiment import Entry, Experiment, revision
from benchmarks.core.store import Task, Values
from benchmarks.methods.mixmatch_loop import timed_epochs


class Clock(Callback):
    """Time from the start of each epoch to the start of the next: validation is included."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    def on_train_epoch_start(self, *args: Any) -> None:
        """Note the time."""
        self.starts.append(time.perf_counter())

    on_train_end = on_train_epoch_start


def epochs(model: Any, n_epochs: int, **options: Any) -> list[float]:
    """Seconds of each epoch of a training."""
    clock = Clock()
    shared = {"accelerator": "cpu", "enable_progress_bar": False} | options
    model.train(max_epochs=n_epochs, callbacks=[clock], **shared)
    return list(np.diff(clock.starts))


def in_turns(
    calls: dict[str, Callable[[], list[float]]], rounds: int
) -> tuple[Values, pd.DataFrame]:
    """Median milliseconds of an epoch of each call, and the medians of each turn.

    The first epoch of a turn warms caches up.
    """
    turns = [{name: call()[1:] for name, call in calls.items()} for _ in range(rounds)]
    every = {name: [s for turn in turns for s in turn[name]] for name in calls}
    medians = pd.DataFrame([{k: median(v) for k, v in turn.items()} for turn in turns])
    return {f"ms_{name}": 1e3 * median(seconds) for name, seconds in every.items()}, medians


class BareLoop:
    """Training as a script would have it, from the weights of a model."""

    def __init__(self, model: Any, layers: list[nn.Module], loss: Any, x: Any, y: Any) -> None:
        self.network, self.loss, self.x, self.y = nn.Sequential(*layers), loss, x, y
        self.size = 64 if isinstance(model, KRATOS) else 128
        own, bare = (
            [m for m in modules if isinstance(m, nn.Linear)]
            for modules in (model.module.modules(), self.network)
        )
        for layer, source in zip(bare, own, strict=True):
            layer.load_state_dict(source.state_dict())
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)

    def epoch(self) -> None:
        """One epoch on tensors in memory."""
        for rows in torch.randperm(len(self.x)).split(self.size):
            loss = self.loss(self.network(self.x[rows]), self.y[rows])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


def _kratos_loop(adata: ad.AnnData, x: torch.Tensor, seed: int) -> tuple[Any, Any]:
    KRATOS.setup_anndata(adata, GROUP)
    model = KRATOS(adata, random_state=seed)
    codes = torch.from_numpy(adata.obs[GROUP].cat.codes.to_numpy().astype(np.int64))
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise((adata.n_vars, 256, 64, len(model.labels))):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]

    def loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.binary_cross_entropy(logits.softmax(1), target)

    return model, lambda cells: BareLoop(
        model, layers[:-1], loss, x[cells], F.one_hot(codes[cells]).float()
    )


def _ace_loop(adata: ad.AnnData, x: torch.Tensor, seed: int) -> tuple[Any, Any]:
    ACE.setup_anndata(adata)
    model = ACE(adata, random_state=seed)
    layers: list[nn.Module] = [nn.Dropout(0.5)]
    for n_in, n_out in pairwise((adata.n_vars, 512, 256, 128, 10, 128, 256, 512, adata.n_vars)):
        layers += [nn.Linear(n_in, n_out), nn.LeakyReLU(0.2)]
    del layers[8], layers[-1]  # neither the latent space nor the output is rectified

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (output - target).square().sum(1).mean()

    return model, lambda cells: BareLoop(model, layers, loss, x[cells], x[cells])


def _train_speed(task: Task, method: Entry, prepared: None, quick: bool) -> Values:
    """The model against a loop over the same network, weights, cells, minibatches and loss."""
    assert method.run is not None
    adata, threads = load(task.data), torch.get_num_threads()
    x = adata.X.toarray() if sparse.issparse(adata.X) else adata.X
    spread = np.ptp(x, axis=0)
    scaled = (x - x.min(axis=0)) / np.where(spread > 0, spread, 1)
    order = np.random.default_rng(task.seed).permutation(adata.n_obs)
    split = np.split(order, [int(0.9 * adata.n_obs)])
    model, loop = method.run(adata, torch.from_numpy(scaled.astype(np.float32)), task.seed)
    bare, n_epochs = loop(split[0]), 3 if quick else 8
    torch.manual_seed(task.seed)
    options = {"external_indexing": split, "batch_size": bare.size, "early_stopping": False}
    calls = {
        "ours": lambda: epochs(model, n_epochs, **options),
        "bare": lambda: timed_epochs(bare.epoch, n_epochs),
    }
    ms, turns = in_turns(calls, 2 if quick else 5)
    ratios = turns["ours"] / turns["bare"]
    found = {"n_cells": len(split[0]), "n_genes": adata.n_vars, "threads": threads} | ms
    found["ratio"] = ms["ms_ours"] / ms["ms_bare"]
    return found | {"ratio_lowest": ratios.min(), "ratio_highest": ratios.max()}


MATRICES = {"pbmc3k_processed": "dense", "pbmc3k": "csr", "pbmc68k": "csr"}
TRAIN_SPEED = Experiment(
    "train_speed",
    "An epoch of KRATOS.train and ACE.train against a bare PyTorch loop.",
    _train_speed,
    lambda: {
        "KRATOS.train": Entry(_kratos_loop, revision("KRATOS")),
        "ACE.train": Entry(_ace_loop, revision("ACE")),
    },
    data=("pbmc3k_processed", "pbmc3k"),
    protocols=lambda data: (MATRICES[data],),
    quick={"data": ("pbmc68k",), "seeds": (0,)},
    files=files,
)
