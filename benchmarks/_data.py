"""The data of the benchmarks, prepared as the papers did; real sets through ACE_DATA_DIR."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
from scipy import sparse

import ace

if TYPE_CHECKING:
    from collections.abc import Callable

GROUP = "group"
BATCH = "batch"


@dataclass(frozen=True)
class Source:
    """Where a data set comes from, and what may be asked of it."""

    title: str
    make: Callable[[int], ad.AnnData]
    file: str | None = None
    truth: bool = False  # var["kind"] is known
    published: bool = False  # the papers judged panels on it, in sample
    counts: bool = False  # layers["counts"] has them, for models of counts
    batches: bool = False  # obs["batch"] is known
    panels: bool = True  # panels are judged on it


def available(name: str) -> str | None:
    """Give the reason why a data set cannot be had, or None."""
    file = SOURCES[name].file
    if file is None:
        return None
    folder = os.environ.get("ACE_DATA_DIR")
    if not folder:
        return "ACE_DATA_DIR is not set"
    return None if (Path(folder) / file).is_file() else f"{file} is not in ACE_DATA_DIR"


def load(name: str, seed: int = 0) -> ad.AnnData:
    """Normalised cells × genes with groups in ``obs["group"]``.

    The seed shuffles the columns of simulated sets, whose causal genes come first, and does
    nothing else.
    """
    adata = SOURCES[name].make(seed)
    adata.obs[GROUP] = adata.obs[GROUP].astype(str).astype("category")
    return adata


def _path(file: str) -> Path:
    return Path(os.environ["ACE_DATA_DIR"]) / file


def _variable_genes(
    file: str,
    groupby: str,
    n_genes: int | None = None,
    min_cells: int = 0,
    batch_key: str | None = None,
) -> ad.AnnData:
    """log1p of counts scaled to 10⁴; the most variable genes, groups of at least `min_cells`.

    The counts of these genes are in a layer. Without a number, all genes are kept.
    """
    adata = ad.read_h5ad(_path(file))
    size = adata.obs[groupby].map(adata.obs[groupby].value_counts()).astype(int)
    adata = adata[(size >= min_cells).to_numpy()].copy()
    adata.X = sparse.csr_matrix(adata.X, dtype=np.float32)
    counts = adata.X.copy()
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    chosen = np.ones(adata.n_vars, dtype=bool)
    if n_genes is not None:
        sc.pp.highly_variable_genes(adata, n_top_genes=n_genes)
        chosen = adata.var["highly_variable"].to_numpy()
    result = _bare(adata.X[:, chosen], adata.obs[groupby], adata.var_names[chosen])
    result.layers["counts"] = counts[:, chosen]
    if batch_key is not None:
        result.obs[BATCH] = pd.Categorical(adata.obs[batch_key])
    return result


def _bare(X, groups, genes) -> ad.AnnData:
    adata = ad.AnnData(
        X,
        obs=pd.DataFrame(
            {GROUP: np.asarray(groups).astype(str)}, index=_names("cell", X.shape[0])
        ),
        var=pd.DataFrame(index=pd.Index(np.asarray(genes).astype(str))),
    )
    adata.uns["log1p"] = {}
    return adata


def _names(prefix: str, n: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(n)]


def _pbmc3k_processed() -> ad.AnnData:
    """Regressed and scaled values, as scanpy's tutorial makes them; the counts in a layer.

    The components that come with them have the opposite sign of the coordinates beside them, so
    neither is taken over.
    """
    adata = ad.read_h5ad(_path("pbmc3k_processed.h5ad"))
    result = _bare(np.asarray(adata.X, dtype=np.float32), adata.obs["louvain"], adata.var_names)
    del result.uns["log1p"]
    # The file has log1p of the counts, as they are.
    counts = sparse.csr_matrix(adata.raw[:, adata.var_names].X, dtype=np.float32).expm1()
    counts.data = np.round(counts.data)
    result.layers["counts"] = counts
    return result


def _symsim(file: str, seed: int) -> ad.AnnData:
    """SymSim counts of the papers, columns shuffled, log-normalised; the counts in a layer."""
    table = pd.read_csv(_path(file), index_col=0)
    table = table.iloc[:, np.random.default_rng(seed).permutation(table.shape[1])]
    cells = ad.AnnData(sparse.csr_matrix(table.to_numpy(dtype=np.float32)))
    counts = cells.X.copy()
    sc.pp.normalize_total(cells, target_sum=1e4)
    sc.pp.log1p(cells)
    parts = table.index.astype(str).str.split("_")  # cell, cluster and, in one set, batch
    groups, batches = parts.str[1], parts.str[2]
    # Names that say nothing: no method shall profit from an order of names either.
    adata = _bare(cells.X, groups, _names("gene", table.shape[1]))
    adata.layers["counts"] = counts
    kind = table.columns.str.extract(r"^([a-z]+)", expand=False)
    kind = kind.map({"causal": "causal", "dep": "dependent", "useless": "noise"})
    adata.var["kind"] = pd.Categorical(kind, ["causal", "dependent", "noise"])
    if not batches.isna().any():
        adata.obs[BATCH] = pd.Categorical(batches)
    return adata


def _pbmc68k() -> ad.AnnData:
    adata = ace.datasets.pbmc68k()
    return _bare(adata.X, adata.obs["bulk_labels"], adata.var_names)


def _simulated(seed: int) -> ad.AnnData:
    """As large as the ACE paper's sets, noisier, two batches; new data for each seed."""
    adata = ace.datasets.simulated_panels(
        n_dependent=100, mean_counts=5.0, dropout=0.2, n_batches=2, seed=seed
    )
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    result = _bare(adata.X, adata.obs["group"], adata.var_names)
    result.var["kind"] = adata.var["kind"].to_numpy()
    return result


