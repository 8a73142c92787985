"""Cells with labels and cells without, for label transfer: what is known and what is asked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
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

#: Names in ``obs``: the truth, where cells come from, and the labels that methods are given.
TYPE, DOMAIN, GIVEN = "type", "domain", "given"
UNKNOWN = "Unknown"
N_GENES = 2000
MIN_CELLS = 10
#: Shares of what is spoiled in the labelled cells.
WRONG, KEPT = 0.1, 0.2


@dataclass(frozen=True)
class Source:
    """A data set whose cells come from several domains, with types known in all of them."""

    title: str
    domains: tuple[str, ...]
    make: Callable[[int], ad.AnnData]
    file: str | None = None
    counts: bool = True  # layers["counts"] has them
    few_genes: bool = False  # all genes are variable genes


@dataclass(frozen=True)
class Change:
    """What is done to the labelled cells before anything is learned."""

    kind: str = ""  # "hidden", "rarer" or "wrong"
    cell_type: str = ""

    def __str__(self) -> str:
        """Name it as the results do."""
        if self.kind == "wrong":
            return f"{WRONG:.0%} of the labels wrong"
        return {
            "": "as they are",
            "hidden": f"{self.cell_type} hidden",
            "rarer": f"{self.cell_type} five times rarer",
        }[self.kind]


@dataclass(frozen=True)
class Cells:
    """Labelled and unlabelled cells of one task.

    Parameters
    ----------
    every
        log1p of counts scaled to 10⁴, all genes; in ``obs`` the truth, the domain and what is
        given; the counts in a layer where they are known.
    seed
        What made random choices here, and what methods shall use.
    """

    every: ad.AnnData
    seed: int

    @cached_property
    def adata(self) -> ad.AnnData:
        """The same with the most variable genes only, chosen without labels.

        Variable within the labelled and within the unlabelled cells, so that the difference
        between them does not choose.
        """
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
    def known(self) -> list[str]:
        """Types that labelled cells have."""
        return sorted(set(self.given) - {UNKNOWN})

    @property
    def scored(self) -> np.ndarray:
        """Which of the unlabelled cells are of a type that could be known."""
        return np.isin(self.truth, self.known)


def available(name: str) -> str | None:
    """Give the reason why a data set cannot be had, or None."""
    file = SOURCES[name].file
    if file is None:
        return None
    folder = os.environ.get("ACE_DATA_DIR")
    if not folder:
        return "ACE_DATA_DIR is not set"
    return None if (Path(folder) / file).is_file() else f"{file} is not in ACE_DATA_DIR"


def load(name: str, source: str, change: Change = Change(), seed: int = 0) -> Cells:
    """Take the labels of all cells outside one domain away, and spoil those inside if asked.

    Parameters
    ----------
    name
        The data set.
    source
        The domain whose labels are given. All others together are the target.
    change
        What is done to the labelled cells: a type hidden (its labelled cells are left out), made
        five times rarer, or a tenth of the labels replaced by another type.
    seed
        Chooses the cells that are changed.
    """
    adata = SOURCES[name].make(seed)
    inside = (adata.obs[DOMAIN] == source).to_numpy()
    types = adata.obs[TYPE].to_numpy().astype(str)
    given = np.where(inside, types, UNKNOWN).astype(object)
    rng = np.random.default_rng(seed)
    keep = np.ones(len(given), bool)
    its_own = np.flatnonzero(given == change.cell_type)
    if change.kind == "hidden":
        keep[its_own] = False
    elif change.kind == "rarer":
        n_kept = max(round(KEPT * len(its_own)), 1)
        keep[rng.permutation(its_own)[n_kept:]] = False
    elif change.kind == "wrong":
        rows = rng.permutation(np.flatnonzero(inside))[: round(WRONG * inside.sum())]
        given[rows] = _another(given[rows].astype(str), np.unique(types[inside]), rng)
    adata.obs[GIVEN] = pd.Categorical(given)
    return Cells(adata[keep].copy(), seed)


def _another(labels: np.ndarray, names: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One of the other names for each label, all equally likely."""
    own = np.searchsorted(names, labels)
    return names[(own + rng.integers(1, len(names), len(own))) % len(names)]


