"""Costs of models: epochs of training in turns, a task, a score, memory, and a GPU."""

import tempfile
import time
import warnings
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
import torch
import torch.nn.functional as F
from scipy import sparse
from torch import nn

import ace
from ace.metrics import stability
from benchmarks.core.data import GROUP, SOURCES, load, log_normalise, simulated_counts
from benchmarks.core.experiment import Entry
from benchmarks.core.measure import epochs, epochs_in_turns, in_fresh_process, measure
from benchmarks.core.store import Task, Values
from benchmarks.experiments import scare, scare_models, transfer, transfer_cells
from benchmarks.experiments.transfer_cells import GIVEN, UNKNOWN
from benchmarks.methods.models import new
from benchmarks.methods.rankings import explained

LABELS = {"labels_key": GIVEN, "unlabeled_category": UNKNOWN}
#: The attribution loss of SCARE from the first epoch on.
AT_ONCE = {"plan_kwargs": {"attribution_warmup_epochs": 0}}


def matrix(X: sparse.csr_matrix) -> Values:
    size = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    found = {"matrix_mb": size / 1024**2, "density": X.nnz / np.prod(X.shape)}
    return found | {"n_genes": X.shape[1]}


# -- epochs of training ---------------------------------------------------------------------------


def against_a_loop(task: Task, method: Entry, quick: bool) -> Values:
    """A model against a loop with its network, weights, cells, minibatches, optimiser and loss.

    The loop indexes a dense tensor that is already scaled, and neither validates nor records
    anything. The models slice rows of the matrix, scale them, validate and write the history.
    """
    adata, size = load(task.data), 64 if task.method.startswith("KRATOS") else 128
    x = adata.X.toarray() if sparse.issparse(adata.X) else adata.X
    spread = np.ptp(x, axis=0)
    scaled = ((x - x.min(axis=0)) / np.where(spread > 0, spread, 1)).astype(np.float32)
    order = np.random.default_rng(task.seed).permutation(adata.n_obs)
    split = np.split(order, [int(0.9 * adata.n_obs)])
    cells = torch.from_numpy(scaled[split[0]])
    model, network, loss, targets = method.run(adata, cells, split[0], task.seed)
    parts = [
        [m for m in of.modules() if isinstance(m, nn.Linear)] for of in (network, model.module)
    ]
    for layer, source in zip(*parts, strict=True):
        layer.load_state_dict(source.state_dict())
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def bare_epochs() -> list[float]:
        seconds = []
        torch.set_flush_denormal(True)  # as the models do
        for _ in range(n_epochs):
            start = time.perf_counter()
            for rows in torch.randperm(len(cells)).split(size):
                optimizer.zero_grad()
                loss(network(cells[rows]), targets[rows]).backward()
                optimizer.step()
            seconds.append(time.perf_counter() - start)
        torch.set_flush_denormal(False)
        return seconds

    n_epochs = 3 if quick else 8
    torch.manual_seed(task.seed)
    options = {"external_indexing": split, "batch_size": size, "early_stopping": False}
    calls = {"ours": partial(epochs, model, n_epochs, **options), "bare": bare_epochs}
    found = epochs_in_turns(calls, 2 if quick else 5, ratio=("ours", "bare"))
    return found | {"n_cells": len(split[0]), "n_genes": adata.n_vars}


def kratos_loop(
    adata: ad.AnnData, x: torch.Tensor, cells: np.ndarray, seed: int
) -> tuple[Any, ...]:
    ace.model.KRATOS.setup_anndata(adata, GROUP)
    model = ace.model.KRATOS(adata, random_state=seed)
    codes = torch.from_numpy(adata.obs[GROUP].cat.codes.to_numpy().astype(np.int64))[cells]
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise((adata.n_vars, 256, 64, len(model.labels))):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    network = nn.Sequential(*layers[:-1], nn.Softmax(1))
    return model, network, F.binary_cross_entropy, F.one_hot(codes).float()


