"""Cells with labels and cells without, for label transfer."""

from dataclasses import dataclass
from functools import cached_property

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
from scipy import sparse

import ace
from benchmarks.core.data import log_normalise
from benchmarks.core.data import read as from_file
from benchmarks.core.experiment import settings
from benchmarks.core.store import Task

#: Columns of ``obs``: the truth, where cells come from, and the labels that methods are given.
TYPE, DOMAIN, GIVEN, UNKNOWN = "type", "domain", "given", "Unknown"
N_GENES, MIN_CELLS = 2000, 10
AS_THEY_ARE, WRONG = "as they are", "10% of the labels wrong"
N_BINS = 10
#: Share of known cells that a threshold of novelty keeps.
KEPT = 0.95
SCVI_EPOCHS, SCANVI_EPOCHS = 100, 20
OURS, LOGISTIC, SVM = "SCNYM", "logistic regression", "linear SVM"
OUR_NOVELTY = f"{OURS}, published, for new types"
#: Presets of SCNYM; file, domains, and column of the domain of each set.
PRESETS, FILES = settings("transfer").values()


@dataclass(frozen=True)
class Cells:
    """Labelled and unlabelled cells of one task, log-normalised, all genes."""

    every: ad.AnnData
    seed: int

    @cached_property
    def adata(self) -> ad.AnnData:
        """The genes that vary most within the labelled and within the unlabelled cells."""
        if self.every.n_vars <= N_GENES:
            return self.every
        own = ad.AnnData(self.every.X, var=pd.DataFrame(index=self.every.var_names))
        own.obs["side"] = pd.Categorical(np.where(self.target, "target", "source"))
        own.uns["log1p"] = {}
        sc.pp.highly_variable_genes(own, n_top_genes=N_GENES, batch_key="side")
        return self.every[:, own.var["highly_variable"].to_numpy()].copy()

    @property
    def given(self) -> np.ndarray:
        """Labels as methods see them, `UNKNOWN` for those to be found."""
        return self.every.obs[GIVEN].to_numpy().astype(str)

    @property
    def target(self) -> np.ndarray:
        """Which cells have no label."""
        return self.given == UNKNOWN

    @property
    def truth(self) -> np.ndarray:
        """Types of the unlabelled cells."""
        return self.every.obs[TYPE].to_numpy().astype(str)[self.target]

    @property
    def scored(self) -> np.ndarray:
        """Which of the unlabelled cells are of a type that some labelled cell has."""
        return np.isin(self.truth, self.given[~self.target])


def read(name: str, seed: int = 0) -> ad.AnnData:
    """Cells with types and domains."""
    file, domains, column = FILES[name]
    if not file:  # halves of one experiment, drawn at random
        source = ace.datasets.pbmc68k_reduced()
        halves = np.random.default_rng(seed).permutation(source.n_obs) % 2
        adata = ad.AnnData(source.X, source.obs[[]], source.var[[]])
        adata.obs[TYPE] = source.obs["bulk_labels"].astype(str)
        adata.obs[DOMAIN] = np.array(domains)[halves]
        return adata
    total = {"total": "nUMI"} if name == "pbmc_symphony" else {}
    adata = from_file(file, **({TYPE: "cell_type", DOMAIN: column} | total))
    adata.X = sparse.csr_matrix(adata.X, dtype=np.float32)
    if total:  # log-normalised; each cell's counts follow from its total
        per_cell = sparse.diags_array(adata.obs.pop("total").to_numpy().astype(float) / 1e4)
        counts = sparse.csr_matrix(per_cell @ adata.X.astype(float).expm1())
        apart = np.abs(counts.data - np.rint(counts.data)).max()
        if apart > 0.01:
            raise ValueError(f"Counts that are not whole, by {apart:.2g}: another scale than 10⁴?")
        counts.data = np.rint(counts.data)
        adata.layers["counts"] = counts.astype(np.float32)
        return adata
    sc.pp.filter_genes(adata, min_cells=MIN_CELLS)
    return log_normalise(adata)


def load(task: Task) -> Cells:
    """Labels are given for one domain, and spoiled as the protocol says."""
    adata = read(task.data, task.seed)
    inside = (adata.obs[DOMAIN] == task.setting).to_numpy()
    types = adata.obs[TYPE].to_numpy().astype(str)
    given = np.where(inside, types, UNKNOWN).astype(object)
    rng, keep = np.random.default_rng(task.seed), np.ones(len(given), bool)
    own = np.flatnonzero(given == task.protocol.split(" hidden")[0].split(" five times")[0])
    if task.protocol.endswith("hidden"):
        keep[own] = False
    elif task.protocol.endswith("rarer"):
        keep[rng.permutation(own)[max(round(0.2 * len(own)), 1) :]] = False
    elif task.protocol == WRONG:
        rows = rng.permutation(np.flatnonzero(inside))[: round(0.1 * inside.sum())]
        given[rows] = another(given[rows].astype(str), np.unique(types[inside]), rng)
    adata.obs[GIVEN] = pd.Categorical(given)
    return Cells(adata[keep].copy(), task.seed)


def another(labels: np.ndarray, names: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One of the other names for each label, all equally likely."""
    own = np.searchsorted(names, labels)
    return names[(own + rng.integers(1, len(names), len(own))) % len(names)]
