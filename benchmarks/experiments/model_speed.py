"""Experiments on the cost of label transfer and of SCARE: an epoch, a task, a score, memory."""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
import torch
from scipy import sparse

from ace.model import SCARE, SCNYM
from ace.model.scnym import PRESETS
from benchmarks.core.data import (
    quiet_scvi,
)
from benchmarks.core.experiment import Experiment
from benchmarks.core.measure import measure
from benchmarks.core.store import Task, Values
from benchmarks.experiments import scare_models as scare
from benchmarks.experiments import transfer, transfer_cells
from benchmarks.experiments.scare import founders
from benchmarks.experiments.speed import SIMULATED, in_fresh_process, megabytes
from benchmarks.experiments.train_speed import epochs, in_turns
from benchmarks.methods.mixmatch_loop import MixMatchLoop, timed_epochs


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
    names = pd.Index([f"cell{i}" for i in range(n_cells)])
    obs = pd.DataFrame({scare.TYPE: np.char.add("type", types.astype(str))}, names)
    obs[scare.BATCH] = np.where(np.arange(n_cells) % 2, "a", "b")
    half = np.arange(n_cells) < n_cells // 2
    obs[transfer_cells.GIVEN] = pd.Categorical(
        np.where(half, obs[scare.TYPE], transfer_cells.UNKNOWN)
    )
    return ad.AnnData(sparse.vstack(parts, format="csr"), obs=obs)


def _once(name: str, adata: ad.AnnData) -> None:
    """One epoch, and all cells."""
    shared = {"max_epochs": 1, "enable_progress_bar": False, "accelerator": "cpu"}
    if name == "SCNYM":
        given = {"labels_key": transfer_cells.GIVEN, "unlabeled_category": transfer_cells.UNKNOWN}
        SCNYM.setup_anndata(adata, **given)
        model = SCNYM(adata, random_state=0)
        model.train(**shared)
        model.predict()
    else:
        SCARE.setup_anndata(adata, batch_key=scare.BATCH, labels_key=scare.TYPE)
        model = SCARE(adata, ground_truth=list(adata.var_names[:200]), random_state=0)
        model.train(plan_kwargs={"attribution_warmup_epochs": 0}, **shared)
        model.get_latent_representation()


def _cells_for(name: str, n_cells: int, file: str = "") -> ad.AnnData:
    """Log-normalised values for SCNYM, counts for SCARE; written to a file if there is one."""
    adata = simulated(n_cells)
    if name == "SCNYM":
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
    if file:
        adata.write_h5ad(file)
    return adata if not file else adata[:0]


def _memory(name: str, size: int, file: str) -> Values:
    warnings.simplefilter("ignore")
    _once(name, _cells_for(name, 1000))  # what is loaded or compiled once is no memory of cells
    adata = ad.read_h5ad(file)
    start = time.perf_counter()
    _, cost = measure(lambda: _once(name, adata))
    n = {"n_labelled": size, "n_unlabelled": size} if name == "SCNYM" else {"n_cells": size}
    return n | {
        "n_genes": adata.n_vars,
        "density": adata.X.nnz / np.prod(adata.shape),
        "matrix_mb": megabytes(adata.X),
        "seconds": time.perf_counter() - start,
        "peak_mb": cost.peak_mb,
    }


def memory(task: Task) -> Values:
    """Written in one fresh process, read and trained on in another."""
    size, name = int(task.setting), task.method
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "cells.h5ad")
        in_fresh_process(_cells_for, name, 2 * size if name == "SCNYM" else size, file)
        return in_fresh_process(_memory, name, size, file)