def ace_loop(adata: ad.AnnData, x: torch.Tensor, cells: np.ndarray, seed: int) -> tuple[Any, ...]:
    ace.model.ACE.setup_anndata(adata)
    layers: list[nn.Module] = [nn.Dropout(0.5)]
    for n_in, n_out in pairwise((adata.n_vars, 512, 256, 128, 10, 128, 256, 512, adata.n_vars)):
        layers += [nn.Linear(n_in, n_out), nn.LeakyReLU(0.2)]
    del layers[8], layers[-1]  # neither the latent space nor the output is rectified

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (output - target).square().sum(1).mean()

    return ace.model.ACE(adata, random_state=seed), nn.Sequential(*layers), loss, x


#: What is trained in turns: whether it is SCARE, with types, and options of the training.
SCARE_TURNS: dict[str, tuple[bool, bool, dict[str, Any]]] = {
    "with": (True, True, AT_ONCE),
    "with_neighbors": (True, False, AT_ONCE),
    "without": (True, True, {"plan_kwargs": {"attribution_weight": 0.0}}),
    "scvi_validated": (False, False, {"check_val_every_n_epoch": 1}),
    "scvi": (False, False, {}),
}


def scare_epochs(task: Task, method: Any, quick: bool) -> Values:
    """With the attribution loss and without, and SCVI of the same network."""
    cells, genes = (of(task.data) for of in (scare_models.load, scare_models.gene_sets))

    def call(is_scare: bool, labels: bool, options: dict[str, Any]) -> list[float]:
        # A model of its own in each turn: one that was trained longer may cost less.
        if is_scare:
            truth = genes[scare_models.BOTH]
            model = scare_models.new_scare(cells, task.seed, labels, ground_truth=truth)
        else:
            model = scare_models.new_scvi(cells, task.seed)
        return epochs(model, 3 if quick else 5, **options)

    calls = {name: partial(call, *told) for name, told in SCARE_TURNS.items()}
    found = epochs_in_turns(
        calls,
        2 if quick else 4,
        ratio_attribution=("with", "without"),
        ratio_neighbors=("with_neighbors", "without"),
        ratio_scvi_validated=("without", "scvi_validated"),
        ratio_scvi=("without", "scvi"),
    )
    return found | {"n_cells": cells.n_obs, "n_genes": cells.n_vars}


# -- a task, a score, memory ----------------------------------------------------------------------


def task(task: Task, method: Entry, quick: bool) -> Values:
    cells = transfer_cells.load(task._replace(protocol=transfer_cells.AS_THEY_ARE))
    answer, seconds = transfer.timed(method, cells)
    found = (answer.labels == cells.truth)[cells.scored].mean()
    return {"seconds": seconds, "accuracy": found, "threads": torch.get_num_threads()}


def fssf(task: Task, method: scare_models.Method, quick: bool) -> Values:
    genes = scare_models.gene_sets(task.data)[scare_models.BOTH]
    cells = scare_models.load(task.data)
    adata, model, _ = scare_models.train(cells, method, genes, task.seed, quick)
    scare.founders(adata, model, genes, n_random=1)
    call = partial(scare.founders, adata, model, genes, n_random=int(task.setting))
    pairs, cost = measure(call)
    found = {"fssf": pairs["fssf"].mean(), "fssf_random": pairs["random_mean"].mean()}
    found |= {"seconds": cost.seconds, "n_pairs": len(pairs)}
    return found | {"threads": torch.get_num_threads()}


def simulated(name: str, n_cells: int) -> ad.AnnData:
    """Half of the cells labelled: log-normalised values of 5000 genes for SCNYM, or counts."""
    adata = simulated_counts(n_cells, 5000, mean_counts=0.085)
    first = np.arange(n_cells) < n_cells // 2
    adata.obs[scare_models.TYPE] = adata.obs[GROUP].astype(str)
    adata.obs[scare_models.BATCH] = np.where(np.arange(n_cells) % 2, "a", "b")
    adata.obs[GIVEN] = pd.Categorical(np.where(first, adata.obs[scare_models.TYPE], UNKNOWN))
    if name == "SCNYM":
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
    return adata


#: How a model is set up, made and trained, and what it then computes for all cells.
OF_ALL: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = {
    "SCNYM": (LABELS, {}, {}, "predict"),
    "SCARE": (
        {"batch_key": scare_models.BATCH, "labels_key": scare_models.TYPE},
        {"ground_truth": [f"gene{i}" for i in range(200)]},
        AT_ONCE,
        "get_latent_representation",
    ),
}


