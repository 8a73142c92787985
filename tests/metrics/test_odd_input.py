"""Valid matrices, labels and panels in any format are read; others raise a clear error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata as ad
import dask.array as da
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from ace import metrics

if TYPE_CHECKING:
    from pathlib import Path

PANELS = {"a": [0, 2], "b": [1, 3]}


@pytest.fixture
def x() -> np.ndarray:
    # Integers that float16 can represent, with distinct distances.
    x = np.random.default_rng(0).integers(0, 1000, (60, 6)).astype(np.float32)
    x[::2, [0, 2]] += 300
    return x


@pytest.fixture
def labels() -> np.ndarray:
    return np.tile(["a", "b"], 30)


def _all_of(X: Any, labels: Any, panels: Any = PANELS) -> list[np.ndarray]:
    """Results of all metrics of a matrix."""
    return [
        metrics.panel_auroc(X, labels, panels, 2, min_cells=5)["auroc"].to_numpy(),
        metrics.knn_jaccard(X, labels, panels, 2, 5).to_numpy(),
        metrics.panel_redundancy(X, panels, 2)["redundancy"].to_numpy(),
    ]


def _stored(x: np.ndarray, how: str, folder: Path) -> Any:
    match how:
        case "dask":
            return da.from_array(x, chunks=(20, 6))
        case "dask of csr":
            return da.from_array(x, chunks=(20, 6)).map_blocks(sparse.csr_matrix)
        case "frame":
            return pd.DataFrame(x)
        case "nullable frame":
            return pd.DataFrame(x).astype("Float64")
        case "matrix":
            return np.matrix(x)
        case "masked":
            return np.ma.masked_array(x, np.zeros_like(x, dtype=bool))
        case "list":
            return x.tolist()
        case "int":
            return x.astype(int)
        case "float16":
            return x.astype(np.float16)
    kind = how.removeprefix("backed ")
    stored = x if kind == "dense" else getattr(sparse, kind)(x)
    if kind == how:
        return stored
    ad.AnnData(stored).write_h5ad(folder / "x.h5ad")
    return ad.read_h5ad(folder / "x.h5ad", backed="r").X


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize(
    "how",
    [
        *("dask", "dask of csr", "frame", "nullable frame", "matrix", "masked", "list", "int"),
        *("float16", "csr_matrix", "csc_array", "coo_array", "lil_matrix"),
        *("backed dense", "backed csr_matrix", "backed csc_matrix"),
    ],
)
def test_storage_does_not_matter(
    x: np.ndarray, labels: np.ndarray, how: str, tmp_path: Path
) -> None:
    found = _all_of(_stored(x, how, tmp_path), labels)
    for got, expected in zip(found, _all_of(x, labels), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6)


def test_booleans_are_zeros_and_ones(x: np.ndarray, labels: np.ndarray) -> None:
    def judged(X: Any) -> Any:
        found = metrics.panel_auroc(X, labels, PANELS, 2, min_cells=5)["auroc"]
        return found, metrics.panel_redundancy(X, PANELS, 2)["redundancy"]

    on = x > 500
    for stored in (on, sparse.csr_array(on), sparse.csc_matrix(on)):
        for got, expected in zip(judged(stored), judged(on.astype(float)), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-6)
        assert metrics.knn_jaccard(stored, labels, PANELS, 2, 5).between(0, 1).all()


@pytest.mark.parametrize(
    ("odd", "error", "message"),
    [
        (lambda x: ad.AnnData(x), TypeError, r"X must be an array, got AnnData; .* adata\.X"),
        (lambda x: x[:0], ValueError, r"X is empty, of shape \(0, 6\)"),
        (lambda x: sparse.csr_matrix(x[:, :0]), ValueError, r"X is empty, of shape \(60, 0\)"),
        (lambda x: x[0], ValueError, "1 dimension"),
        (lambda x: sparse.coo_array(x[0]), ValueError, "1 dimension"),
        (lambda x: x.astype(str), ValueError, "X must hold numbers, got values of type"),
        (lambda x: x.astype(complex), ValueError, "X must hold numbers"),
        (lambda _: [[1, 2], [3]], ValueError, "X must be an array of numbers"),
        (lambda _: None, ValueError, "X must hold numbers"),
        (lambda x: np.ma.masked_less(x, 100), ValueError, r"masked values; .*filled"),
        (lambda x: np.where(x == x.max(), np.nan, x), ValueError, "NaN or infinite"),
        (
            lambda x: sparse.csr_matrix(np.where(x > 1290, np.inf, x)),
            ValueError,
            "NaN or infinite",
        ),
        (lambda x: x.astype(float) * 1e290, ValueError, "squares overflow"),
    ],
)
def test_invalid_matrix(
    x: np.ndarray, labels: np.ndarray, odd: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        metrics.knn_jaccard(odd(x), labels, PANELS, 2, 5)


@pytest.mark.parametrize(
    ("panels", "error", "message"),
    [
        ([0, 1], TypeError, r"panels must be \{group: column indices, best first\}, got list"),
        (pd.DataFrame(PANELS), TypeError, r"got DataFrame\. .*get_indexer\(table\[group\]\)"),
        (None, TypeError, "got NoneType"),
        ({"a": [[0], [1, 2]]}, ValueError, "sequence of column indices"),
        ({"a": [0.0, 1.0]}, ValueError, "sequence of column indices"),
        ({1: [0, 1], "1": [2, 3]}, ValueError, "two groups with the name '1'"),
    ],
)
def test_invalid_panels(
    x: np.ndarray, labels: np.ndarray, panels: Any, error: type[Exception], message: str
) -> None:
    for call in (
        lambda: metrics.panel_auroc(x, labels, panels, 2),
        lambda: metrics.knn_jaccard(x, labels, panels, 2),
        lambda: metrics.panel_redundancy(x, panels, 2),
        lambda: metrics.causal_recovery(panels, ["k"] * 6, 2),
    ):
        with pytest.raises(error, match=message):
            call()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "labels is empty"),
        ("a", "labels must have one label for each cell"),
        ([["a"], ["b", "c"]], "labels must have one label"),
        (["a", None], "1 labels are missing"),
        (pd.array(["a", pd.NA], dtype="string"), "1 labels are missing"),
        (np.ma.masked_array(["a", "b"], [True, False]), "1 labels are missing"),
        ([1, "1", "1", 1], "equal as text"),
        ([{}, {}], "must be strings or numbers"),
    ],
)
def test_invalid_labels(labels: Any, message: str) -> None:
    if isinstance(labels, list) and 1 in labels:
        labels = np.array(labels, dtype=object)
    with pytest.raises(ValueError, match=message):
        metrics.clustering_agreement(labels, ["a"])


@pytest.mark.parametrize("n", [True, "3", 2.5, np.nan, -1, 0, None, [3]])
def test_invalid_numbers(x: np.ndarray, labels: np.ndarray, n: Any) -> None:
    z = x[:, :2]
    calls = {
        "n_splits": lambda: metrics.panel_auroc(x, labels, PANELS, 2, n_splits=n),
        "min_cells": lambda: metrics.panel_auroc(x, labels, PANELS, 2, min_cells=n),
        "n_iter": lambda: metrics.panel_auroc(x, labels, PANELS, 2, protocol="random", n_iter=n),
        "n_neighbors": lambda: metrics.knn_jaccard(x, labels, PANELS, 2, n),
        r"n_neighbors \(for 60 cells\)": lambda: metrics.morans_i(z, z[:, 0], n_neighbors=n),
        "n_top": lambda: metrics.panel_redundancy(x, PANELS, n),
    }
    if n is not None:
        calls["n_sampled"] = lambda: metrics.clustering_agreement(labels, labels, n_sampled=n)
        calls["n_jobs"] = lambda: metrics.knn_jaccard(x, labels, PANELS, 2, 5, n_jobs=n)
    if isinstance(n, int) and n == 0:  # no group is too small
        del calls["min_cells"]
    if n == -1:  # all cores
        del calls["n_jobs"]
    for name, call in calls.items():
        with pytest.raises(ValueError, match=name):
            call()


def test_searches_need_cells_in_every_fold(x: np.ndarray) -> None:
    labels = np.array(["a"] * 4 + ["b"] * 56)
    panels = {"a": [0, 2]}
    assert len(metrics.panel_auroc(x, labels, panels, 2, min_cells=1)) == 3
    with pytest.raises(ValueError, match=r"5 cells and 5 others for n_splits=3 folds"):
        metrics.panel_auroc(x, labels, panels, 2, min_cells=1, protocol="nested")


def test_squares_that_underflow_are_nan(x: np.ndarray) -> None:
    tiny = x.astype(float) * 1e-200
    assert np.isnan(metrics.panel_redundancy(tiny, {"a": [0, 2]}, 2)["redundancy"]).all()
    assert np.isnan(metrics.morans_i(x[:, :2], tiny[:, 0], n_neighbors=5))


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        (pd.DataFrame([["g", "h"]], columns=["A", "A"]), "columns with the same name"),
        ({"A": [["g"]]}, "must hold names of genes"),
        ({"A": 3}, "must be a list of genes"),
        ({1: ["g"], "1": ["h"]}, "two groups with the name '1'"),
    ],
)
def test_invalid_ranked_panels(panels: Any, message: str) -> None:
    for call in (
        lambda: metrics.stability([panels, panels]),
        lambda: metrics.panel_overlap({"one": panels, "other": panels}),
        lambda: metrics.panel_membership({"one": panels}, group="A"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    for nothing in (None, 3, ["g"]):
        with pytest.raises(TypeError, match=r"panels must be \{method: "):
            metrics.panel_overlap(nothing)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="runs must be a list with the panels of each run"):
        metrics.stability(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([1.0], r"scores must be \{\(group, reference\): array\}"),
        ({"A": [1.0]}, r"scores must be \{\(group, reference\): array\}"),
        ({("A", "B"): ["x"], ("B", "A"): [1.0]}, r"the score of \('A', 'B'\) must hold numbers"),
        ({("A", "B"): [1e300], ("B", "A"): [1.0]}, "squares overflow"),
    ],
)
def test_invalid_scores_of_pairs(scores: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metrics.pair_symmetry(scores)
