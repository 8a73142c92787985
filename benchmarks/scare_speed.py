"""What the attribution loss costs: an epoch, the score of founders, and memory.

    python benchmarks/scare_speed.py --help

epoch
    ``SCARE.train`` with the attribution loss against the same without, and without against
    ``scvi.model.SCVI`` of the same network, on Kang, in one process and in turns; SCVI with a
    validation in each epoch, as SCARE has it, and without. Medians over the epochs that follow the
    first of a turn.
fssf
    ``ace.tl.fssf`` of both gene sets with 100 random ones, on Kang. After a first call on few
    random sets, which compiles.
memory
    100 000 cells × 5000 genes, sparse: one epoch with the attribution loss, and the latent space
    of all cells. Peak above what the process held with the matrix and the packages loaded. A fresh
    process.
"""

from __future__ import annotations

import argparse
import json
import logging
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
import torch
from _measure import measure
from _rankings import _quiet_scvi
from _results import RESULTS, Results, code_key
from _scare_data import BATCH, BOTH, TYPE, available, gene_sets, load
from _scare_models import METHODS, N_LATENT, OURS, PLAIN, Budget, train
from _scare_scores import founders
from scipy import sparse
from train_speed import _Clock

from ace.model import SCARE

KEYS = ("comparison", "subject", "size", "seed", "threads")
DATA, BUNDLED = "kang", "pbmc68k"
N_GENES = 5000
SIZE = 100_000
#: Draws of a cell; about 8 % of the genes are then found in it.
DRAWS = 450
N_TRUTH = 200
#: What is trained in turns: how it is made, and what its training is told.
SUBJECTS: dict[str, tuple[str, bool, dict[str, Any]]] = {
    "with": ("SCARE", True, {"plan_kwargs": {"attribution_warmup_epochs": 0}}),
    "with_neighbors": ("SCARE", False, {"plan_kwargs": {"attribution_warmup_epochs": 0}}),
    "without": ("SCARE", True, {"plan_kwargs": {"attribution_weight": 0.0}}),
    "scvi_validated": ("SCVI", False, {"check_val_every_n_epoch": 1}),
    "scvi": ("SCVI", False, {}),
}

Row = dict[str, Any]


def main(arguments: list[str] | None = None) -> None:
    """Run the comparisons asked for."""
    options = _parse(arguments)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.simplefilter("ignore")
    if options.child:
        print(json.dumps(CHILDREN[options.child](Path(options.file), options.size)))
        return
    torch.set_num_threads(options.threads)
    results = Results(options.out, KEYS)
    files = ("scare_speed.py", "_scare_data.py", "_scare_models.py", "_measure.py")
    code = code_key("model", "nn", files=files)
    for name in options.only:
        reason = available(options.data) if name != "memory" else None
        if reason:
            print(f"{name} left out: {reason}")
            continue
        COMPARISONS[name](results, code, options)


def _keep(results: Results, row: Row) -> None:
    results.add(row)
    shown = {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items() if k != "code"}
    print(shown, flush=True)


# -- an epoch -------------------------------------------------------------------------------------


def compare_epochs(results: Results, code: str, options: argparse.Namespace) -> None:
    """All subjects in turns."""
    for seed in options.seeds:
        row = {"comparison": "epoch", "subject": options.data, "seed": seed, "code": code}
        row["threads"] = options.threads
        if not results.get(row):
            _keep(results, row | _epochs(seed, options))


def _epochs(seed: int, options: argparse.Namespace) -> Row:
    cells = load(options.data)
    torch.set_num_threads(options.threads)  # scanpy may have set another number
    seconds: dict[str, list[float]] = {name: [] for name in SUBJECTS}
    turns: list[dict[str, float]] = []
    for _ in range(options.rounds):
        turn = {}
        for name, (kind, labels, told) in SUBJECTS.items():
            clock = _Clock()
            # A model of its own in each turn: one that was trained longer may cost less.
            model = _model(kind, cells, labels, seed, options.data)
            model.train(
                max_epochs=options.epochs,
                accelerator="cpu",
                enable_progress_bar=False,
                callbacks=[clock],
                **told,
            )
            turn[name] = list(np.diff(clock.starts))[1:]
            seconds[name] += turn[name]
        turns.append({name: float(median(found)) for name, found in turn.items()})
    ms = {name: 1e3 * float(median(found)) for name, found in seconds.items()}
    ratios = {
        "ratio_attribution": ("with", "without"),
        "ratio_neighbors": ("with_neighbors", "without"),
        "ratio_scvi_validated": ("without", "scvi_validated"),
        "ratio_scvi": ("without", "scvi"),
    }
    found: Row = {"n_cells": cells.n_obs, "n_genes": cells.n_vars}
    found |= {f"ms_{name}": value for name, value in ms.items()}
    for name, (upper, lower) in ratios.items():
        found[name] = ms[upper] / ms[lower]
        found[f"{name}_turns"] = [round(turn[upper] / turn[lower], 3) for turn in turns]
    return found


