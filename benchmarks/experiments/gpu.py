"""Experiment on a GPU: training and explanations on the processor and on it."""

from __future__ import annotations

from functools import lru_cache, partial
from statistics import median
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import torch

import ace
from ace.metrics import stability
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
from benchmarks.core.store import Values
from benchmarks.experiments import transfer_cells
from benchmarks.experiments.speed import KEY, explain
from benchmarks.experiments.train_speed import epochs
from benchmarks.methods.rankings import Cells, to_panels


def _on_gpu_cells(data: str) -> ad.AnnData:
    """Log-normalised cells with counts in a layer; of half of them the labels are given."""
    adata = load(data) if data in SOURCES else log_normalise(simulated_counts(100_000))
    if data == "pbmc68k":
        adata.layers["counts"] = blood_cells().layers["counts"]
    given = adata.obs[GROUP].to_numpy().astype(object)
    given[np.random.default_rng(0).permutation(adata.n_obs)[::2]] = transfer_cells.UNKNOWN
    adata.obs[transfer_cells.GIVEN] = pd.Categorical(given)
    return adata


#: How each model is set up, and options of its training with which every epoch is the same.
ON_GPU: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "KRATOS": ({"labels_key": GROUP}, {"early_stopping": False}),
    "ACE": ({}, {"early_stopping": False}),
    "SCNYM": (
        {"labels_key": transfer_cells.GIVEN, "unlabeled_category": transfer_cells.UNKNOWN},
        {},
    ),
    "SCARE": (
        {"layer": "counts", "labels_key": GROUP},
        {"plan_kwargs": {"attribution_warmup_epochs": 0}},
    ),
    "SCVI": ({"layer": "counts"}, {"check_val_every_n_epoch": 1}),
}


def _new_model(name: str, adata: ad.AnnData, seed: int) -> Any:
    scvi = quiet_scvi(seed)
    model = scvi.model.SCVI if name == "SCVI" else getattr(ace.model, name)
    model.setup_anndata(adata, **ON_GPU[name][0])
    options: dict[str, Any] = {} if name == "SCVI" else {"random_state": seed}
    options |= {"ground_truth": list(adata.var_names[:50])} if name == "SCARE" else {}
    return model(adata, **options)


def devices() -> dict[str, str]:
    """Names of torch and Lightning, by hardware."""
    found = {"processor": "cpu"}
    return found | ({torch.cuda.get_device_name(0): "gpu"} if torch.cuda.is_available() else {})


@lru_cache(maxsize=1)
def _compared(data: str, name: str, seed: int, quick: bool) -> dict[str, Values]:
    """Train on each device, then explain what the last one trained on each."""
    adata, rows, model = _on_gpu_cells(data), {}, None
    for hardware, accelerator in devices().items():
        model = _new_model(name, adata.copy(), seed)
        options = ON_GPU[name][1] | {"accelerator": accelerator}
        seconds = epochs(model, 3 if quick else 4, **options)
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
    explain(cells.adata, method=method, model=cells.trained(model)[0], random_state=cells.seed)
    return to_panels(cells.adata, cells.adata.uns[KEY]["names"])


GPU = Experiment(
    "gpu",
    "The same training, and the same explanation, on the processor and on a GPU.",
    lambda task, method, prepared, quick: _compared(task.data, task.method, task.seed, quick)[
        task.protocol
    ],
    lambda: {name: Entry(revision=revision(name)) for name in ON_GPU},
    data=("pbmc3k", "100 000 cells"),
    protocols=lambda data: tuple(devices()),
    applies=lambda task, method: len(devices()) > 1 or "gpu: torch finds no GPU",
    quick={"data": ("pbmc68k",), "seeds": (0,)},
    files=lambda data: files(data) if data in SOURCES else (),
)
