from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.preprocessing import minmax_scale

from ace.model.base._reader import MatrixReader
from ace.model.base._scaling import learn_scale


def _reader(x: np.ndarray, as_sparse: bool) -> MatrixReader:
    adata = ad.AnnData(sparse.csr_matrix(x) if as_sparse else x)
    return MatrixReader(adata, None, adata.var_names)


def _matrix(seed: int, n_cells: int = 1500) -> np.ndarray:
    """More cells than one chunk, some genes rarely expressed, the last one constant."""
    rng = np.random.default_rng(seed)
    x = rng.gamma(2, size=(n_cells, 6)) * (rng.random((n_cells, 6)) < [0.9, 0.5, 0.1, 1, 1, 1])
    x[:, 4] = x[:, 4] * 1e-2 + 50  # large offset, small spread
    x[:, 5] = 3.0
    return x.astype(np.float32)


@given(st.integers(0, 2**31), st.booleans())
def test_minmax(seed: int, as_sparse: bool) -> None:
    x = _matrix(seed, 40)
    offset, factor = learn_scale(_reader(x, as_sparse), np.arange(40), "minmax")
    scaled = (x - offset) * factor
    np.testing.assert_allclose(scaled[:, :4], minmax_scale(x[:, :4]), atol=1e-5)
    np.testing.assert_allclose(scaled[:, 4], minmax_scale(x[:, 4]), atol=1e-3)


@pytest.mark.parametrize("as_sparse", [False, True])
def test_zscore(as_sparse: bool) -> None:
    x = _matrix(0)
    offset, factor = learn_scale(_reader(x, as_sparse), np.arange(len(x)), "zscore")
    scaled = (x - offset) * factor
    exact = x[:, :5].astype(np.float64)
    exact = (exact - exact.mean(axis=0)) / exact.std(axis=0)
    np.testing.assert_allclose(scaled[:, :4], exact[:, :4], atol=1e-4)
    np.testing.assert_allclose(scaled[:, 4], exact[:, 4], atol=5e-3)


@pytest.mark.parametrize("kind", ["minmax", "zscore"])
@pytest.mark.parametrize("as_sparse", [False, True])
def test_gene_that_is_constant_in_training_is_ignored(kind: str, as_sparse: bool) -> None:
    _, factor = learn_scale(_reader(_matrix(0), as_sparse), np.arange(1500), kind)
    assert factor[5] == 0
    assert (factor[:5] > 0).all()


def test_only_the_given_cells_are_used() -> None:
    x = np.array([[0.0], [2.0], [100.0]], dtype=np.float32)
    offset, factor = learn_scale(_reader(x, False), np.array([0, 1]), "minmax")
    assert (offset[0], factor[0]) == (0.0, 0.5)


def test_none_leaves_values_unchanged() -> None:
    offset, factor = learn_scale(_reader(_matrix(0), True), np.arange(10), None)
    np.testing.assert_array_equal(offset, [0, 0, 0, 0, 0, 3])  # the last gene is constant
    varies = np.ptp(_matrix(0)[:10], axis=0) > 0
    np.testing.assert_array_equal(factor, varies)


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("kind", ["minmax", "zscore", None])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_an_error(
    as_sparse: bool, kind: str | None, value: float
) -> None:
    x = _matrix(0)
    x[1200, [0, 2]] = value
    with pytest.raises(ValueError, match="NaN or infinite values in 2 genes"):
        learn_scale(_reader(x, as_sparse), np.arange(1500), kind)


def test_sparse_rows_are_not_densified(monkeypatch: pytest.MonkeyPatch) -> None:
    def dense(*args: object) -> None:
        raise AssertionError("densified")

    reader = _reader(_matrix(0), True)
    monkeypatch.setattr(MatrixReader, "dense", dense)
    learn_scale(reader, np.arange(1500), "zscore")
