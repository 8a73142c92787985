"""Cells, gene sets and models of the experiment on SCARE."""

import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc

import ace
from ace import _compat
from ace.model import SCARE
from ace.model.scare import _model as defaults
from benchmarks.core.data import log_normalise, path, quiet_scvi
from benchmarks.core.data import read as from_file
from benchmarks.core.experiment import revision, settings
from benchmarks.core.store import Task
from benchmarks.methods import models

#: Columns of ``obs``.
TYPE, BATCH, TIME = "type", "batch", "time"
BOTH = "both"
N_GENES, N_LATENT, N_SELECTED, N_TIME_GENES = 2000, 20, 50, 40
#: Random sets of genes where something is claimed of them, and elsewhere.
N_RANDOM, N_FEW, N_QUICK = 100, 20, 3
#: Types with fewer cells have no score. Neighbours that vote.
MIN_CELLS, N_NEIGHBORS = 20, 15
SCANVI_EPOCHS, QUICK_EPOCHS = 20, 2
#: The sets of the paper, §3.1, with their descendants' genes; and stand-ins, by their beginnings.
GO, GO_FILE = {"MAPK": "GO:0043410", "NF-kB": "GO:1901224"}, "go_gene_sets.gmt"
BUNDLED = {"HLA": "HLA-", "CD": "CD"}
#: File, and the columns of types, batches and time points.
FILES: dict[str, tuple[str, dict[str, str]]] = {
    "kang": ("kang_ifnb_merged.h5ad", {TYPE: "cell_type", BATCH: "condition"}),
    "pbmc3k": ("pbmc3k_counts_2638.h5ad", {TYPE: "louvain"}),
    "yuzwa": ("yuzwa_cortex_E13_E17.h5ad", {TYPE: "cell_type", TIME: "time"}),
    "pbmc68k": ("", {}),
}


def files(name: str) -> tuple[str, ...]:
    """The file of the cells, and that of the gene sets."""
    own = FILES[name][0]
    return () if not own else (own,) if name == "yuzwa" else (own, GO_FILE)


def read(name: str) -> ad.AnnData:
    """Counts, with types, and batches and time points where there are some."""
    file, columns = FILES[name]
    if file:
        adata = from_file(file, **columns)
    else:  # phases of the cell cycle stand in for time points, halves of the cells for batches
        source = ace.datasets.pbmc68k_reduced()
        adata = ad.AnnData(source.layers["counts"], source.obs[[]], source.var[[]])
        adata.obs[TYPE] = source.obs["bulk_labels"]
        adata.obs[BATCH] = np.where(np.arange(source.n_obs) % 2, "odd", "even")
        adata.obs[TIME] = np.where(source.obs["phase"] == "G1", "G1", "S or G2M")
    adata.obs = adata.obs.astype(str).astype("category")
    return adata


@lru_cache(maxsize=2)
def load(name: str) -> ad.AnnData:
    """Counts of the most variable genes and those of the gene sets; nothing is random."""
    adata = read(name)
    if FILES[name][0]:
        sc.pp.filter_genes(adata, min_cells=5)
    log = log_normalise(ad.AnnData(adata.X.copy(), var=adata.var[[]]))
    sc.pp.highly_variable_genes(log, n_top_genes=min(N_GENES, log.n_vars))
    kept = log.var["highly_variable"].to_numpy()
    adata.X, adata.layers["log"] = log.layers["counts"], log.X
    adata.var["highly_variable"] = kept
    sets = _sets(name, adata.var_names)
    return adata[:, kept | adata.var_names.isin(sets.get(BOTH, []))].copy()


def gene_sets(name: str) -> dict[str, list[str]]:
    """Genes of each set that the data have, and of all sets together."""
    return _sets(name, load(name).var_names)


def _sets(name: str, genes: pd.Index) -> dict[str, list[str]]:
    if name == "yuzwa":
        return {}
    if not FILES[name][0]:
        found = {k: [g for g in genes if g.startswith(start)] for k, start in BUNDLED.items()}
    else:
        lines = [line.split("\t") for line in path(GO_FILE).read_text().splitlines()]
        found = {
            short: sorted(set(genes) & set(members))
            for short, identifier in GO.items()
            for title, _, *members in lines
            if title.startswith(identifier) and not title.endswith("_DIRECT")
        }
    return found | {BOTH: sorted(set().union(*found.values()))}


