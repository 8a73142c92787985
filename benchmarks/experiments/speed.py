"""Experiments on speed and memory: explanations, training, and both on a GPU.

What is compared runs in one process and in turns; times are medians after a first call or epoch,
which compiles and loads. Memory is measured in a fresh process.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
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
from lightning.pytorch import Callback
from scipy import sparse
from torch import nn

import ace
from ace.metrics import stability
from ace.model import ACE, KRATOS, SCARE, SCNYM
from ace.model.scnym import PRESETS
from benchmarks.core.data import (
    GROUP,
    SOURCES,
    blood_cells,
    files,
    load,
    log_normalise,
    quiet_scvi,
    simulated_counts,
)
from benchmarks.core.experiment import Entry, Experiment, revision
from benchmarks.core.measure import Cost, measure
from benchmarks.core.store import Task, Values
from benchmarks.experiments import scare, transfer
from benchmarks.experiments.rankings import judge, prepare
from benchmarks.methods.mixmatch_loop import MixMatchLoop, timed_epochs
from benchmarks.methods.rankings import DEFAULT, Cells, Ranking, rankings, to_panels

SIMULATED = "simulated counts"
#: Calls after the first, and seconds of a first call from which one more is enough.
REPEATS, LONG = 5, 10.0
STEPS, QUICK_STEPS = 5000, 100
KEY = "speed"


def in_fresh_process(call: Callable[..., Any], *arguments: Any) -> Any:
    """A call whose process holds nothing else."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(call, *arguments).result()


def megabytes(X: sparse.csr_matrix) -> float:
    """Size of a sparse matrix."""
    return (X.data.nbytes + X.indices.nbytes + X.indptr.nbytes) / 1024**2


def _summary(costs: list[Cost]) -> Values:
    """The first call apart, unless it is the only one: it compiles and loads."""
    later = [cost.seconds for cost in costs[1:] or costs]
    return {
        "seconds": median(later),
        "seconds_first": costs[0].seconds,
        "peak_mb": max(cost.peak_mb for cost in costs),
        **{f"seconds_all@{i}": seconds for i, seconds in enumerate(later)},
    }


# -- explanations ---------------------------------------------------------------------------------


def _explain(adata: ad.AnnData, **options: Any) -> None:
    ace.tl.explain(adata, GROUP, key_added=KEY, progress=False, **options)


def _wilcoxon(adata: ad.AnnData) -> None:
    sc.tl.rank_genes_groups(adata, GROUP, method="wilcoxon", use_raw=False, key_added=KEY)


CALLS = {"ace.tl.explain": _explain, "scanpy Wilcoxon": _wilcoxon}


@lru_cache(maxsize=1)
def _in_turns(protocol: str, data: str, quick: bool) -> dict[str, list[Cost]]:
    """Costs of all methods, which take turns on the same cells."""
    if protocol == "wilcoxon":
        adata = load(data)
        sc.pp.pca(adata, random_state=0)
        calls: dict[str, Callable[[], Any]] = {k: partial(v, adata) for k, v in CALLS.items()}
    else:
        cells, _ = prepare(Task(data))
        calls = {
            name: partial(method.rank, cells)
            for name, method in _explanations().items()
            if isinstance(method, Ranking) and (SOURCES[data].counts or not method.counts)
        }
    costs: dict[str, list[Cost]] = {name: [] for name in calls}
    for number in range((2 if quick else REPEATS) + 1):
        for name, call in calls.items():
            slow = number > 0 and costs[name][0].seconds > LONG
            if not slow or (number == 1 and not quick):
                costs[name].append(measure(call)[1])
    return costs


def _on_many_cells(name: str, size: int, repeats: int) -> Values:
    """Prepare the cells and call a function on them; run in a fresh process."""
    warnings.simplefilter("ignore")
    adata = log_normalise(simulated_counts(size))
    del adata.layers["counts"]
    sc.pp.pca(adata, random_state=0)
    # Wilcoxon takes minutes on the large matrix: one call after the first is enough.
    n_calls = (repeats if name == "ace.tl.explain" else 1) + 1
    costs = [measure(partial(CALLS[name], adata))[1] for _ in range(n_calls)]
    density = adata.X.nnz / np.prod(adata.shape)
    return {"matrix_mb": megabytes(adata.X), "density": density} | _summary(costs)