def _model(kind: str, cells: ad.AnnData, labels: bool, seed: int, data: str) -> Any:
    own = cells.copy()
    scvi = _quiet_scvi(seed)
    if kind == "SCVI":
        scvi.model.SCVI.setup_anndata(own, batch_key=BATCH)
        return scvi.model.SCVI(
            own, n_latent=N_LATENT, gene_likelihood="nb", encode_covariates=True
        )
    SCARE.setup_anndata(own, batch_key=BATCH, labels_key=TYPE if labels else None)
    return SCARE(own, ground_truth=gene_sets(data)[BOTH], random_state=seed)


# -- the score ------------------------------------------------------------------------------------


def compare_fssf(results: Results, code: str, options: argparse.Namespace) -> None:
    """With the attribution loss and without."""
    for seed in options.seeds:
        for name in (OURS, PLAIN):
            row = {"comparison": "fssf", "subject": name, "seed": seed, "code": code}
            row |= {"size": options.n_random, "threads": options.threads}
            if results.get(row):
                continue
            genes = gene_sets(options.data)[BOTH]
            budget = Budget(options.fssf_epochs)
            adata, model, _ = train(load(options.data), METHODS[name], genes, seed, budget)
            founders(adata, model, genes, TYPE, n_random=1)
            start = time.perf_counter()
            found, _ = founders(adata, model, genes, TYPE, n_random=options.n_random)
            row["seconds"] = time.perf_counter() - start
            _keep(results, row | {k: found[k] for k in ("n_pairs", "fssf", "fssf_random")})


# -- memory ---------------------------------------------------------------------------------------


def compare_memory(results: Results, code: str, options: argparse.Namespace) -> None:
    """Prepare in one process, train in another, whose memory holds nothing else."""
    row = {"comparison": "memory", "subject": "SCARE, one epoch and all latents"}
    row |= {"size": options.size, "threads": options.threads, "code": code}
    if results.get(row):
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cells.h5ad"
        _run_child("prepare", file, options)
        _keep(results, row | _run_child("train", file, options))


def _run_child(child: str, file: Path, options: argparse.Namespace) -> Row:
    command = [sys.executable, __file__, "--child", child, "--file", str(file)]
    command += ["--size", str(options.size), "--threads", str(options.threads)]
    done = subprocess.run(command, check=True, capture_output=True)
    return json.loads(done.stdout.decode().strip().splitlines()[-1])


def simulated(n_cells: int, seed: int = 0, n_types: int = 10) -> ad.AnnData:
    """Draw counts of each cell from its type's profile; two batches."""
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
        parts.append(part)
    adata = ad.AnnData(sparse.vstack(parts, format="csr"))
    adata.obs[TYPE] = np.char.add("type", types.astype(str))
    adata.obs[BATCH] = np.where(np.arange(n_cells) % 2, "a", "b")
    return adata


def _train_once(adata: ad.AnnData) -> np.ndarray:
    SCARE.setup_anndata(adata, batch_key=BATCH, labels_key=TYPE)
    model = SCARE(adata, ground_truth=list(adata.var_names[:N_TRUTH]), random_state=0)
    told = {"attribution_warmup_epochs": 0}
    model.train(max_epochs=1, enable_progress_bar=False, accelerator="cpu", plan_kwargs=told)
    return model.get_latent_representation()


def _prepare(file: Path, size: int) -> Row:
    simulated(size).write_h5ad(file)
    return {}


def _train(file: Path, size: int) -> Row:
    _train_once(simulated(1000))  # what is loaded or compiled once is no memory of cells
    adata = ad.read_h5ad(file)
    x = adata.X
    start = time.perf_counter()
    _, cost = measure(lambda: _train_once(adata))
    return {
        "n_cells": size,
        "n_genes": adata.n_vars,
        "density": float(x.nnz / np.prod(x.shape)),
        "matrix_mb": round((x.data.nbytes + x.indices.nbytes + x.indptr.nbytes) / 1024**2, 1),
        "seconds": time.perf_counter() - start,
        "peak_mb": cost.peak_mb,
    }


CHILDREN = {"prepare": _prepare, "train": _train}
COMPARISONS = {"epoch": compare_epochs, "fssf": compare_fssf, "memory": compare_memory}


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few epochs and cells, one seed")
    parser.add_argument("--only", nargs="+", choices=COMPARISONS)
    parser.add_argument("--data", choices=(DATA, BUNDLED))
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--rounds", type=int, help="turns of each")
    parser.add_argument("--epochs", type=int, help="epochs in a turn")
    parser.add_argument("--fssf-epochs", type=int, help="before a score; default: the model's")
    parser.add_argument("--n-random", type=int, help="random sets of genes")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--size", type=int, help="cells")
    parser.add_argument("--out", type=Path, help="JSON file; runs that it has are not repeated")
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    quick = options.quick
    options.only = options.only or list(COMPARISONS)
    options.data = options.data or (BUNDLED if quick else DATA)
    options.seeds = options.seeds or ([0] if quick else [0, 1, 2])
    options.rounds = options.rounds or (2 if quick else 4)
    options.epochs = options.epochs or (3 if quick else 5)
    options.fssf_epochs = options.fssf_epochs or (2 if quick else None)
    options.n_random = options.n_random or (3 if quick else 100)
    options.size = options.size or (2000 if quick else SIZE)
    options.out = options.out or RESULTS / ("quick" if quick else "") / "scare_speed.json"
    return options


if __name__ == "__main__":
    main()
