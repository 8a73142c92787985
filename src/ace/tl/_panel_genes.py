"""Genes that may enter, or must enter, a panel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ace import _checks
from ace._listed import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData


@dataclass(frozen=True)
class PanelGenes:
    """Positions of the genes that may enter a panel.

    Attributes
    ----------
    forced
        Genes that enter first, in this order.
    eligible
        All other genes that may enter.
    """

    forced: np.ndarray
    eligible: np.ndarray


def panel_genes(
    adata: AnnData,
    n_genes: int,
    expression: tuple[np.ndarray, np.ndarray],
    *,
    include: Sequence[str],
    exclude: Sequence[str],
    mask_var: Any,
    min_mean: float | None,
    max_mean: float | None,
) -> PanelGenes:
    """Resolve the arguments of :func:`ace.tl.select_panel` that concern genes.

    Parameters
    ----------
    adata
        The cells.
    n_genes
        Number of genes of the panel.
    expression
        Mean of each gene, and fraction of cells with a value other than 0, in each group.
    include, exclude, mask_var, min_mean, max_mean
        See :func:`ace.tl.select_panel`.

    Raises
    ------
    ValueError
        If there are fewer genes than requested.
    """
    forced = _positions(adata, include, "include")
    excluded = _positions(adata, exclude, "exclude")
    both = adata.var_names[np.intersect1d(forced, excluded)]
    if len(both):
        raise ValueError(f"{listed(both)} are in both include and exclude: remove them from one.")
    if len(forced) > n_genes:
        raise ValueError(
            f"include has {len(forced)} genes, more than n_genes={n_genes}: request at least as "
            "many."
        )
    mean, fraction = expression
    largest = mean.max(0)
    mask = _checks.mask_of(adata, mask_var)
    reasons = {
        "not expressed": ~(fraction > 0).any(0),
        "not in mask_var": np.zeros(adata.n_vars, dtype=bool) if mask is None else ~mask,
        f"below min_mean={min_mean}": largest < (-np.inf if min_mean is None else min_mean),
        f"above max_mean={max_mean}": largest > (np.inf if max_mean is None else max_mean),
        "in exclude": np.isin(np.arange(adata.n_vars), excluded),
    }
    left_out = np.any(list(reasons.values()), axis=0)
    left_out[forced] = True
    eligible = np.flatnonzero(~left_out)
    if len(forced) + len(eligible) < n_genes:
        found = ", ".join(f"{n.sum()} are {reason}" for reason, n in reasons.items() if n.any())
        raise ValueError(
            f"n_genes={n_genes}, but only {len(forced) + len(eligible)} of {adata.n_vars} genes "
            f"can be in the panel{f' ({found})' if found else ''}. Request fewer genes, or relax "
            "these conditions."
        )
    return PanelGenes(forced, eligible)


def _positions(adata: AnnData, genes: Sequence[str], name: str) -> np.ndarray:
    """Positions of the named genes, in the order given."""
    if isinstance(genes, str) or not isinstance(genes, Iterable):
        raise TypeError(
            f"{name} must be a list of gene names, such as ['CD3D'], got {genes!r:.60}."
        )
    names = list(genes)
    if not names:
        return np.array([], dtype=np.int64)
    _checks.known_genes(names, adata.var_names, "adata")
    return adata.var_names.get_indexer(list(dict.fromkeys(names)))