def _transfer_epochs(task: Task, quick: bool) -> Values:
    """SCNYM against a bare loop of the same arithmetic, over dense tensors and sparse rows."""
    source = transfer_cells.FILES[task.data][1][0]
    cells = transfer_cells.load(task._replace(protocol=transfer_cells.AS_THEY_ARE, setting=source))
    adata, threads = cells.adata.copy(), torch.get_num_threads()
    if task.setting == "dense":
        adata.X = adata.X.toarray()
    order = np.random.default_rng(task.seed).permutation(np.flatnonzero(~cells.target))
    split = list(np.split(order, [int(0.9 * len(order))]))
    SCNYM.setup_anndata(
        adata, labels_key=transfer_cells.GIVEN, unlabeled_category=transfer_cells.UNKNOWN
    )
    model = SCNYM(adata, random_state=task.seed)
    codes = np.unique(cells.given[split[0]], return_inverse=True)[1]
    parts = [cells.adata.X[rows].astype(np.float32) for rows in (split[0], cells.target)]
    dense = [torch.from_numpy(part.toarray()) for part in parts]
    rounds, n_epochs = (2, 3) if quick else (5, 8)
    calls: dict[str, Any] = {"scnym": lambda: epochs(model, n_epochs, external_indexing=split)}
    for name, tensors in (("bare", dense), ("sparse", parts)):
        total = rounds * n_epochs
        loop = MixMatchLoop(model, PRESETS["default"], *tensors, codes, total, seed=task.seed)
        calls[name] = partial(timed_epochs, loop.epoch, n_epochs)
    torch.manual_seed(task.seed)
    ms, turns = in_turns(calls, rounds)
    ratios = turns["scnym"] / turns["bare"]
    n = {"n_labelled": len(split[0]), "n_unlabelled": cells.target.sum(), "n_genes": adata.n_vars}
    return n | ms | {
        "threads": threads,
        "ratio": ms["ms_scnym"] / ms["ms_bare"],
        "ratio_sparse": ms["ms_scnym"] / ms["ms_sparse"],
        "ratio_lowest": ratios.min(),
        "ratio_highest": ratios.max(),
    }  # fmt: skip


def _transfer_speed(task: Task, method: Any, prepared: None, quick: bool) -> Values:
    if task.protocol == "memory":
        return memory(task)
    if task.protocol == "epoch":
        return _transfer_epochs(task, quick)
    cells = transfer_cells.load(task._replace(protocol=transfer_cells.AS_THEY_ARE))
    answer, seconds = transfer.timed(method, cells)
    found = (answer.labels == cells.truth)[cells.scored].mean()
    return {"seconds": seconds, "accuracy": found, "threads": torch.get_num_threads()}


TIMED = (transfer.OURS, transfer.LOGISTIC, "SCANVI", transfer.ITS_OWN)
#: Settings of each comparison.
SETTINGS = {"epoch": ("csr", "dense"), "task": ("CTRL", "STIM"), "memory": ("100000", "2000")}


def _has_transfer_speed(task: Task, method: transfer.Method) -> bool | str:
    if task.setting not in SETTINGS[task.protocol]:
        return False
    if task.protocol == "task":
        missing = method.python and method.python not in os.environ
        told = f"{task.method}: {method.python} names no interpreter"
        return task.method in TIMED and (told if missing else True)
    return task.method == transfer.OURS and (task.protocol == "epoch" or task.seed == 0)


TRANSFER_SPEED = Experiment(
    "transfer_speed",
    "An epoch of SCNYM against a bare loop, a task beside other methods, and memory.",
    _transfer_speed,
    transfer.methods,
    data=("kang", SIMULATED),
    protocols=lambda data: ("memory",) if data == SIMULATED else ("epoch", "task"),
    settings=lambda data: ("100000",) if data == SIMULATED else ("csr", "dense", "CTRL", "STIM"),
    applies=_has_transfer_speed,
    quick={
        "data": ("pbmc68k", SIMULATED),
        "settings": ("csr", "2000"),
        "methods": (transfer.OURS,),
        "seeds": (0,),
    },
    files=lambda data: (transfer_cells.FILES["kang"][0],) if data == "kang" else (),
)

