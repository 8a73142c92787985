"""Genes that two objects share, and which of them vary."""

from __future__ import annotations

import logging
import re
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData

from ace._listed import listed
from ace._warn import warn

if TYPE_CHECKING:
    from collections.abc import Callable

    import scipy.sparse as sp

logger = logging.getLogger(__name__)

#: Too few shared genes: fewer than this part of the shorter list, or than FEW of them (or than
#: half of the list, where it is as short as that of a panel of antibodies).
LEAST = 0.05
FEW = 50
#: A warning is due below this part of the shorter list, or this number of genes.
NOTABLE, NUMBER = 0.5, 100
#: Cells that a domain needs to have a say in which genes vary.
MIN_CELLS = 50

_ENSEMBL = re.compile(r"ENS[A-Z]*G\d{6,}")
#: What may hide the same genes behind other names, and how to mend it.
_DISGUISES: list[tuple[Callable[[str], str], str]] = [
    (
        lambda gene: gene.split(".")[0],
        "They agree without what follows the dot (versions of Ensembl ids): "
        "`{object}.var_names = {object}.var_names.str.split('.').str[0]`.",
    ),
    (
        str.upper,
        "They agree but for upper and lower case. Is one of another species? Then map the "
        "orthologs; else `{object}.var_names = {object}.var_names.str.upper()` in both.",
    ),
]


def shared_genes(query: AnnData, reference: AnnData) -> pd.Index:
    """Genes of both objects by name, in the query's order.

    Raises
    ------
    ValueError
        If there are too few to learn from, with what may hide them.

    Warns
    -----
    UserWarning
        If more than half of the shorter list is lost, or few genes are shared.
    """
    mine, theirs = query.var_names, reference.var_names
    shared = mine[mine.isin(theirs)]
    n_shorter = min(len(mine), len(theirs))
    lost = f"{len(mine) - len(shared)} of the {len(mine)} genes of the query and "
    lost += f"{len(theirs) - len(shared)} of the {len(theirs)} of the reference are left out"
    if len(shared) < max(LEAST * n_shorter, min(FEW, n_shorter / 2)):
        raise ValueError(
            f"the query and the reference share {len(shared)} genes by name, too few to learn "
            f"from: {lost}. The query has {listed(mine[:3])}, the reference {listed(theirs[:3])}. "
            + _disguise(query, reference, len(shared))
        )
    logger.info("%d genes are in the query and in the reference; %s", len(shared), lost)
    if len(shared) < max(NOTABLE * n_shorter, NUMBER):
        warn(
            f"the query and the reference share {len(shared)} genes only: {lost}. If either was "
            "cut down to its highly variable genes, pass the whole: annotate chooses among the "
            "shared ones (n_top_genes).",
        )
    return shared


def _disguise(query: AnnData, reference: AnnData, n_shared: int) -> str:
    """Say what would make more genes agree."""
    objects = {"query": query, "reference": reference}
    for name, other in (("query", "reference"), ("reference", "query")):
        wanted = set(objects[other].var_names)
        for column, values in objects[name].var.items():  # also works for duplicate columns
            numbers = pd.api.types.is_numeric_dtype(values.dtype)
            if not numbers and values.astype(str).isin(wanted).sum() > max(FEW, 2 * n_shared):
                return (
                    f"{name}.var[{column!r}] has the {other}'s names: "
                    f"`{name}.var_names = {name}.var[{column!r}].astype(str)`, then "
                    f"`{name}.var_names_make_unique()`."
                )
    for change, mend in _DISGUISES:
        both = [{change(str(gene)) for gene in x.var_names} for x in (query, reference)]
        if len(both[0] & both[1]) > max(FEW, 2 * n_shared):
            return mend.format(object="adata")
    ids = {
        name: np.mean([bool(_ENSEMBL.match(str(gene))) for gene in x.var_names]) > 0.5
        for name, x in objects.items()
    }
    if ids["query"] != ids["reference"]:
        name = "query" if ids["query"] else "reference"
        return (
            f"The {name} has Ensembl ids, the other one not: put the same kind of names into "
            "var_names of both."
        )
    return "Give both the same kind of gene names (symbols or Ensembl ids of one species)."


def variable_genes(sample: sp.csr_matrix, domains: pd.Series, n_top_genes: int) -> np.ndarray:
    """Positions of the genes that vary most within the domains, by scanpy's choice.

    Parameters
    ----------
    sample
        Log-normalised cells × genes.
    domains
        Domain of each cell: genes that vary in many of them come first.
    n_top_genes
        Genes to choose; all, if there are no more.
    """
    if n_top_genes >= sample.shape[1]:
        return np.arange(sample.shape[1])
    sizes = domains.value_counts()
    large = sizes.index[sizes >= MIN_CELLS]
    several = len(large) > 1
    cells = domains.isin(large).to_numpy() if several else np.ones(len(domains), dtype=bool)
    part = AnnData(sample[cells], obs=pd.DataFrame({"domain": domains[cells].astype(str)}))
    with warnings.catch_warnings():
        # Of scanpy's own frames, and of bins of genes that hold a single one.
        warnings.simplefilter("ignore")
        chosen = sc.pp.highly_variable_genes(
            part,
            n_top_genes=int(n_top_genes),  # scanpy does not accept NumPy integers
            flavor="seurat",
            batch_key="domain" if several else None,
            inplace=False,
        )
    return np.flatnonzero(chosen["highly_variable"].to_numpy())
