"""Reading of stored components, and of cells on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
import scipy.sparse as sp

import ace

if TYPE_CHECKING:
    from pathlib import Path


def _scores(adata: ad.AnnData, **options: Any) -> np.ndarray:
    ace.tl.explain(adata, "louvain", method="saliency", groups=["0", "4"], **options)
    return adata.varm["ace_scores"].to_numpy()


@pytest.mark.filterwarnings("ignore:the scorer assigns only")
def test_signs_of_stored_components(pbmc: ad.AnnData) -> None:
    """Some files hold loadings and coordinates with opposite signs."""
    sc.pp.pca(pbmc, n_comps=10)
    expected = _scores(pbmc)
    pbmc.obsm["X_pca"] = pbmc.obsm["X_pca"] * np.where(np.arange(10) % 2, 1, -1)
    np.testing.assert_allclose(_scores(pbmc), expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:the scorer assigns only")
@pytest.mark.parametrize("stored", [np.asarray, sp.csr_matrix, sp.csc_matrix])
def test_cells_on_disk_and_in_memory(pbmc: ad.AnnData, stored: Any, tmp_path: Path) -> None:
    """Files are read in the order of their rows, whatever the order of the groups."""
    pbmc.X = stored(pbmc.X.toarray())
    expected = _scores(pbmc, n_cells=20)
    pbmc.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    np.testing.assert_allclose(_scores(backed, n_cells=20), expected, atol=1e-5)
