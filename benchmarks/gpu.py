"""What a GPU gains: the same training, and the same explanation, on the processor and on it.

    python benchmarks/gpu.py --help

training
    An epoch with default settings on either device, medians over the epochs that follow a first.
explanation
    ``ace.tl.explain`` of one model, moved from one device to the other: seconds after a first
    call, and how far both find the same 18 genes (mean Jaccard index over groups).

PBMC3k (2000 genes), and 100 000 simulated cells × 2000 genes, 8 % of their values non-zero, 10
groups. Without a GPU nothing is run.
"""

from __future__ import annotations

import argparse
import warnings
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scanpy as sc
import scvi
import torch
from _data import GROUP, available, load
from _measure import Cost, measure
from _rankings import Cells, _ace, _quiet_scvi
from _results import RESULTS, Results, Row, code_key
from _transfer_data import GIVEN, UNKNOWN
from speed import simulated_counts
from train_speed import _Clock

import ace
from ace.metrics import stability

if TYPE_CHECKING:
    from collections.abc import Callable

    from _rankings import Panels
    from anndata import AnnData

KEYS = ("model", "data", "device", "seed")
SIMULATED, BUNDLED = "100 000 cells", "pbmc68k"
N_CELLS, TOP = 100_000, 18
METHODS = ("panel", "expected_gradients")
N_PATHWAY = 50


def cells_of(name: str, n_cells: int) -> AnnData:
    """Log-normalised cells with counts in a layer; of half of them the labels are given."""
    if name == SIMULATED:
        adata = simulated_counts(n_cells)
        adata.layers["counts"] = adata.X.copy()
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
    elif name == BUNDLED:
        adata = ace.datasets.pbmc68k()
        adata.obs[GROUP] = adata.obs["bulk_labels"]
    else:
        adata = load(name)
    given = adata.obs[GROUP].to_numpy().astype(object)
    given[np.random.default_rng(0).permutation(adata.n_obs)[::2]] = UNKNOWN
    adata.obs[GIVEN] = pd.Categorical(given)
    return adata


def _kratos(adata: AnnData, seed: int) -> Any:
    ace.model.KRATOS.setup_anndata(adata, GROUP)
    return ace.model.KRATOS(adata, random_state=seed)


def _autoencoder(adata: AnnData, seed: int) -> Any:
    ace.model.ACE.setup_anndata(adata)
    return ace.model.ACE(adata, random_state=seed)


def _scnym(adata: AnnData, seed: int) -> Any:
    ace.model.SCNYM.setup_anndata(adata, labels_key=GIVEN, unlabeled_category=UNKNOWN)
    return ace.model.SCNYM(adata, random_state=seed)


def _scare(adata: AnnData, seed: int) -> Any:
    ace.model.SCARE.setup_anndata(adata, layer="counts", labels_key=GROUP)
    genes = list(adata.var_names[:N_PATHWAY])
    return ace.model.SCARE(adata, ground_truth=genes, random_state=seed)


def _scvi(adata: AnnData, seed: int) -> Any:
    del seed  # set for all of scvi-tools before
    scvi.model.SCVI.setup_anndata(adata, layer="counts")
    return scvi.model.SCVI(adata)


#: How each is made, and what its training is told so that every epoch is the same.
MODELS: dict[str, tuple[Callable[[AnnData, int], Any], dict[str, Any]]] = {
    "KRATOS": (_kratos, {"early_stopping": False}),
    "ACE": (_autoencoder, {"early_stopping": False}),
    "SCNYM": (_scnym, {}),
    "SCARE": (_scare, {"plan_kwargs": {"attribution_warmup_epochs": 0}}),
    "SCVI": (_scvi, {"check_val_every_n_epoch": 1}),
}


def devices() -> dict[str, str]:
    """Names that torch and Lightning have for what is here."""
    return {"cpu": "cpu", **({"cuda:0": "gpu"} if torch.cuda.is_available() else {})}


def compare(name: str, adata: AnnData, seed: int, n_epochs: int) -> list[Row]:
    """Train on each device, then explain what the last one trained on each."""
    make, told = MODELS[name]
    rows, model = {}, None
    for device, accelerator in devices().items():
        _quiet_scvi(seed)
        model, clock = make(adata.copy(), seed), _Clock()
        model.train(
            max_epochs=n_epochs,
            accelerator=accelerator,
            enable_progress_bar=False,
            callbacks=[clock],
            **told,
        )
        rows[device] = {
            "device": device,
            "hardware": torch.cuda.get_device_name(0) if accelerator == "gpu" else "processor",
            "threads": torch.get_num_threads(),
            "n_cells": adata.n_obs,
            "n_genes": adata.n_vars,
            "ms_epoch": 1e3 * float(median(np.diff(clock.starts)[1:])),
        }
    for method in METHODS:
        panels: list[Panels] = []
        for device, row in rows.items():
            model.to_device(device)
            cells = Cells(adata, seed, {name: (model, Cost(0, 0))})
            call = partial(_ace, cells, method, name)
            call()
            found, cost = measure(call)
            panels.append(found)
            row[f"seconds_{method}"] = cost.seconds
            if len(panels) > 1:
                agreement = stability([panels[0], found], TOP)
                row[f"jaccard_{method}"] = float(agreement["jaccard"].mean())
    return list(rows.values())


def main(arguments: list[str] | None = None) -> None:
    """Compare what is asked for and not yet there."""
    options = _parse(arguments)
    if len(devices()) < 2:
        print("left out: torch finds no GPU here")
        return
    warnings.simplefilter("ignore")
    results = Results(options.out, KEYS)
    code = code_key("explain", "nn", "tl", "model", files=("gpu.py", "_data.py", "_measure.py"))
    for data in options.data:
        reason = None if data == SIMULATED else available(data)
        if reason:
            print(f"{data} left out: {reason}")
            continue
        adata = cells_of(data, options.cells)
        for seed, name in product(options.seeds, options.models):
            row = {"model": name, "data": data, "seed": seed, "code": code}
            if all(results.get(row | {"device": device}) for device in devices()):
                continue
            for made in compare(name, adata, seed, options.epochs):
                results.add(row | made)
                print(row | made, flush=True)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the bundled cells, one seed")
    parser.add_argument("--data", nargs="+", choices=("pbmc3k", SIMULATED, BUNDLED))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--cells", type=int, default=N_CELLS, help="of the simulated set")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--out", type=Path, help="JSON file; runs that it has are not repeated")
    options = parser.parse_args(arguments)
    options.data = options.data or ([BUNDLED] if options.quick else ["pbmc3k", SIMULATED])
    options.seeds = options.seeds or ([0] if options.quick else [0, 1, 2])
    options.epochs = options.epochs or (3 if options.quick else 4)
    options.out = options.out or RESULTS / ("quick" if options.quick else "") / "gpu.json"
    return options


if __name__ == "__main__":
    main()