def _solver(task: Task, quick: bool) -> Values:
    """A solver on half of the cells, its panels judged on the other."""
    cells, judged = prepare(task._replace(protocol="held-out"))
    steps = QUICK_STEPS if quick else STEPS
    options = {} if task.method == "proximal" else {"max_steps": steps}
    options |= {"method": "adversarial", "random_state": task.seed}
    _, cost = measure(partial(_explain, cells.adata, solver=task.method, **options))
    result = cells.adata.uns[KEY]
    found = result["diagnostics"]
    panels = to_panels(cells.adata, result["names"])
    return {
        "steps": options.get("max_steps"),
        "seconds": cost.seconds,
        "peak_mb": cost.peak_mb,
        # Over cells, not over groups.
        "flip_rate": np.average(found["flip_rate"], weights=found["n_cells"]),
        "l1": found["l1"].mean(),
        "n_features": found["n_features"].mean(),
        **judge(judged, panels, (3, 5, 10, 18), 25, task.seed, nested=False),
    }


def _speed(task: Task, method: Any, prepared: None, quick: bool) -> Values:
    if task.protocol in ("wilcoxon", "baselines"):
        return _summary(_in_turns(task.protocol, task.data, quick)[task.method])
    if task.protocol == "scale":
        repeats = 2 if quick else REPEATS
        return in_fresh_process(_on_many_cells, task.method, int(task.setting), repeats)
    return _solver(task, quick)


def _explanations() -> dict[str, Any]:
    compared = {
        name: method
        for name, method in rankings().items()
        if method.baseline or name == f"ace {DEFAULT}"
    }
    ours = {"ace.tl.explain": Entry(revision=revision(DEFAULT)), "scanpy Wilcoxon": Entry()}
    solvers = dict.fromkeys(("proximal", "subgradient"), Entry(revision=revision("adversarial")))
    return ours | solvers | compared


def _has_speed(task: Task, method: Any) -> bool:
    """Which methods and data belong to which comparison."""
    if task.protocol == "adversarial":
        return task.method in ("proximal", "subgradient") and task.data == "pbmc3k"
    if task.seed or (task.protocol == "scale") != bool(task.setting):
        return False
    if task.protocol == "baselines":
        fits = isinstance(method, Ranking) and (SOURCES[task.data].counts or not method.counts)
        return fits and task.data in ("pbmc3k", "pbmc68k")
    on = {"wilcoxon": ("pbmc3k_processed", "pbmc68k"), "scale": (SIMULATED,)}[task.protocol]
    return task.method in CALLS and task.data in on


SPEED = Experiment(
    "speed",
    "Cost of an explanation beside Wilcoxon, all baselines, more cells and the published solver.",
    _speed,
    _explanations,
    data=("pbmc3k_processed", "pbmc3k", SIMULATED),
    protocols=("wilcoxon", "baselines", "scale", "adversarial"),
    settings=lambda data: ("10000", "100000") if data == SIMULATED else ("",),
    applies=lambda t, m: _has_speed(t, m) and (t.data == SIMULATED) == (t.protocol == "scale"),
    quick={"data": ("pbmc68k", "pbmc3k"), "protocols": ("wilcoxon", "adversarial"), "seeds": (0,)},
    files=lambda data: () if data == SIMULATED else files(data),
)


# -- training -------------------------------------------------------------------------------------


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


# -- label transfer and SCARE ---------------------------------------------------------------------


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
    obs[transfer.GIVEN] = pd.Categorical(np.where(half, obs[scare.TYPE], transfer.UNKNOWN))
    return ad.AnnData(sparse.vstack(parts, format="csr"), obs=obs)


def _scnym_once(adata: ad.AnnData) -> None:
    SCNYM.setup_anndata(adata, labels_key=transfer.GIVEN, unlabeled_category=transfer.UNKNOWN)
    model = SCNYM(adata, random_state=0)
    model.train(max_epochs=1, enable_progress_bar=False, accelerator="cpu")
    model.predict()


def _scare_once(adata: ad.AnnData) -> None:
    SCARE.setup_anndata(adata, batch_key=scare.BATCH, labels_key=scare.TYPE)
    model = SCARE(adata, ground_truth=list(adata.var_names[:200]), random_state=0)
    plan = {"attribution_warmup_epochs": 0}
    model.train(max_epochs=1, enable_progress_bar=False, accelerator="cpu", plan_kwargs=plan)
    model.get_latent_representation()