def _once(name: str, adata: ad.AnnData) -> None:
    """One epoch, and all cells."""
    setup, options, train, compute = OF_ALL[name]
    model_of = getattr(ace.model, name)  # without a copy of the cells, which would be memory
    model_of.setup_anndata(adata, **setup)
    model = model_of(adata, random_state=0, **options)
    model.train(max_epochs=1, enable_progress_bar=False, accelerator="cpu", **train)
    getattr(model, compute)()


def _memory_of(name: str, file: str) -> Values:
    warnings.simplefilter("ignore")
    _once(name, simulated(name, 1000))  # what is loaded or compiled once is no memory of cells
    adata = ad.read_h5ad(file)
    _, cost = measure(lambda: _once(name, adata))
    return matrix(adata.X) | cost._asdict() | {"threads": torch.get_num_threads()}


def memory(task: Task, method: Any, quick: bool) -> Values:
    """One epoch and all cells, read from a file by a fresh process."""
    n_cells, of = int(task.setting), {"n_cells": int(task.setting)}
    if task.method == "SCNYM":
        of = {"n_labelled": n_cells, "n_unlabelled": n_cells}
        n_cells *= 2
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "cells.h5ad")
        simulated(task.method, n_cells).write_h5ad(file)
        of |= in_fresh_process(_memory_of, task.method, file)
    return of


# -- a GPU ----------------------------------------------------------------------------------------

#: How each model is set up, and options of its training with which every epoch is the same.
ON_GPU: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "KRATOS": ({"labels_key": GROUP}, {"early_stopping": False}),
    "ACE": ({}, {"early_stopping": False}),
    "SCNYM": (LABELS, {}),
    "SCARE": ({"layer": "counts", "labels_key": GROUP}, AT_ONCE),
    "SCVI": ({"layer": "counts"}, {"check_val_every_n_epoch": 1}),
}


def _on_gpu_cells(data: str) -> ad.AnnData:
    """Log-normalised cells with counts in a layer; of half of them the labels are given."""
    adata = load(data) if data in SOURCES else log_normalise(simulated_counts(100_000))
    if data == "pbmc68k":
        adata.layers["counts"] = ace.datasets.pbmc68k_reduced().layers["counts"]
    given = adata.obs[GROUP].to_numpy().astype(object)
    given[np.random.default_rng(0).permutation(adata.n_obs)[::2]] = UNKNOWN
    adata.obs[GIVEN] = pd.Categorical(given)
    return adata


def devices() -> dict[str, tuple[str, str]]:
    """Names of Lightning and torch, by hardware."""
    found = {"processor": ("cpu", "cpu")}
    if torch.cuda.is_available():
        found[torch.cuda.get_device_name(0)] = ("gpu", "cuda:0")
    return found


def on_device(task: Task, method: Entry, quick: bool) -> Values:
    """Train on a device and explain there; panels are compared with those of the processor."""
    (accelerator, device), (given, options) = devices()[task.protocol], ON_GPU[task.method]
    adata, own = _on_gpu_cells(task.data), {"random_state": task.seed}
    own |= {"ground_truth": list(adata.var_names[:50])} if task.method == "SCARE" else {}
    model = new(task.method, adata, task.seed, given, **({} if task.method == "SCVI" else own))
    seconds = epochs(model, 3 if quick else 4, accelerator=accelerator, **options)
    values = {"threads": torch.get_num_threads(), "ms_epoch": 1e3 * median(seconds[1:])}
    values |= {"n_cells": adata.n_obs, "n_genes": adata.n_vars}
    for name in ("panel", "expected_gradients"):
        call = partial(explained, adata, method=name, model=model, random_state=task.seed)
        model.to_device(device)
        call()
        panels, cost = measure(call)
        values[f"seconds_{name}"] = cost.seconds
        if device != "cpu":
            model.to_device("cpu")
            agreement = stability([call(), panels], 18)["jaccard"].mean()
            values[f"jaccard_{name}"] = agreement
    return values
