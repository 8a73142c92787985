"""Genes that two objects share, and the most variable of them."""

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
from ace._log import report
from ace._warn import warn

if TYPE_CHECKING:
    from collections.abc import Callable

    import scipy.sparse as sp

logger = logging.getLogger(__name__)

#: An error is raised below this share of the shorter list of genes, or below FEW genes (or half of
#: the list, if it is as short as that of an antibody panel).
LEAST = 0.05
FEW = 50
#: A warning is issued below this share of the shorter list, or below this number of genes.
NOTABLE, NUMBER = 0.5, 100
#: Smallest domain that contributes to the choice of variable genes.
MIN_CELLS = 50

_ENSEMBL = re.compile(r"ENS[A-Z]*G\d{6,}")
#: Changes of gene names that may match more genes, and code that makes them.
_SPELLINGS: list[tuple[Callable[[str], str], str]] = [
    (
        lambda gene: gene.split(".")[0],
        "They agree without the part after the dot (versions of Ensembl IDs): "
        "`{object}.var_names = {object}.var_names.str.split('.').str[0]`.",
    ),
    (
        str.upper,
        "They agree except for upper and lower case. If the species differ, map orthologs; "
        "otherwise use `{object}.var_names = {object}.var_names.str.upper()` for both.",
    ),
]


def shared_genes(query: AnnData, reference: AnnData) -> pd.Index:
    """Names of the genes of both objects, in the order of the query.

    Raises
    ------
    ValueError
        If there are too few; the message says how to match more.

    Warns
    -----
    UserWarning
        If more than half of the shorter list is left out, or fewer than 100 genes are shared.
    """
    mine, theirs = query.var_names, reference.var_names
    shared = mine[mine.isin(theirs)]
    n_shorter = min(len(mine), len(theirs))
    lost = f"{len(mine) - len(shared)} of the {len(mine)} genes of the query and "
    lost += f"{len(theirs) - len(shared)} of the {len(theirs)} of the reference are left out"
    if len(shared) < max(LEAST * n_shorter, min(FEW, n_shorter / 2)):
        raise ValueError(
            f"the query and the reference share only {len(shared)} genes by name, which is too "
            f"few: {lost}. The query has {listed(mine[:3])}, the reference {listed(theirs[:3])}. "
            + _how_to_match(query, reference, len(shared))
        )
    report(logger, "%d genes are in the query and in the reference; %s", len(shared), lost)
    if len(shared) < max(NOTABLE * n_shorter, NUMBER):
        warn(
            f"the query and the reference share only {len(shared)} genes: {lost}. If either was "
            "subset to its highly variable genes, pass all genes: annotate chooses variable genes "
            "among the shared ones (n_top_genes).",
        )
    return shared


def _how_to_match(query: AnnData, reference: AnnData, n_shared: int) -> str:
    """Suggest how to match more names, for a message."""
    objects = {"query": query, "reference": reference}
    for name, other in (("query", "reference"), ("reference", "query")):
        wanted = set(objects[other].var_names)
        for column, values in objects[name].var.items():  # also works for duplicate columns
            numbers = pd.api.types.is_numeric_dtype(values.dtype)
            if not numbers and values.astype(str).isin(wanted).sum() > max(FEW, 2 * n_shared):
                return (
                    f"{name}.var[{column!r}] has the names of the {other}: "
                    f"`{name}.var_names = {name}.var[{column!r}].astype(str)`, then "
                    f"`{name}.var_names_make_unique()`."
                )
    for change, fix in _SPELLINGS:
        both = [{change(str(gene)) for gene in x.var_names} for x in (query, reference)]
        if len(both[0] & both[1]) > max(FEW, 2 * n_shared):
            return fix.format(object="adata")
    ids = {
        name: np.mean([bool(_ENSEMBL.match(str(gene))) for gene in x.var_names]) > 0.5
        for name, x in objects.items()
    }
    if ids["query"] != ids["reference"]:
        name = "query" if ids["query"] else "reference"
        return (
            f"The {name} has Ensembl IDs, but the other object does not: use the same kind of "
            "names in both."
        )
    return "Use the same kind of gene names (symbols or Ensembl IDs of one species) in both."


def variable_genes(sample: sp.csr_matrix, domains: pd.Series, n_top_genes: int) -> np.ndarray:
    """Positions of the most variable genes within the domains, chosen by scanpy.

    Parameters
    ----------
    sample
        Log-normalised cells × genes.
    domains
        Domain of each cell; genes that are variable in many domains are preferred.
    n_top_genes
        Number of genes.
    """
    if n_top_genes >= sample.shape[1]:
        return np.arange(sample.shape[1])
    sizes = domains.value_counts()
    large = sizes.index[sizes >= MIN_CELLS]
    several = len(large) > 1
    cells = domains.isin(large).to_numpy() if several else np.ones(len(domains), dtype=bool)
    part = AnnData(sample[cells], obs=pd.DataFrame({"domain": domains[cells].astype(str)}))
    with warnings.catch_warnings():
        # scanpy warns about its own data frames, and about bins with a single gene.
        warnings.simplefilter("ignore")
        chosen = sc.pp.highly_variable_genes(
            part,
            n_top_genes=int(n_top_genes),  # scanpy does not accept NumPy integers
            flavor="seurat",
            batch_key="domain" if several else None,
            inplace=False,
        )
    return np.flatnonzero(chosen["highly_variable"].to_numpy())