def _symsim_source(title: str, file: str) -> Source:
    return Source(title, lambda seed: _symsim(file, seed), file, truth=True, counts=True)


SOURCES = {
    "pbmc3k": Source(
        "PBMC3k, log1p(CP10k) of the counts, 2000 variable genes",
        lambda _: _variable_genes("pbmc3k_counts_2638.h5ad", "louvain", 2000),
        "pbmc3k_counts_2638.h5ad",
        counts=True,
    ),
    "baron_mouse": Source(
        "Baron mouse pancreas, 3000 variable genes, types of at least 10 cells",
        lambda _: _variable_genes("baron_mouse.h5ad", "cell_type", 3000, min_cells=10),
        "baron_mouse.h5ad",
        published=True,
        counts=True,
    ),
    "pbmc3k_processed": Source(
        "PBMC3k, regressed and scaled values of the published 1838 genes",
        lambda _: _pbmc3k_processed(),
        "pbmc3k_processed.h5ad",
        published=True,
        counts=True,
    ),
    "pbmc68k": Source(
        "PBMC68k, 700 cells and 765 genes bundled with scanpy", lambda _: _pbmc68k()
    ),
    "symsim_140_clean": _symsim_source("SymSim, Kratos' set", "symsim_140_clean.csv"),
    "symsim_220_clean": _symsim_source("SymSim, ACE's clean set", "symsim_220_clean.csv"),
    "symsim_220_complex": replace(
        _symsim_source("SymSim, ACE's complex set", "symsim_220_complex.csv"), batches=True
    ),
    "simulated": Source(
        "ace.datasets.simulated_panels, dropout and two batches", _simulated, truth=True
    ),
    "baron_mouse_all": Source(
        "Baron mouse pancreas, 3000 variable genes, all 13 types",
        lambda _: _variable_genes("baron_mouse.h5ad", "cell_type", 3000),
        "baron_mouse.h5ad",
        counts=True,
        panels=False,
    ),
    "baron_mouse_whole": Source(
        "Baron mouse pancreas, all genes, types of at least 10 cells",
        lambda _: _variable_genes("baron_mouse.h5ad", "cell_type", min_cells=10),
        "baron_mouse.h5ad",
        counts=True,
        panels=False,  # curves.py judges them, at shares of all genes
    ),
    "kang": Source(
        "Kang, blood cells with and without interferon, 2000 variable genes",
        lambda _: _variable_genes(
            "kang_ifnb_merged.h5ad", "cell_type", 2000, batch_key="condition"
        ),
        "kang_ifnb_merged.h5ad",
        counts=True,
        batches=True,
        panels=False,
    ),
}