@dataclass(frozen=True)
class Method:
    """A model, what it is given, and its settings where they are not the defaults."""

    kind: str = "SCARE"
    truth: str = "genes"  # "genes", "random", "nothing" (no ground truth) or "zero" (no gene)
    labels: bool = True  # whether types are set up: references are then drawn by type
    alone: bool = False  # sees the genes of the set and no others
    weight: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    revision: str = revision("SCARE")  # it also judges other models


OURS, PLAIN, SCVI, UNINTEGRATED = "SCARE", "SCARE, weight 0", "SCVI", "PCA, unintegrated"
BY_TYPE, OF_ALL = f"{OURS}, genes by type", f"{OURS}, genes of all"
METHODS = {name: Method(**fields) for name, fields in settings("scare_methods").items()}


def epochs_of(n_cells: int, quick: bool, batch_size: int = 128) -> int:
    """Epochs that SCARE takes for so many cells, so that others are trained as long."""
    if quick:
        return QUICK_EPOCHS
    n = n_cells - int(np.ceil(0.1 * n_cells))
    epochs = _compat.get_max_epochs_heuristic(n, epochs_cap=defaults.MAX_EPOCHS)
    return max(epochs, -(-defaults.MIN_STEPS // -(-n // batch_size)))


Trained = tuple[ad.AnnData, Any, float]


def train(adata: ad.AnnData, method: Method, truth: Any, seed: int, quick: bool) -> Trained:
    """Train a model on a copy of the cells; returns both, and the seconds."""
    start, shared = time.perf_counter(), {"accelerator": "cpu", "enable_progress_bar": False}
    if method.kind == "SCARE":
        truth = {"nothing": None, "zero": []}.get(method.truth, truth)
        model = new_scare(adata, seed, method.labels, ground_truth=truth, **method.settings)
        weighted = method.weight is not None and truth is not None
        plan = {"attribution_weight": method.weight} if weighted else {}
        model.train(max_epochs=QUICK_EPOCHS if quick else None, plan_kwargs=plan, **shared)
    else:  # the same network, likelihood, cells in training, and rise of the divergence
        model, epochs = new_scvi(adata, seed), epochs_of(adata.n_obs, quick)
        model.train(max_epochs=epochs, plan_kwargs={"n_epochs_kl_warmup": epochs}, **shared)
    if method.kind == "SCANVI":  # time as the label, after SCVI
        quiet_scvi(seed)
        epochs = QUICK_EPOCHS if quick else SCANVI_EPOCHS
        model = models.scanvi(model, TIME, max_epochs=epochs, accelerator="cpu")
    return model.adata, model, time.perf_counter() - start


def new_scare(adata: ad.AnnData, seed: int, labels: bool = True, **options: Any) -> SCARE:
    """SCARE with the batch where there is one, and with types unless told otherwise."""
    given = _batch_of(adata) | ({"labels_key": TYPE} if labels else {})
    return models.new("SCARE", adata, seed, given, random_state=seed, **options)


def new_scvi(adata: ad.AnnData, seed: int) -> Any:
    """SCVI with the network of SCARE."""
    shape = {"n_latent": N_LATENT, "encode_covariates": True}
    return models.new("SCVI", adata, seed, _batch_of(adata), gene_likelihood="nb", **shape)


def _batch_of(adata: ad.AnnData) -> dict[str, str]:
    return {"batch_key": BATCH} if BATCH in adata.obs else {}


@lru_cache(maxsize=2)
def _trained(
    data: str, name: str, genes: tuple[str, ...] | None, seed: int, quick: bool
) -> Trained:
    method, adata = METHODS[name], load(data)
    adata = adata[:, list(genes or ())] if method.alone else adata
    return train(adata, method, list(genes or ()), seed, quick)


def trained(task: Task, genes: list[str], quick: bool) -> Trained:
    """The same model for all sets of genes that make no difference to its training."""
    method = METHODS[task.method]
    listens = method.truth != "nothing" or method.alone
    return _trained(task.data, task.method, tuple(genes) if listens else None, task.seed, quick)
