"""Genes are matched by name, never by position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence


def gene_positions(
    var_names: Sequence[str] | pd.Index, genes: Sequence[str] | np.ndarray
) -> np.ndarray | None:
    """Where the genes of a model lie in the columns of a matrix.

    Parameters
    ----------
    var_names
        Names of the matrix' columns.
    genes
        Genes of the model, in its order.

    Returns
    -------
    Column of each gene, or ``None`` if the columns already are the genes in this order.

    Raises
    ------
    ValueError
        If a name of the matrix occurs twice, or a gene of the model is not among them.

    Examples
    --------
    >>> gene_positions(["CD3E", "LYZ", "NKG7"], ["NKG7", "CD3E"])
    array([2, 0])
    """
    index = pd.Index(var_names)
    if not index.is_unique:
        twice = index[index.duplicated()].unique()[:3].tolist()
        raise ValueError(
            f"adata.var_names holds names that occur more than once, such as {twice}; genes are "
            "matched by name. Run `adata.var_names_make_unique()` first."
        )
    positions = index.get_indexer(pd.Index(genes))
    missing = np.flatnonzero(positions < 0)
    if len(missing):
        some = [str(genes[i]) for i in missing[:5]]
        raise ValueError(
            f"adata lacks {len(missing)} of the {len(genes)} genes that the model was made for, "
            f"such as {some}. Genes are matched by adata.var_names: check that both use the same "
            "kind of name (symbols or identifiers), or train on genes that both have."
        )
    if len(index) == len(genes) and np.array_equal(positions, np.arange(len(genes))):
        return None
    return positions
