"""Listen to the genes of a pathway, a time point, or few: SCARE, its parts and its alternatives.

    python benchmarks/scare.py --help

Models see counts of 2000 variable genes and the genes of the sets, and the batch where there is
one; all are trained for as many epochs with as many latent dimensions. Types of at least 20 cells
are told from latent spaces by a vote of the 15 nearest cells, in five folds.

pathway
    The feature-set subcluster founder score (FSSF) of the genes and of random sets, the share of
    absolute attribution on the genes (by one measure for all models), types and batches.
weights
    FSSF against types told, for several weights of the attribution loss.
integration
    The measures of scib-metrics, in an environment of its own: name its interpreter by
    ``--scib-python`` or in ACE_BENCH_SCIB (``pip install scib-metrics``). Without, left out.
time
    Two time points within each type: genes of mutual information with time, by type or of all.
disjoint
    Two sets in latent dimensions of their own: the score of each set in each block.
selection
    50 genes that a model selects, judged by how well they alone tell types.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scanpy as sc
import torch
from _results import RESULTS, Results
from _scare_data import BATCH, BOTH, SOURCES, TYPE, available, gene_sets, load
from _scare_models import ALONE, Budget, trained
from _scare_scores import shown
from _scare_tasks import (
    BUNDLED,
    DATA,
    MAIN,
    asked,
    disjoint,
    kept_latent,
    pathway,
    row_of,
    selection,
    time_points,
    weights,
)

if TYPE_CHECKING:
    from _scare_tasks import Job

Row = dict[str, Any]
KEYS = ("comparison", "data", "set", "method", "seed", "epochs", "weight")
UNINTEGRATED = "PCA, unintegrated"
INTEGRATED = (*MAIN, ALONE, UNINTEGRATED)


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for and not yet there."""
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    results = Results(options.out, KEYS)
    for comparison in options.only:
        for data in options.data:
            if available(data):
                print(f"skipped {data}: {available(data)}", flush=True)
                continue
            if comparison == "integration":
                integration(results, data, options)
                continue
            for job in COMPARISONS[comparison](data, options):
                if not results.get(job.row):
                    _add(results, job)


def _add(results: Results, job: Job) -> None:
    start = time.perf_counter()
    name = ", ".join(str(job.row[key]) for key in KEYS[:5])
    try:
        row = job.row | job.run()
    except Exception as error:  # noqa: BLE001 (one method must not cost the others)
        print(f"FAILED {name}: {error!r}", file=sys.stderr)
        return
    results.add(row)
    print(f"[{time.perf_counter() - start:.0f} s] {name}: {shown(row)}", flush=True)


# -- integration ----------------------------------------------------------------------------------


def integration(results: Results, data: str, options: argparse.Namespace) -> None:
    """All latent spaces of a seed in one call of the other interpreter."""
    if not SOURCES[data].batches:
        return
    if not options.scib_python:
        print("integration left out: --scib-python names no interpreter")
        return
    for seed in options.seeds:
        rows = [row_of("integration", data, BOTH, m, seed, options) for m in INTEGRATED]
        rows = [r for r in rows if r["method"] in asked(INTEGRATED, options)]
        rows = [row for row in rows if not results.get(row)]
        if not rows:
            continue
        adata = load(data)
        first = sc.pp.pca(adata[:, adata.var["highly_variable"]].layers["log"], random_state=0)
        latents = [_latent(row, first, options) for row in rows]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "latents.npz"
            np.savez(
                file,
                types=adata.obs[TYPE].to_numpy().astype(str),
                batches=adata.obs[BATCH].to_numpy().astype(str),
                unintegrated=first,
                **{f"z{i}": z for i, z in enumerate(latents)},
            )
            script = Path(__file__).with_name("_scare_scib.py")
            command = [options.scib_python, str(script), str(file)]
            done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:]
            print(f"FAILED integration, seed {seed}: {last}", file=sys.stderr)
            continue
        for row, found in zip(rows, json.loads(done.stdout.splitlines()[-1]), strict=True):
            results.add(row | found)
            print(f"integration, {row['method']}, {seed}: {shown(row | found)}", flush=True)


def _latent(row: Row, first: np.ndarray, options: argparse.Namespace) -> np.ndarray:
    if row["method"] == UNINTEGRATED:
        return first
    file = kept_latent(row, options)
    if not file.exists():
        genes = gene_sets(row["data"])[row["set"]]
        _, model, _ = trained(row["data"], row["method"], genes, row["seed"], options.budget)
        np.save(file, model.get_latent_representation())
    return np.load(file)


COMPARISONS: dict[str, Any] = {
    "pathway": pathway,
    "weights": weights,
    "integration": integration,
    "time": time_points,
    "disjoint": disjoint,
    "selection": selection,
}


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="bundled cells, few epochs, one seed")
    parser.add_argument("--only", nargs="+", choices=COMPARISONS)
    parser.add_argument("--data", nargs="+", choices=SOURCES)
    parser.add_argument("--sets", nargs="+", help="sets of genes, by name")
    parser.add_argument("--methods", nargs="+", help="by name")
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--epochs", type=int, help="default: the model's")
    parser.add_argument("--weight", type=float, help="of the attribution loss; the model's")
    parser.add_argument("--n-random", type=int, help="random sets of genes")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--scib-python", default=os.environ.get("ACE_BENCH_SCIB"))
    parser.add_argument("--latents", type=Path, help="folder to keep latent spaces in")
    parser.add_argument("--out", type=Path, help="JSON file; runs that it has are not repeated")
    options = parser.parse_args(arguments)
    quick = options.quick
    options.seeds = options.seeds or ([0] if quick else [0, 1, 2])
    options.data = options.data or ([BUNDLED] if quick else list(DATA))
    options.only = options.only or list(COMPARISONS)
    options.epochs = options.epochs or (2 if quick else None)
    options.n_random = (3 if quick else 100) if options.n_random is None else options.n_random
    options.budget = Budget(options.epochs, options.weight)
    options.latents = options.latents or RESULTS / "quick" / "latents"
    options.out = options.out or RESULTS / ("quick" if quick else "") / "scare.json"
    return options


if __name__ == "__main__":
    main()
