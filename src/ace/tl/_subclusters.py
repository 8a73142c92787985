"""Subclusters of a group of cells, and their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scanpy as sc
from anndata import AnnData

from ace import _checks
from ace._checks import _columns, _storable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


def subcluster_name(group: str, part: Any) -> str:
    """Return the name of a subcluster, such as ``"CD4 T:0"``."""
    return f"{group}:{part}"


def given_subclusters(
    adata: AnnData, column: str, codes: np.ndarray, names: Sequence[str]
) -> pd.Categorical:
    """Return the subclusters in a column of ``obs``, after checking their names.

    Parameters
    ----------
    adata
        The cells.
    column
        Column of ``obs`` with the subcluster of each cell; may be missing.
    codes
        Group of each cell as a position in ``names``, -1 for none.
    names
        Names of the groups.
    """
    given = _columns.labels_of(_checks.column_of(adata, column), f"adata.obs[{column!r}]")
    check_names(given, column, codes, names)
    return given


def check_names(
    given: pd.Categorical, column: str, codes: np.ndarray, names: Sequence[str]
) -> None:
    """Raise if subclusters cannot be stored, or two of them would have the same name."""
    known = (codes >= 0) & (given.codes >= 0)
    both = np.unique(np.stack([codes[known], given.codes[known]]), axis=1).T
    parts = [subcluster_name(names[group], given.categories[part]) for group, part in both]
    _storable.text(parts, f"subclusters of adata.obs[{column!r}]", "Rename them.")
    _checks.distinct(parts, sorted(parts))


def leiden(
    z: np.ndarray, resolution: float, n_neighbors: int, random_state: int
) -> pd.Categorical:
    """Cluster cells in a latent space, ``(n_cells, n_latent)``, with the Leiden algorithm."""
    cells = AnnData(z)
    sc.pp.neighbors(cells, n_neighbors=n_neighbors, use_rep="X", random_state=random_state)
    sc.tl.leiden(
        cells,
        resolution=resolution,
        flavor="igraph",
        n_iterations=2,
        directed=False,
        random_state=random_state,
    )
    return cells.obs["leiden"].array
