"""Packages that need an environment of their own: run there, not here.

    /their/python benchmarks/methods/foreign.py scnym cells.h5ad answer.npz '{"seed": 0}'

The file holds counts, and the given labels in ``obs``. Written are the probabilities of the known
types, the cells they belong to, and the seconds (neither of reading nor of importing). Nothing of
``ace`` is imported.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import types
import warnings
from functools import reduce

import anndata as ad
import numpy as np
import scanpy as sc

GIVEN, UNKNOWN = "given", "Unknown"


def scnym(adata: ad.AnnData, options: dict) -> dict:
    """Run the published code, its default settings: log1p(CPM), all genes, 100 epochs."""
    import torch

    _stand_in_for_torchvision()
    from scnym.api import CONFIGS, UNLABELED_TOKEN, scnym_api

    torch.manual_seed(options["seed"])
    np.random.seed(options["seed"])  # noqa: NPY002 (what that code draws from)
    name = options["config"]
    CONFIGS[name]["n_epochs"] = options["epochs"]
    start = time.perf_counter()
    sc.pp.normalize_total(adata, target_sum=1e6)
    sc.pp.log1p(adata)
    given = adata.obs[GIVEN].astype(str).to_numpy()
    adata.obs["scnym_labels"] = np.where(given == UNKNOWN, UNLABELED_TOKEN, given)
    with tempfile.TemporaryDirectory() as folder:
        common = {"groupby": "scnym_labels", "out_path": folder, "config": name}
        scnym_api(adata=adata, task="train", **common)
        scnym_api(adata=adata, task="predict", trained_model=folder, **common)
    seconds = time.perf_counter() - start
    probabilities = adata.uns["scNym_probabilities"]
    held_out = adata.uns["scNym_train_results"]["val_idx"]
    labelled = np.flatnonzero(given != UNKNOWN)
    return {
        "names": probabilities.columns.to_numpy().astype(str),
        "probabilities": probabilities.to_numpy(),
        "cells": np.arange(adata.n_obs),
        "held_out": labelled[held_out],
        "seconds": seconds,
    }


def celltypist(adata: ad.AnnData, options: dict) -> dict:
    """Run logistic regression on scaled genes, default settings, without a vote."""
    import celltypist

    start = time.perf_counter()
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    known = (adata.obs[GIVEN].astype(str) != UNKNOWN).to_numpy()
    model = celltypist.train(adata[known].copy(), labels=GIVEN, n_jobs=1)
    found = celltypist.annotate(adata[~known].copy(), model=model)
    probabilities = found.probability_matrix
    return {
        "names": probabilities.columns.to_numpy().astype(str),
        "probabilities": probabilities.to_numpy(),
        "cells": np.flatnonzero(~known),
        "seconds": time.perf_counter() - start,
    }


def _stand_in_for_torchvision() -> None:
    """Compose functions without torchvision, each of whose builds fits one build of torch."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        package = types.ModuleType("torchvision")
        package.transforms = types.ModuleType("torchvision.transforms")
        package.transforms.Compose = lambda calls: lambda x: reduce(lambda y, f: f(y), calls, x)
        sys.modules |= {"torchvision": package, "torchvision.transforms": package.transforms}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    name, source, target, given = sys.argv[1:]
    call = {"scnym": scnym, "celltypist": celltypist}[name]
    np.savez(target, **call(ad.read_h5ad(source), json.loads(given)))