def common_types(name: str, n_cells: int = 100) -> list[str]:
    """Types with so many cells in all domains together."""
    counts = SOURCES[name].make(0).obs[TYPE].value_counts()
    return sorted(counts.index[counts >= n_cells].astype(str))


def _path(file: str) -> Path:
    return Path(os.environ["ACE_DATA_DIR"]) / file


def _counts(file: str, domain: str) -> ad.AnnData:
    """Genes in at least ten cells, log1p of counts scaled to 10⁴."""
    adata = ad.read_h5ad(_path(file))
    adata.X = sparse.csr_matrix(adata.X, dtype=np.float32)
    sc.pp.filter_genes(adata, min_cells=MIN_CELLS)
    result = _bare(adata.X, adata.obs["cell_type"], adata.obs[domain], adata)
    result.layers["counts"] = result.X.copy()
    sc.pp.normalize_total(result, target_sum=1e4)
    sc.pp.log1p(result)
    return result


def _symphony() -> ad.AnnData:
    """Values as they come, log1p of counts scaled to 10⁴ before variable genes were taken.

    Each cell's number of counts is known, so that its counts can be had back: what comes out is
    whole to a thousandth.
    """
    adata = ad.read_h5ad(_path("pbmc_symphony_3chem_1200.h5ad"))
    result = _bare(
        sparse.csr_matrix(adata.X, dtype=np.float32), adata.obs["cell_type"], adata.obs["tech"],
        adata,
    )  # fmt: skip
    per_cell = sparse.diags_array(adata.obs["nUMI"].to_numpy().astype(float) / 1e4)
    counts = sparse.csr_matrix(per_cell @ result.X.astype(float).expm1())
    apart = np.abs(counts.data - np.rint(counts.data)).max()
    if apart > 0.01:
        raise ValueError(f"Counts that are not whole, by {apart:.2g}: another scale than 10⁴?")
    counts.data = np.rint(counts.data)
    result.layers["counts"] = counts.astype(np.float32)
    return result


def _pbmc68k(seed: int) -> ad.AnnData:
    """Halves of one experiment, drawn at random: nothing to overcome, but there everywhere."""
    adata = ace.datasets.pbmc68k()
    halves = np.random.default_rng(seed).permutation(adata.n_obs) % 2
    return _bare(adata.X, adata.obs["bulk_labels"], np.array(["first", "second"])[halves], adata)


def _bare(X, types, domains, names) -> ad.AnnData:
    obs = {TYPE: np.asarray(types).astype(str), DOMAIN: np.asarray(domains).astype(str)}
    return ad.AnnData(
        X,
        obs=pd.DataFrame(obs, index=names.obs_names.astype(str)),
        var=pd.DataFrame(index=names.var_names.astype(str)),
    )


SOURCES = {
    "kang": Source(
        "Kang, blood cells without (CTRL) and with interferon (STIM), 9 types",
        ("CTRL", "STIM"),
        lambda _: _counts("kang_ifnb_merged.h5ad", "condition"),
        "kang_ifnb_merged.h5ad",
    ),
    "pbmc_symphony": Source(
        "Blood cells by three chemistries of 10x, 9 types",
        ("3pv1", "3pv2", "5p"),
        lambda _: _symphony(),
        "pbmc_symphony_3chem_1200.h5ad",
        few_genes=True,
    ),
    "cellmix": Source(
        "Three cell lines by three technologies",
        ("10x", "CEL-seq2", "Drop-seq"),
        lambda _: _counts("cellmix_3tech_10x_celseq2_dropseq.h5ad", "tech"),
        "cellmix_3tech_10x_celseq2_dropseq.h5ad",
        few_genes=True,
    ),
    "pbmc68k": Source(
        "PBMC68k, 700 cells bundled with scanpy, random halves",
        ("first", "second"),
        _pbmc68k,
        counts=False,
        few_genes=True,
    ),
}
