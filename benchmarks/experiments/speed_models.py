"""Costs of models: epochs of training in turns, a task, a score, memory, and a GPU."""

import tempfile
import time
import warnings
from functools import lru_cache, partial
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
from benchmarks.core.measure import epochs, epochs_in_turns, in_fresh_process, measure, ratios
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
    return {"matrix_mb": size / 1024**2, "density": X.nnz / np.prod(X.shape)}


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
    found = ratios(epochs_in_turns(calls, 2 if quick else 5), ratio=("ours", "bare"))
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
        own, truth = cells.copy(), genes[scare_models.BOTH]
        if is_scare:
            model = scare_models.new_scare(own, task.seed, labels, ground_truth=truth)
        else:
            model = scare_models.new_scvi(own, task.seed)
        return epochs(model, 3 if quick else 5, **options)

    calls = {name: partial(call, *told) for name, told in SCARE_TURNS.items()}
    found = ratios(
        epochs_in_turns(calls, 2 if quick else 4),
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


def simulated(
    n_cells: int, n_genes: int = 5000, n_types: int = 10, draws: int = 450
) -> ad.AnnData:
    """Counts drawn from the profile of each cell's type; about 8 % of the genes are found."""
    rng = np.random.default_rng(0)
    profiles = rng.lognormal(0, 1, n_genes) * rng.lognormal(0, 0.5, (n_types, n_genes))
    bounds = np.cumsum(profiles, axis=1)
    bounds /= bounds[:, -1:]
    types, parts = rng.integers(n_types, size=n_cells), []
    for rows in np.array_split(np.arange(n_cells), -(-n_cells // 5000)):
        genes = np.empty((len(rows), draws), np.int32)
        for k in range(n_types):
            own = types[rows] == k
            genes[own] = np.searchsorted(bounds[k], rng.random((own.sum(), draws)))
        starts, ones = np.arange(len(rows) + 1) * draws, np.ones(genes.size, np.float32)
        parts.append(sparse.csr_matrix((ones, genes.ravel(), starts), (len(rows), n_genes)))
        parts[-1].sum_duplicates()
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(n_cells)])
    obs[scare_models.TYPE] = np.char.add("type", types.astype(str))
    obs[scare_models.BATCH] = np.where(np.arange(n_cells) % 2, "a", "b")
    half = np.arange(n_cells) < n_cells // 2
    obs[GIVEN] = pd.Categorical(np.where(half, obs[scare_models.TYPE], UNKNOWN))
    return ad.AnnData(sparse.vstack(parts, format="csr"), obs=obs)


def _once(name: str, adata: ad.AnnData) -> None:
    """One epoch, and all cells."""
    shared = {"max_epochs": 1, "enable_progress_bar": False, "accelerator": "cpu"}
    model_of = getattr(ace.model, name)  # without a copy of the cells, which would be memory
    if name == "SCNYM":
        model_of.setup_anndata(adata, **LABELS)
        model = model_of(adata, random_state=0)
        model.train(**shared)
        model.predict()
    else:
        model_of.setup_anndata(adata, batch_key=scare_models.BATCH, labels_key=scare_models.TYPE)
        model = model_of(adata, ground_truth=list(adata.var_names[:200]), random_state=0)
        model.train(**AT_ONCE, **shared)
        model.get_latent_representation()


def _cells_for(name: str, n_cells: int, file: str = "") -> ad.AnnData | None:
    """Log-normalised values for SCNYM, counts for SCARE; written to a file if there is one."""
    adata = simulated(n_cells)
    if name == "SCNYM":
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
    return adata.write_h5ad(file) if file else adata


def _memory_of(name: str, size: int, file: str) -> Values:
    warnings.simplefilter("ignore")
    _once(name, _cells_for(name, 1000))  # what is loaded or compiled once is no memory of cells
    adata = ad.read_h5ad(file)
    _, cost = measure(lambda: _once(name, adata))
    n = {"n_labelled": size, "n_unlabelled": size} if name == "SCNYM" else {"n_cells": size}
    n |= {"n_genes": adata.n_vars, "threads": torch.get_num_threads()}
    return n | matrix(adata.X) | cost._asdict()


def memory(task: Task, method: Any, quick: bool) -> Values:
    """Written in one fresh process, read and trained on in another."""
    size, name = int(task.setting), task.method
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "cells.h5ad")
        in_fresh_process(_cells_for, name, 2 * size if name == "SCNYM" else size, file)
        return in_fresh_process(_memory_of, name, size, file)


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


def devices() -> dict[str, str]:
    """Names of torch and Lightning, by hardware."""
    found = {"processor": "cpu"}
    return found | ({torch.cuda.get_device_name(0): "gpu"} if torch.cuda.is_available() else {})


@lru_cache(maxsize=1)
def compared(data: str, name: str, seed: int, quick: bool) -> dict[str, Values]:
    """Train on each device, then explain what the last one trained on each."""
    adata, rows, model = _on_gpu_cells(data), {}, None
    for hardware, accelerator in devices().items():
        given, options = ON_GPU[name][0], {} if name == "SCVI" else {"random_state": seed}
        options |= {"ground_truth": list(adata.var_names[:50])} if name == "SCARE" else {}
        model = new(name, adata, seed, given, **options)
        seconds = epochs(model, 3 if quick else 4, accelerator=accelerator, **ON_GPU[name][1])
        found = {"threads": torch.get_num_threads(), "ms_epoch": 1e3 * median(seconds[1:])}
        rows[hardware] = found | {"n_cells": adata.n_obs, "n_genes": adata.n_vars}
    for method in ("panel", "expected_gradients"):
        panels: list[Any] = []
        for hardware, accelerator in devices().items():
            model.to_device("cpu" if accelerator == "cpu" else "cuda:0")
            call = partial(explained, adata, method=method, model=model, random_state=seed)
            call()
            found, cost = measure(call)
            panels.append(found)
            rows[hardware][f"seconds_{method}"] = cost.seconds
            if len(panels) > 1:
                agreement = stability([panels[0], found], 18)["jaccard"].mean()
                rows[hardware][f"jaccard_{method}"] = agreement
    return rows
