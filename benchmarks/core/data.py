"""The data sets of the rankings and embeddings; real ones are read from ACE_DATA_DIR."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
from pandas.api.types import is_numeric_dtype
from scipy import sparse

import ace

#: Columns of ``obs``.
GROUP, BATCH = "group", "batch"


def available(*files: str) -> str | None:
    """Returns the reason why files cannot be read, or None."""
    source = "docs/benchmarks.md says where it comes from"
    missing = (file for file in files if not path(file).is_file())
    return next((f"{file} is not in ACE_DATA_DIR; {source}" for file in missing), None)


def path(file: str) -> Path:
    return Path(os.environ.get("ACE_DATA_DIR", "")) / file


@dataclass(frozen=True)
class Source:
    """A data set: how it is made from a seed, and what is known of it."""

    make: Callable[[int], ad.AnnData]
    file: str | None = None
    counts: bool = False  # layers["counts"] holds them, for models of counts


def files(name: str) -> tuple[str, ...]:
    file = SOURCES[name].file if name in SOURCES else None
    return () if file is None else (file,)


def load(name: str, seed: int = 0) -> ad.AnnData:
    """Normalised cells × genes with groups in ``obs["group"]``."""
    adata = SOURCES[name].make(seed)
    adata.obs[GROUP] = adata.obs[GROUP].astype(str).astype("category")
    return adata


def log_normalise(adata: ad.AnnData) -> ad.AnnData:
    """Counts become log1p of counts scaled to 10⁴ per cell, in place; a layer keeps them."""
    adata.X = sparse.csr_matrix(adata.X, dtype=np.float32)
    adata.layers["counts"] = adata.X.copy()
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    return adata


def pca(adata: ad.AnnData, seed: int = 0) -> ad.AnnData:
    """Up to 50 principal components of all genes, in place."""
    sc.pp.pca(adata, n_comps=min(50, min(adata.shape) - 1), random_state=seed)
    return adata


def read(file: str, **columns: str) -> ad.AnnData:
    """Values of a file of ACE_DATA_DIR, and columns of its ``obs``: numbers, others as strings."""
    source = ad.read_h5ad(path(file))
    obs = pd.DataFrame(index=source.obs_names.astype(str))
    for ours, theirs in columns.items():
        column = source.obs[theirs]
        obs[ours] = (column if is_numeric_dtype(column) else column.astype(str)).to_numpy()
    return ad.AnnData(source.X, obs=obs, var=pd.DataFrame(index=source.var_names.astype(str)))


def quiet_scvi(seed: int) -> Any:
    """scvi-tools with a seed, and without a line on the hardware for each training."""
    import scvi

    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    scvi.settings.verbosity = logging.ERROR
    scvi.settings.seed = seed
    return scvi


def bare(X: Any, genes: Any, **obs: Any) -> ad.AnnData:
    """Cells with these columns of strings and nothing else."""
    index = [f"cell{i}" for i in range(X.shape[0])]
    columns = {name: np.asarray(values).astype(str) for name, values in obs.items()}
    adata = ad.AnnData(
        X,
        obs=pd.DataFrame(columns, index=index),
        var=pd.DataFrame(index=pd.Index(np.asarray(genes).astype(str))),
    )
    adata.uns["log1p"] = {}
    return adata


def _variable_genes(
    file: str,
    groupby: str,
    n_genes: int | None = None,
    min_cells: int = 0,
    batch_key: str | None = None,
) -> Source:
    """The most variable genes (all without a number) of groups of at least `min_cells`."""

    def make(_: int) -> ad.AnnData:
        adata = read(file, **({GROUP: groupby} | ({BATCH: batch_key} if batch_key else {})))
        size = adata.obs[GROUP].map(adata.obs[GROUP].value_counts())
        adata = log_normalise(adata[(size >= min_cells).to_numpy()].copy())
        chosen = np.ones(adata.n_vars, dtype=bool)
        if n_genes is not None:
            sc.pp.highly_variable_genes(adata, n_top_genes=n_genes)
            chosen = adata.var["highly_variable"].to_numpy()
        result = bare(adata.X[:, chosen], adata.var_names[chosen], **adata.obs)
        result.layers["counts"] = adata.layers["counts"][:, chosen]
        if batch_key is not None:
            result.obs[BATCH] = pd.Categorical(result.obs[BATCH])
        return result

    return Source(make, file, counts=True)


def _pbmc3k_processed(_: int) -> ad.AnnData:
    """Regressed and scaled values, as in scanpy's tutorial; the counts in a layer."""
    adata = ad.read_h5ad(path("pbmc3k_processed.h5ad"))
    X = np.asarray(adata.X, dtype=np.float32)
    result = bare(X, adata.var_names, group=adata.obs["louvain"])
    del result.uns["log1p"]
    # The file holds log1p of the counts, without normalisation.
    counts = sparse.csr_matrix(adata.raw[:, adata.var_names].X, dtype=np.float32).expm1()
    counts.data = np.round(counts.data)
    result.layers["counts"] = counts
    return result