#: What is trained in turns: whether it is SCARE, with types, and options of the training.
SCARE_TURNS: dict[str, tuple[bool, bool, dict[str, Any]]] = {
    "with": (True, True, {"plan_kwargs": {"attribution_warmup_epochs": 0}}),
    "with_neighbors": (True, False, {"plan_kwargs": {"attribution_warmup_epochs": 0}}),
    "without": (True, True, {"plan_kwargs": {"attribution_weight": 0.0}}),
    "scvi_validated": (False, False, {"check_val_every_n_epoch": 1}),
    "scvi": (False, False, {}),
}
RATIOS = {
    "ratio_attribution": ("with", "without"),
    "ratio_neighbors": ("with_neighbors", "without"),
    "ratio_scvi_validated": ("without", "scvi_validated"),
    "ratio_scvi": ("without", "scvi"),
}


def _scare_epochs(task: Task, quick: bool) -> Values:
    """With the attribution loss and without, and SCVI of the same network."""
    cells, threads = scare.load(task.data), torch.get_num_threads()
    genes = scare.gene_sets(task.data)[scare.BOTH]

    def call(is_scare: bool, labels: bool, options: dict[str, Any]) -> list[float]:
        # A model of its own in each turn: one that was trained longer may cost less.
        own = cells.copy()
        quiet_scvi(task.seed)
        if is_scare:
            labels_key = scare.TYPE if labels else None
            SCARE.setup_anndata(own, batch_key=scare.BATCH, labels_key=labels_key)
            model = SCARE(own, ground_truth=genes, random_state=task.seed)
        else:
            model = scare.new_scvi(own, task.seed)
        return epochs(model, 3 if quick else 5, **options)

    calls: dict[str, Any] = {name: partial(call, *told) for name, told in SCARE_TURNS.items()}
    ms, turns = in_turns(calls, 2 if quick else 4)
    found = {"n_cells": cells.n_obs, "n_genes": cells.n_vars, "threads": threads} | ms
    for name, (upper, lower) in RATIOS.items():
        found[name] = ms[f"ms_{upper}"] / ms[f"ms_{lower}"]
        ratios = turns[upper] / turns[lower]
        found |= {f"{name}_turns@{i}": ratio for i, ratio in enumerate(ratios)}
    return found


def _scare_speed(task: Task, method: scare.Method, prepared: None, quick: bool) -> Values:
    if task.protocol == "memory":
        return memory(task) | {"threads": torch.get_num_threads()}
    if task.protocol == "epoch":
        return _scare_epochs(task, quick)
    genes = scare.gene_sets(task.data)[scare.BOTH]
    adata, model, _ = scare.train(scare.load(task.data), method, genes, task.seed, quick)
    founders(adata, model, genes, n_random=1)
    start = time.perf_counter()
    pairs = founders(adata, model, genes, n_random=int(task.setting))
    return {
        "seconds": time.perf_counter() - start,
        "n_pairs": len(pairs),
        "fssf": pairs["fssf"].mean(),
        "fssf_random": pairs["random_mean"].mean(),
        "threads": torch.get_num_threads(),
    }


SCARE_SPEED = Experiment(
    "scare_speed",
    "An epoch of SCARE with the attribution loss and without, the score, and memory.",
    _scare_speed,
    lambda: {name: scare.METHODS[name] for name in (scare.OURS, scare.PLAIN)},
    data=("kang", SIMULATED),
    protocols=("epoch", "fssf", "memory"),
    settings=lambda data: ("100000",) if data == SIMULATED else ("", "100"),
    applies=lambda task, method: (
        (task.data == SIMULATED) == (task.protocol == "memory")
        and (task.protocol == "epoch") == (task.setting == "")
        and (task.protocol == "fssf" or task.method == scare.OURS)
        and (task.protocol == "epoch" or task.seed == 0)
    ),
    quick={"data": ("pbmc68k",), "settings": ("", "3"), "seeds": (0,)},
    files=lambda data: (scare.FILES["kang"][0], scare.GO_FILE) if data == "kang" else (),
)
