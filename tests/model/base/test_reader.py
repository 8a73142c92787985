from __future__ import annotations

from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from ace.model.base._reader import MatrixReader

if TYPE_CHECKING:
    from pathlib import Path

X = np.arange(48, dtype=np.float32).reshape(6, 8)
GENES = [f"gene{i}" for i in range(8)]


def _adata(x: object) -> ad.AnnData:
    return ad.AnnData(x, var=pd.DataFrame(index=GENES))


@given(
    st.permutations(range(8)),
    st.integers(1, 8),
    st.permutations(range(6)),
    st.sampled_from([np.asarray, sparse.csr_matrix, sparse.csc_array]),
)
def test_rows_and_genes_have_the_requested_order(
    order: list[int], n_genes: int, rows: list[int], kind: object
) -> None:
    columns = order[:n_genes]
    reader = MatrixReader(_adata(kind(X)), None, [GENES[i] for i in columns])
    read = reader.dense(np.array(rows))
    np.testing.assert_array_equal(read, X[np.ix_(rows, columns)])
    assert read.dtype == np.float32
    assert read.flags["C_CONTIGUOUS"]
    assert len(reader) == 6


def test_files_are_read_in_any_order(tmp_path: Path) -> None:
    _adata(sparse.csr_matrix(X)).write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    reader = MatrixReader(backed, None, GENES[::-1])
    np.testing.assert_array_equal(reader.dense(np.array([4, 0, 5])), X[[4, 0, 5], ::-1])


def test_dask_is_computed_by_minibatch() -> None:
    dask = pytest.importorskip("dask.array")
    reader = MatrixReader(_adata(dask.from_array(X, chunks=(2, 8))), None, GENES[2:4])
    np.testing.assert_array_equal(reader.dense(np.array([5, 1])), X[[5, 1], 2:4])


def test_sparse_rows_stay_sparse() -> None:
    reader = MatrixReader(_adata(sparse.csr_matrix(X)), None, GENES)
    chunks = list(reader.chunks(np.arange(6), size=4))
    assert [sparse.issparse(c) for c in chunks] == [True, True]
    np.testing.assert_array_equal(sparse.vstack(chunks).toarray(), X)


def test_no_matrix() -> None:
    adata = _adata(X)
    adata.X = None
    with pytest.raises(ValueError, match=r"adata\.X is empty"):
        MatrixReader(adata, None, GENES)
