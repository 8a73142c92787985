"""Means and fractions of groups: the same however the matrix is stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from ace._matrix import LogCounts, read_rows, summarise

CODES = np.array([0, 1, 0, -1, 1, 0])
X = np.array(
    [
        [1.0, 0, 2],
        [0, 0, 5],
        [3.0, 0, 0],
        [9.0, 9, 9],  # of no group
        [0, -4, 1],
        [0, 0, 4],
    ]
)


def _twice(x: np.ndarray, format: str) -> Any:
    """A matrix whose every value is stored in two parts, some with a zero that is stored."""
    rows, columns = np.nonzero(x)
    halves = np.concatenate([x[rows, columns] * 0.25, x[rows, columns] * 0.75])
    found = sparse.coo_matrix(
        (
            np.append(halves, [0.0, 2.0, -2.0]),
            (np.r_[rows, rows, 1, 1, 1], np.r_[columns, columns, 0, 1, 1]),
        ),
        shape=x.shape,
    )
    if format == "csc":
        by_column = np.argsort(found.col, kind="stable")
        indptr = np.searchsorted(found.col[by_column], np.arange(x.shape[1] + 1))
        return sparse.csc_matrix((found.data[by_column], found.row[by_column], indptr), x.shape)
    by_row = np.argsort(found.row, kind="stable")
    indptr = np.searchsorted(found.row[by_row], np.arange(x.shape[0] + 1))
    return sparse.csr_matrix((found.data[by_row], found.col[by_row], indptr), x.shape)


@pytest.mark.parametrize("format", ["dense", "csr", "csc", "csr twice", "csc twice"])
def test_summary_by_hand(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ace._matrix.CHUNK_VALUES", 4)  # several chunks
    kind, *twice = format.split()
    matrix = (
        _twice(X, kind)
        if twice
        else X
        if kind == "dense"
        else getattr(sparse, f"{kind}_matrix")(X)
    )
    before = matrix.copy()
    found = summarise(matrix, CODES, 2)
    np.testing.assert_array_equal(found.counts, [3, 2])
    np.testing.assert_allclose(found.mean, [[4 / 3, 0, 2], [0, -2, 3]], atol=1e-12)
    np.testing.assert_allclose(found.fraction, [[2 / 3, 0, 2 / 3], [0, 0.5, 1]], atol=1e-12)
    if twice:  # the user's matrix is read, not put in order
        np.testing.assert_array_equal(matrix.data, before.data)
        np.testing.assert_array_equal(matrix.indices, before.indices)


def test_rest_is_weighted_by_cells() -> None:
    found = summarise(X, np.array([0, 1, 1, 1, 2, 2]), 3)
    mean, fraction = found.of_rest([0, 1])
    np.testing.assert_allclose(mean, X[:4].mean(0))
    np.testing.assert_allclose(fraction, (X[:4] != 0).mean(0))


def test_logarithm_is_of_the_whole_count() -> None:
    counts = np.array([[1.0, 3, 0], [0, 0, 0], [2, 2, 6]])
    expected = np.log1p(counts / np.array([4.0, 1, 4])[:, None] * 10)  # over the first two genes
    for matrix in (
        counts,
        sparse.csr_matrix(counts),
        sparse.csc_matrix(counts),
        _twice(counts, "csr"),
    ):
        logged = LogCounts(matrix, np.array([0, 1]), 10.0)
        rows = logged[np.array([0, 1, 2])]
        dense = rows.toarray() if sparse.issparse(rows) else rows
        np.testing.assert_allclose(dense, expected, rtol=1e-6)
        assert dense.dtype == np.float32


@pytest.mark.parametrize("columns", [None, np.array([2, 0])])
@pytest.mark.parametrize("rows", [np.array([1, 4]), slice(1, 3)])
def test_rows_and_columns(rows: Any, columns: np.ndarray | None) -> None:
    expected = X[rows] if columns is None else X[rows][:, columns]
    for matrix in (X, np.asfortranarray(X), sparse.csr_matrix(X), sparse.csc_array(X)):
        part = read_rows(matrix, rows, columns)
        np.testing.assert_array_equal(part.toarray() if sparse.issparse(part) else part, expected)
