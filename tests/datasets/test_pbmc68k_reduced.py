"""The bundled PBMC data: restored counts match the values of scanpy."""

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from scipy import sparse

import ace
from ace.datasets._pbmc68k_reduced import _restore_counts


@pytest.fixture(scope="module")
def adata():
    return ace.datasets.pbmc68k_reduced()


def test_counts_match_the_values_of_scanpy(adata):
    shipped = _shipped()
    counts = adata.layers["counts"]
    assert counts.dtype == np.int32
    assert counts.data.min() == 1
    scale = 1e4 / shipped.obs["n_counts"].to_numpy(dtype=float)
    logged = np.log1p(counts.toarray() * scale[:, None])
    # scanpy's values are rounded to three decimals.
    np.testing.assert_allclose(logged, shipped.raw.X.toarray(), atol=5.1e-4)


def test_counts_fit_in_the_library(adata):
    library = np.asarray(adata.layers["counts"].sum(axis=1)).ravel()
    assert (library > 0).all()
    assert (library < adata.obs["n_counts"]).all()


def test_matrix_is_log1p_of_ten_thousand_counts(adata):
    assert isinstance(adata.X, sparse.csr_matrix)
    assert adata.X.dtype == np.float32
    np.testing.assert_allclose(np.expm1(adata.X.toarray()).sum(axis=1), 1e4, rtol=1e-4)
    counts = adata.layers["counts"].toarray()
    expected = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(adata.X.toarray(), expected, rtol=1e-4)


def test_known_biology(adata):
    """Nearly all CD79A counts are in B cells (by bulk label)."""
    counts = np.asarray(adata[:, "CD79A"].layers["counts"].toarray()).ravel()
    is_b = (adata.obs["bulk_labels"] == "CD19+ B").to_numpy()
    assert counts[is_b].mean() > 10 * counts[~is_b].mean()


def test_nothing_stale_is_kept(adata):
    assert adata.shape == (700, 765)
    assert adata.raw is None
    assert set(adata.obsm) == {"X_umap"}
    assert not adata.varm
    assert not adata.obsp
    assert set(adata.uns) == {"bulk_labels_colors", "louvain_colors", "log1p"}
    assert {"bulk_labels", "louvain", "phase"} <= set(adata.obs)
    assert "highly_variable" not in adata.var


def test_calls_are_independent(adata):
    other = ace.datasets.pbmc68k_reduced()
    other.X.data[:] = 0
    assert adata.X.max() > 0


def test_round_trip(adata, tmp_path):
    adata.write_h5ad(tmp_path / "pbmc68k.h5ad")
    back = ad.read_h5ad(tmp_path / "pbmc68k.h5ad")
    assert (back.layers["counts"] != adata.layers["counts"]).nnz == 0


def test_different_matrix_raises():
    logged = sparse.csr_matrix(np.log1p(np.array([[1.5, 0.0], [2.0, 3.0]])))
    with pytest.raises(RuntimeError, match="cannot be restored"):
        _restore_counts(logged, np.array([1e4, 1e4]))
    counts = _restore_counts(logged, np.array([2e4, 1e4]))
    np.testing.assert_array_equal(counts.toarray(), [[3, 0], [2, 3]])


def _shipped():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sc.datasets.pbmc68k_reduced()