def _memory(name: str, size: int, file: str) -> Values:
    """One epoch, and all cells; run in a fresh process."""
    warnings.simplefilter("ignore")
    once = {"SCNYM": _scnym_once, "SCARE": _scare_once}[name]
    once(_for(name, simulated(1000)))  # what is loaded or compiled once is no memory of cells
    adata = ad.read_h5ad(file)
    start = time.perf_counter()
    _, cost = measure(lambda: once(adata))
    n = {"n_labelled": size, "n_unlabelled": size} if name == "SCNYM" else {"n_cells": size}
    return n | {
        "n_genes": adata.n_vars,
        "density": adata.X.nnz / np.prod(adata.shape),
        "matrix_mb": megabytes(adata.X),
        "seconds": time.perf_counter() - start,
        "peak_mb": cost.peak_mb,
    }


def _for(name: str, adata: ad.AnnData) -> ad.AnnData:
    """SCNYM reads log-normalised values, SCARE counts."""
    if name == "SCNYM":
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
    return adata


def _write(name: str, size: int, file: str) -> None:
    _for(name, simulated(2 * size if name == "SCNYM" else size)).write_h5ad(file)


def memory(task: Task) -> Values:
    """Written in one fresh process, read and trained on in another."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = (task.method, int(task.setting), str(Path(folder) / "cells.h5ad"))
        in_fresh_process(_write, *arguments)
        return in_fresh_process(_memory, *arguments)


def _transfer_epochs(task: Task, quick: bool) -> Values:
    """SCNYM against a bare loop of the same arithmetic, over dense tensors and sparse rows."""
    source = transfer.FILES[task.data][1][0]
    cells = transfer.load(task._replace(protocol=transfer.AS_THEY_ARE, setting=source))
    adata, threads = cells.adata.copy(), torch.get_num_threads()
    if task.setting == "dense":
        adata.X = adata.X.toarray()
    order = np.random.default_rng(task.seed).permutation(np.flatnonzero(~cells.target))
    split = list(np.split(order, [int(0.9 * len(order))]))
    SCNYM.setup_anndata(adata, labels_key=transfer.GIVEN, unlabeled_category=transfer.UNKNOWN)
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
    cells = transfer.load(task._replace(protocol=transfer.AS_THEY_ARE))
    answer, seconds = transfer.timed(method, cells)
    found = (answer.labels == cells.truth)[cells.scored].mean()
    return {"seconds": seconds, "accuracy": found, "threads": torch.get_num_threads()}


def _has_transfer_speed(task: Task, method: Any) -> bool | str:
    on_cells = task.protocol != "memory"
    if on_cells == (task.data == SIMULATED):
        return False
    ours = task.method == transfer.OURS
    if task.protocol == "task":
        if method.python and not transfer.os.environ.get(method.python):
            return f"{task.method}: {method.python} names no interpreter"
        return task.setting in transfer.FILES[task.data][1] and (
            task.method in (transfer.OURS, transfer.LOGISTIC, "SCANVI", transfer.ITS_OWN)
        )
    wanted = ("csr", "dense") if task.protocol == "epoch" else ("100000", "2000")
    return ours and task.setting in wanted and (task.protocol == "epoch" or task.seed == 0)


TRANSFER_SPEED = Experiment(
    "transfer_speed",
    "An epoch of SCNYM against a bare loop, a task beside other methods, and memory.",
    _transfer_speed,
    transfer.methods,
    data=("kang", SIMULATED),
    protocols=("epoch", "task", "memory"),
    settings=lambda data: ("100000",) if data == SIMULATED else ("csr", "dense", "CTRL", "STIM"),
    applies=_has_transfer_speed,
    quick={
        "data": ("pbmc68k", SIMULATED),
        "protocols": ("epoch", "memory"),
        "settings": ("csr", "2000"),
        "methods": (transfer.OURS,),
        "seeds": (0,),
    },
    files=lambda data: () if data in (SIMULATED, "pbmc68k") else (transfer.FILES[data][0],),
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
    scare.founders(adata, model, genes, n_random=1)
    start = time.perf_counter()
    pairs = scare.founders(adata, model, genes, n_random=int(task.setting))
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


# -- a GPU ----------------------------------------------------------------------------------------


def _on_gpu_cells(data: str) -> ad.AnnData:
    """Log-normalised cells with counts in a layer; of half of them the labels are given."""
    if data == "pbmc68k":
        adata = blood_cells()
        adata.obs[GROUP] = adata.obs["bulk_labels"]
    else:
        adata = load(data) if data in SOURCES else log_normalise(simulated_counts(100_000))
    given = adata.obs[GROUP].to_numpy().astype(object)
    given[np.random.default_rng(0).permutation(adata.n_obs)[::2]] = transfer.UNKNOWN
    adata.obs[transfer.GIVEN] = pd.Categorical(given)
    return adata


def _new_model(name: str, adata: ad.AnnData, seed: int) -> tuple[Any, dict[str, Any]]:
    """A model, and options of its training with which every epoch is the same."""
    import scvi

    if name == "SCVI":
        scvi.model.SCVI.setup_anndata(adata, layer="counts")
        return scvi.model.SCVI(adata), {"check_val_every_n_epoch": 1}
    setup: dict[str, Any] = {
        "ACE": {},
        "KRATOS": {"labels_key": GROUP},
        "SCNYM": {"labels_key": transfer.GIVEN, "unlabeled_category": transfer.UNKNOWN},
        "SCARE": {"layer": "counts", "labels_key": GROUP},
    }[name]
    options: dict[str, Any] = {
        "SCNYM": {},
        "SCARE": {"plan_kwargs": {"attribution_warmup_epochs": 0}},
    }.get(name, {"early_stopping": False})
    model = getattr(ace.model, name)
    model.setup_anndata(adata, **setup)
    genes = {"ground_truth": list(adata.var_names[:50])} if name == "SCARE" else {}
    return model(adata, random_state=seed, **genes), options


def devices() -> dict[str, str]:
    """Names of torch and Lightning, by hardware."""
    found = {"processor": "cpu"}
    return found | ({torch.cuda.get_device_name(0): "gpu"} if torch.cuda.is_available() else {})


@lru_cache(maxsize=1)
def _compared(data: str, name: str, seed: int, quick: bool) -> dict[str, Values]:
    """Train on each device, then explain what the last one trained on each."""
    adata, rows, model = _on_gpu_cells(data), {}, None
    for hardware, accelerator in devices().items():
        quiet_scvi(seed)
        model, options = _new_model(name, adata.copy(), seed)
        seconds = epochs(model, 3 if quick else 4, accelerator=accelerator, **options)
        rows[hardware] = {
            "threads": torch.get_num_threads(),
            "n_cells": adata.n_obs,
            "n_genes": adata.n_vars,
            "ms_epoch": 1e3 * median(seconds[1:]),
        }
    for method in ("panel", "expected_gradients"):
        panels: list[Any] = []
        for hardware, accelerator in devices().items():
            model.to_device("cpu" if accelerator == "cpu" else "cuda:0")
            cells = Cells(adata, seed, {name: (model, Cost(0, 0))})
            call = partial(rankings_of, cells, method, name)
            call()
            found, cost = measure(call)
            panels.append(found)
            rows[hardware][f"seconds_{method}"] = cost.seconds
            if len(panels) > 1:
                agreement = stability([panels[0], found], 18)["jaccard"].mean()
                rows[hardware][f"jaccard_{method}"] = agreement
    return rows


def rankings_of(cells: Cells, method: str, model: str) -> Any:
    """Panels of a method through a model that was trained before."""
    _explain(cells.adata, method=method, model=cells.trained(model)[0], random_state=cells.seed)
    return to_panels(cells.adata, cells.adata.uns[KEY]["names"])


GPU = Experiment(
    "gpu",
    "The same training, and the same explanation, on the processor and on a GPU.",
    lambda task, method, prepared, quick: _compared(task.data, task.method, task.seed, quick)[
        task.protocol
    ],
    lambda: {
        **{name: Entry(revision=revision(name)) for name in ("KRATOS", "ACE", "SCNYM", "SCARE")},
        "SCVI": Entry(),
    },
    data=("pbmc3k", "100 000 cells"),
    protocols=lambda data: tuple(devices()),
    applies=lambda task, method: len(devices()) > 1 or "gpu: torch finds no GPU",
    quick={"data": ("pbmc68k",), "seeds": (0,)},
    files=lambda data: files(data) if data in SOURCES else (),
)
