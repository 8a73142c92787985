"""What label transfer costs: an epoch, a task, and memory.

    python benchmarks/transfer_speed.py --help

epoch
    ``SCNYM.train`` against a bare PyTorch loop of the same arithmetic, on Kang CTRL → STIM (2000
    genes), in one process and in turns. The same are: network, initial weights, minibatches of 256
    labelled and 256 unlabelled cells, sharpening, MixUp, adversary, mean teacher, optimizer. The
    loop indexes dense tensors in memory, and in another form makes rows of a sparse matrix dense;
    it neither validates nor records anything. Medians over the epochs that follow a first one.
task
    Training and prediction by default settings, by logistic regression, by SCANVI and by scNym's
    own code (100 epochs, all genes), in turns, with the same number of threads. The interpreter of
    the last is named as for transfer.py.
memory
    100 000 labelled and 100 000 unlabelled cells × 5000 genes, sparse: one epoch, which reads all
    of them, and the prediction of all. Peak above what the process held with the matrix and the
    packages loaded. A fresh process.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import torch
from _measure import measure
from _results import RESULTS, Results, code_key
from _transfer_data import GIVEN, UNKNOWN, available, load
from _transfer_loop import MixMatchLoop
from _transfer_methods import ITS_OWN, LOGISTIC, OURS, SCANVI, methods, timed
from scipy import sparse
from train_speed import _Clock

from ace.model import SCNYM
from ace.model.scnym import PRESETS

KEYS = ("comparison", "subject", "source", "size", "seed")
TASK = ("kang", "CTRL")
SOURCES = ("CTRL", "STIM")
N_GENES = 5000
SIZE = 100_000
#: Draws of a cell; about 8 % of the genes are then found in it.
DRAWS = 450

Row = dict[str, Any]


def main(arguments: list[str] | None = None) -> None:
    """Run the comparisons asked for."""
    options = _parse(arguments)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.simplefilter("ignore")
    if options.child:
        made = CHILDREN[options.child](Path(options.file), options.size)
        print(json.dumps(made))
        return
    torch.set_num_threads(options.threads)
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # of the processes started from here
    results = Results(options.out, KEYS)
    files = ("_transfer_data.py", "_transfer_loop.py", "_transfer_methods.py", "_measure.py")
    code = code_key("model", "nn", files=("transfer_speed.py", *files))
    for name in options.only:
        reason = available(TASK[0]) if name != "memory" else None
        if reason:
            print(f"{name} left out: {reason}")
            continue
        COMPARISONS[name](results, code, options)


def _keep(results: Results, row: Row) -> None:
    results.add(row)
    shown = {k: round(v, 2) if isinstance(v, float) else v for k, v in row.items() if k != "code"}
    print(shown, flush=True)


def compare_epochs(results: Results, code: str, options: argparse.Namespace) -> None:
    """The model on each kind of matrix, and the loop, in turns."""
    for matrix in ("csr",) if options.quick else ("csr", "dense"):
        for seed in options.seeds:
            row = {"comparison": "epoch", "subject": matrix, "source": TASK[1], "seed": seed}
            row["code"] = code
            if not results.get(row):
                _keep(results, row | _epochs(matrix, seed, options))


def _epochs(matrix: str, seed: int, options: argparse.Namespace) -> Row:
    cells = load(*TASK, seed=seed)
    adata = cells.adata.copy()
    torch.set_num_threads(options.threads)  # scanpy may have set another number
    if matrix == "dense":
        adata.X = adata.X.toarray()
    labelled = np.flatnonzero(~cells.target)
    order = np.random.default_rng(seed).permutation(labelled)
    train, validation = np.split(order, [int(0.9 * len(order))])
    SCNYM.setup_anndata(adata, labels_key=GIVEN, unlabeled_category=UNKNOWN)
    model = SCNYM(adata, random_state=seed)
    names = sorted(set(cells.given[train]))
    codes = np.searchsorted(names, cells.given[train])
    parts = [cells.adata.X[rows].astype(np.float32) for rows in (train, cells.target)]
    dense = [torch.from_numpy(part.toarray()) for part in parts]
    n_total = options.rounds * options.epochs
    bare = {
        name: MixMatchLoop(model, PRESETS["default"], *tensors, codes, n_total, seed=seed)
        for name, tensors in (("bare", dense), ("sparse", parts))
    }
    seconds: dict[str, list[float]] = {name: [] for name in ("scnym", *bare)}
    ratios = []
    torch.manual_seed(seed)
    for _ in range(options.rounds):
        clock = _Clock()
        model.train(
            max_epochs=options.epochs,
            external_indexing=[train, validation],
            accelerator="cpu",
            enable_progress_bar=False,
            callbacks=[clock],
        )
        # The first epoch of a turn warms caches up.
        turn = {"scnym": list(np.diff(clock.starts))[1:]}
        turn |= {name: loop.epochs(options.epochs)[1:] for name, loop in bare.items()}
        for name, found in turn.items():
            seconds[name] += found
        ratios.append(float(median(turn["scnym"]) / median(turn["bare"])))
    ms = {name: 1e3 * float(median(found)) for name, found in seconds.items()}
    return {
        "n_labelled": len(train),
        "n_unlabelled": int(cells.target.sum()),
        "n_genes": adata.n_vars,
        "threads": torch.get_num_threads(),
        **{f"ms_{name}": value for name, value in ms.items()},
        "ratio": ms["scnym"] / ms["bare"],
        "ratio_sparse": ms["scnym"] / ms["sparse"],
        "ratio_lowest": min(ratios),
        "ratio_highest": max(ratios),
    }


def compare_tasks(results: Results, code: str, options: argparse.Namespace) -> None:
    """Both ways round, one method after the other."""
    known = methods({"scnym": options.scnym_python})
    for source in SOURCES:
        for seed in options.seeds:
            for name in (OURS, LOGISTIC, SCANVI, ITS_OWN):
                method = known[name]
                row: Row = {"comparison": "task", "subject": name, "source": source, "seed": seed}
                row["code"] = code if name == OURS else method.code
                if results.get(row):
                    continue
                if method.python and not options.scnym_python:
                    print(f"{name} left out: --scnym-python names no interpreter")
                    continue
                cells = load(TASK[0], source, seed=seed)
                torch.set_num_threads(options.threads)
                answer, taken = timed(method, cells)
                found = (answer.labels == cells.truth)[cells.scored].mean()
                row |= {"seconds": taken, "accuracy": float(found), "threads": options.threads}
                _keep(results, row)


def compare_memory(results: Results, code: str, options: argparse.Namespace) -> None:
    """Prepare in one process, train in another, whose memory holds nothing else."""
    row = {"comparison": "memory", "subject": "SCNYM, one epoch and prediction"}
    row |= {"size": options.size, "code": code}
    if results.get(row):
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cells.h5ad"
        _run_child("prepare", file, options.size)
        _keep(results, row | _run_child("train", file, options.size))


def _run_child(child: str, file: Path, size: int) -> Row:
    command = [sys.executable, __file__, "--child", child, "--file", str(file)]
    done = subprocess.run([*command, "--size", str(size)], check=True, capture_output=True)
    return json.loads(done.stdout.decode().strip().splitlines()[-1])


def simulated(n_cells: int, seed: int = 0, n_types: int = 10) -> ad.AnnData:
    """Draw counts of each cell from its type's profile, log-normalised; half have labels."""
    rng = np.random.default_rng(seed)
    profiles = rng.lognormal(0, 1, N_GENES) * rng.lognormal(0, 0.5, (n_types, N_GENES))
    bounds = np.cumsum(profiles, axis=1)
    bounds /= bounds[:, -1:]
    types = rng.integers(n_types, size=n_cells)
    parts = []
    for rows in np.array_split(np.arange(n_cells), -(-n_cells // 5000)):
        genes = np.empty((len(rows), DRAWS), np.int32)
        for k in range(n_types):
            own = types[rows] == k
            genes[own] = np.searchsorted(bounds[k], rng.random((own.sum(), DRAWS)))
        starts = np.arange(len(rows) + 1) * DRAWS
        part = sparse.csr_matrix(
            (np.ones(genes.size, np.float32), genes.ravel(), starts), (len(rows), N_GENES)
        )
        part.sum_duplicates()
        part.data = np.log1p(part.data * (1e4 / DRAWS))
        parts.append(part)
    given = np.where(np.arange(n_cells) < n_cells // 2, types.astype(str), UNKNOWN)
    names = pd.Index([f"cell{i}" for i in range(n_cells)])
    obs = pd.DataFrame({GIVEN: pd.Categorical(given)}, names)
    return ad.AnnData(sparse.vstack(parts, format="csr"), obs=obs)


def _train_once(adata: ad.AnnData) -> np.ndarray:
    SCNYM.setup_anndata(adata, labels_key=GIVEN, unlabeled_category=UNKNOWN)
    model = SCNYM(adata, random_state=0)
    model.train(max_epochs=1, enable_progress_bar=False, accelerator="cpu")
    return model.predict()


def _prepare(file: Path, size: int) -> Row:
    simulated(2 * size).write_h5ad(file)
    return {}


def _train(file: Path, size: int) -> Row:
    _train_once(simulated(1000))  # what is loaded or compiled once is no memory of cells
    adata = ad.read_h5ad(file)
    x = adata.X
    start = time.perf_counter()
    _, cost = measure(lambda: _train_once(adata))
    return {
        "n_labelled": size,
        "n_unlabelled": size,
        "n_genes": adata.n_vars,
        "density": float(x.nnz / np.prod(x.shape)),
        "matrix_mb": round((x.data.nbytes + x.indices.nbytes + x.indptr.nbytes) / 1024**2, 1),
        "seconds": time.perf_counter() - start,
        "peak_mb": cost.peak_mb,
    }


CHILDREN = {"prepare": _prepare, "train": _train}
COMPARISONS = {"epoch": compare_epochs, "task": compare_tasks, "memory": compare_memory}


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few epochs and cells, one seed")
    parser.add_argument("--only", nargs="+", choices=COMPARISONS)
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--rounds", type=int, help="turns of each")
    parser.add_argument("--epochs", type=int, help="epochs in a turn")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--size", type=int, help="labelled cells, and unlabelled ones")
    parser.add_argument("--scnym-python", default=os.environ.get("ACE_BENCH_SCNYM"))
    parser.add_argument("--out", type=Path, help="JSON file; runs that it has are not repeated")
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    quick = options.quick
    options.only = options.only or (["epoch", "memory"] if quick else list(COMPARISONS))
    options.seeds = options.seeds or ([0] if quick else [0, 1, 2])
    options.rounds = options.rounds or (2 if quick else 5)
    options.epochs = options.epochs or (3 if quick else 8)
    options.size = options.size or (2000 if quick else SIZE)
    options.out = options.out or RESULTS / ("quick" if quick else "") / "transfer_speed.json"
    return options


if __name__ == "__main__":
    main()