def _symsim(file: str, batches: bool = False) -> Source:
    """SymSim counts of the papers, columns shuffled, log-normalised."""

    def make(seed: int) -> ad.AnnData:
        table = pd.read_csv(path(file), index_col=0)
        table = table.iloc[:, np.random.default_rng(seed).permutation(table.shape[1])]
        cells = log_normalise(ad.AnnData(table.to_numpy(dtype=np.float32)))
        parts = table.index.astype(str).str.split("_")  # cell, cluster and, in one set, batch
        # Names without meaning: no method profits from their order.
        names = [f"gene{i}" for i in range(table.shape[1])]
        adata = bare(cells.X, names, group=parts.str[1])
        adata.layers["counts"] = cells.layers["counts"]
        kind = table.columns.str.extract(r"^([a-z]+)", expand=False)
        kind = kind.map({"causal": "causal", "dep": "dependent", "useless": "noise"})
        adata.var["kind"] = pd.Categorical(kind, ["causal", "dependent", "noise"])
        if batches:
            adata.obs[BATCH] = pd.Categorical(parts.str[2])
        return adata

    return Source(make, file, counts=True)


def _pbmc68k(_: int) -> ad.AnnData:
    adata = ace.datasets.pbmc68k_reduced()
    return bare(adata.X, adata.var_names, group=adata.obs["bulk_labels"])


def _simulated(seed: int) -> ad.AnnData:
    """As large as the sets of the ACE paper, noisier, with two batches; new data for each seed."""
    options = {"n_dependent": 100, "mean_counts": 5.0, "dropout": 0.2, "n_batches": 2}
    adata = ace.datasets.simulated_panels(random_state=seed, **options)
    result = bare(log_normalise(adata).X, adata.var_names, group=adata.obs["group"])
    result.var["kind"] = adata.var["kind"].to_numpy()
    return result


def simulated_counts(n_cells: int, n_genes: int = 2000, mean_counts: float = 0.075) -> ad.AnnData:
    """Counts of 10 groups, about 8 % of them not 0."""
    shape = (n_cells, 10, 100, 100, n_genes - 200)
    adata = ace.datasets.simulated_panels(*shape, mean_counts=mean_counts, random_state=0)
    adata.obs[GROUP] = adata.obs["group"]
    return adata


SOURCES = {
    "pbmc3k": _variable_genes("pbmc3k_counts_2638.h5ad", "louvain", 2000),
    "baron_mouse": _variable_genes("baron_mouse.h5ad", "cell_type", 3000, min_cells=10),
    "pbmc3k_processed": Source(_pbmc3k_processed, "pbmc3k_processed.h5ad", counts=True),
    "pbmc68k": Source(_pbmc68k),
    "symsim_140_clean": _symsim("symsim_140_clean.csv"),
    "symsim_220_clean": _symsim("symsim_220_clean.csv"),
    "symsim_220_complex": _symsim("symsim_220_complex.csv", batches=True),
    "simulated": Source(_simulated),
    "baron_mouse_all": _variable_genes("baron_mouse.h5ad", "cell_type", 3000),
    "baron_mouse_whole": _variable_genes("baron_mouse.h5ad", "cell_type", min_cells=10),
    "kang": _variable_genes("kang_ifnb_merged.h5ad", "cell_type", 2000, batch_key="condition"),
}
