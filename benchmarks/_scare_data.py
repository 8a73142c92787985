"""Counts, types and gene sets that SCARE is judged on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
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

#: Columns of ``obs``: the type of a cell, its batch where there are some, its time point.
TYPE, BATCH, TIME = "type", "batch", "time"
N_GENES = 2000
#: A gene is in at least so many cells.
MIN_CELLS = 5
BOTH = "both"
#: The sets of the paper, §3.1, with their descendants' genes, by their identifiers.
GO = {"MAPK": "GO:0043410", "NF-kB": "GO:1901224"}
GO_FILE = "go_gene_sets.gmt"
#: What stands in for them where no gene sets are to be had, by the beginnings of names.
BUNDLED = {"HLA": "HLA-", "CD": "CD"}


@dataclass(frozen=True)
class Source:
    """A data set with counts, and what is asked of it."""

    title: str
    make: Callable[[], ad.AnnData]
    file: str | None = None
    batches: bool = False
    sets: bool = True  # gene sets are known for it
    times: bool = False


def available(name: str) -> str | None:
    """Give the reason why a data set cannot be had, or None."""
    source = SOURCES[name]
    if source.file is None:
        return None
    folder = os.environ.get("ACE_DATA_DIR")
    if not folder:
        return "ACE_DATA_DIR is not set"
    needed = [source.file, *([GO_FILE] if source.sets else [])]
    missing = [file for file in needed if not (Path(folder) / file).is_file()]
    return f"{missing[0]} is not in ACE_DATA_DIR" if missing else None


@lru_cache(maxsize=2)
def load(name: str) -> ad.AnnData:
    """Counts of the 2000 most variable genes and those of the gene sets; nothing is random.

    In ``obs`` the type, and batch and time point where there are some. ``layers["log"]`` holds
    log1p of counts scaled to 10⁴, all genes of the experiment counted.
    """
    adata = SOURCES[name].make()
    adata.X = sparse.csr_matrix(adata.X, dtype=np.float32)
    if SOURCES[name].file is not None:
        sc.pp.filter_genes(adata, min_cells=MIN_CELLS)
    log = ad.AnnData(adata.X.copy(), var=pd.DataFrame(index=adata.var_names))
    sc.pp.normalize_total(log, target_sum=1e4)
    sc.pp.log1p(log)
    adata.layers["log"] = log.X
    sc.pp.highly_variable_genes(log, n_top_genes=min(N_GENES, log.n_vars))
    kept = log.var["highly_variable"].to_numpy()
    if SOURCES[name].sets:
        kept = kept | adata.var_names.isin(_sets_of(name, adata.var_names)[BOTH])
    adata.var["highly_variable"] = log.var["highly_variable"].to_numpy()
    return adata[:, kept].copy()


def gene_sets(name: str) -> dict[str, list[str]]:
    """Genes of each set that the data have, and of all sets together."""
    return _sets_of(name, load(name).var_names) if SOURCES[name].sets else {}


def apart(sets: dict[str, list[str]]) -> dict[str, list[str]]:
    """The sets without the genes that are in several of them."""
    single = {name: genes for name, genes in sets.items() if name != BOTH}
    counts = pd.Series([gene for genes in single.values() for gene in genes]).value_counts()
    return {name: [g for g in genes if counts[g] == 1] for name, genes in single.items()}


def random_genes(name: str, n: int, seed: int) -> list[str]:
    """As many genes that are in no set."""
    others = load(name).var_names.difference(gene_sets(name)[BOTH])
    drawn = np.random.default_rng(seed).choice(len(others), n, replace=False)
    return sorted(others[drawn])


def _sets_of(name: str, genes: pd.Index) -> dict[str, list[str]]:
    if SOURCES[name].file is None:
        found = {k: [g for g in genes if g.startswith(start)] for k, start in BUNDLED.items()}
    else:
        lines = [line.split("\t") for line in _path(GO_FILE).read_text().splitlines()]
        known = set(genes)
        found = {
            short: sorted(known & set(members))
            for short, identifier in GO.items()
            for title, _, *members in lines
            if title.startswith(identifier) and not title.endswith("_DIRECT")
        }
    return found | {BOTH: sorted(set().union(*found.values()))}


def _path(file: str) -> Path:
    return Path(os.environ["ACE_DATA_DIR"]) / file


def _file(name: str, columns: dict[str, str]) -> ad.AnnData:
    """Counts of a file, with the columns that count under our names."""
    adata = ad.read_h5ad(_path(name))
    obs = pd.DataFrame(
        {ours: pd.Categorical(adata.obs[theirs].astype(str)) for ours, theirs in columns.items()},
        index=adata.obs_names.astype(str),
    )
    return ad.AnnData(adata.X, obs=obs, var=pd.DataFrame(index=adata.var_names.astype(str)))


def _pbmc68k() -> ad.AnnData:
    """Phases of the cell cycle stand in for time points, halves of the cells for batches."""
    adata = ace.datasets.pbmc68k()
    obs = pd.DataFrame(
        {
            TYPE: pd.Categorical(adata.obs["bulk_labels"].astype(str)),
            BATCH: pd.Categorical(np.where(np.arange(adata.n_obs) % 2, "odd", "even")),
            TIME: pd.Categorical(np.where(adata.obs["phase"] == "G1", "G1", "S or G2M")),
        },
        index=adata.obs_names,
    )
    return ad.AnnData(adata.layers["counts"], obs=obs, var=pd.DataFrame(index=adata.var_names))


SOURCES = {
    "kang": Source(
        "Kang, blood cells with and without interferon, 9 types",
        lambda: _file("kang_ifnb_merged.h5ad", {TYPE: "cell_type", BATCH: "condition"}),
        "kang_ifnb_merged.h5ad",
        batches=True,
    ),
    "pbmc3k": Source(
        "PBMC3k, 8 types",
        lambda: _file("pbmc3k_counts_2638.h5ad", {TYPE: "louvain"}),
        "pbmc3k_counts_2638.h5ad",
    ),
    "yuzwa": Source(
        "Embryonic mouse cortex, E13.5 and E17.5, 4 types",
        lambda: _file("yuzwa_cortex_E13_E17.h5ad", {TYPE: "cell_type", TIME: "time"}),
        "yuzwa_cortex_E13_E17.h5ad",
        sets=False,
        times=True,
    ),
    "pbmc68k": Source(
        "PBMC68k, 700 cells bundled with scanpy", _pbmc68k, batches=True, times=True
    ),
}
