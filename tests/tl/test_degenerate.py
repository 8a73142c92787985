"""Degenerate matrices and arguments: a clear error, and nothing is written."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from tests.fuzz._judge import changes, snapshot

import ace

METHODS = ace.explain.methods().index
FAST = {"adversarial": {"max_steps": 5}, "panel": {"n_pairs": 50}}


def _cells(x: np.ndarray, stored: Any = np.asarray) -> ad.AnnData:
    adata = ad.AnnData(stored(x.astype(np.float32)))
    adata.var_names = [f"g{i}" for i in range(x.shape[1])]
    adata.obs_names = [f"c{i}" for i in range(len(x))]
    adata.obs["ct"] = pd.Categorical(np.array(["A", "B", "C"])[np.arange(len(x)) % 3])
    return adata


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    """Log-normalised values of 30 cells of three kinds."""
    counts = np.random.default_rng(0).poisson(1, (30, 12)).astype(float)
    for kind in range(3):
        counts[kind::3, kind::3] += 4
    return np.log1p(counts / counts.sum(1, keepdims=True) * 1e4)


@pytest.mark.filterwarnings("ignore::UserWarning")  # kind of values
@pytest.mark.parametrize("stored", [np.asarray, sp.csr_matrix, sp.csc_array])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: 0 * x, "the cells do not differ"),
        (lambda x: 0 * x + 2.5, "the cells do not differ"),
        (lambda x: x[[0] * 30], "the cells do not differ"),
        (lambda x: x * 1e-42, "the cells do not differ"),
        (lambda x: 5 + x * 1e-8, "the cells do not differ"),
        (lambda x: x * 1e30, r"adata\.X has values above 1e\+15 in 12 genes, such as \['g0'"),
        (lambda x: x[:, :1], "need at least two cells and two genes, got 30 cells x 1 genes"),
        (lambda x: x[:, :0], "adata is empty"),
        (lambda x: x[:1], "only one group"),
        (lambda x: x[:0], "has no groups"),
    ],
)
def test_nothing_to_explain(x: np.ndarray, change: Any, message: str, stored: Any) -> None:
    adata = _cells(change(x), stored)
    before = snapshot(adata)
    for method in METHODS:
        with pytest.raises(ValueError, match=message):
            ace.tl.explain(adata, "ct", method=method)
    assert not changes(before, adata)


@pytest.mark.filterwarnings("ignore::UserWarning")  # RuntimeWarnings remain errors
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "change",
    [
        lambda x: x[:2],
        lambda x: x[:4],
        lambda x: x[:, :2],
        lambda x: x * 1e12,
        lambda x: x * 1e-10,
        lambda x: x[np.arange(30) % 3],  # three distinct cells, ten copies of each
        lambda x: np.eye(1, x.size, 5).reshape(x.shape) * 3,  # one nonzero value
        lambda x: x * (np.arange(12) == 4),  # one gene varies
    ],
)
def test_small_or_constant_matrices(x: np.ndarray, change: Any, method: str) -> None:
    adata = _cells(change(x), sp.csr_matrix)
    ace.tl.explain(adata, "ct", method=method, **FAST.get(method, {}))
    assert np.isfinite(adata.varm["ace_scores"].to_numpy()).all()


def test_scores_that_are_not_finite_are_not_stored(
    x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    adata = _cells(x)
    before = snapshot(adata)
    method = ace.explain.Saliency
    explained = method.explain

    def broken(self: Any, source: int, reference: int | None) -> Any:
        found = explained(self, source, reference)
        found.scores[3] = np.nan
        return found

    monkeypatch.setattr(method, "explain", broken)
    with pytest.raises(ValueError, match=r"infinite for 1 genes of 'A'"):
        ace.tl.explain(adata, "ct", method="saliency")
    assert not changes(before, adata)


@pytest.mark.parametrize(
    ("method", "option"),
    [
        ("panel", "mass"),
        ("panel", "n_joint"),
        ("adversarial", "penalty"),
        ("adversarial", "margin"),
        ("adversarial", "tol"),
        ("adversarial", "max_steps"),
        ("adversarial", "bounds"),
        ("adversarial", "output"),
        ("smoothgrad", "noise"),
        ("shap", "max_cells"),
        ("expected_gradients", "n_samples"),
        ("integrated_gradients", "baseline"),
    ],
)
@pytest.mark.parametrize("value", ["x", True, np.nan, np.inf, [1], pd.NA, np.array([1.0, 2.0])])
def test_options_that_are_not_numbers(x: np.ndarray, method: str, option: str, value: Any) -> None:
    if option == "bounds" and isinstance(value, np.ndarray):
        pytest.skip("a pair of numbers")
    adata = _cells(x)
    before = snapshot(adata)
    with pytest.raises(
        (ValueError, TypeError), match=rf"^({option}|option).*(must be|is not one)"
    ):
        ace.tl.explain(adata, "ct", method=method, **{option: value})
    assert not changes(before, adata)


@pytest.mark.parametrize("value", ["x", True, 1.5, np.nan, -1, [1], 2**40])
def test_seeds_and_numbers(x: np.ndarray, value: Any) -> None:
    adata = _cells(x)
    before = snapshot(adata)
    for call in (
        lambda: ace.tl.explain(adata, "ct", random_state=value),
        lambda: ace.tl.informative_genes(adata, "ct", random_state=value),
        lambda: ace.tl.annotate(adata, "ct", unlabeled_category="A", random_state=value),
    ):
        with pytest.raises(ValueError, match="random_state must be a whole number from 0 to 4294"):
            call()
    if value == 2**40:
        return
    for call in (
        lambda: ace.tl.explain(adata, "ct", n_cells=value),
        lambda: ace.tl.explain(adata, "ct", n_prototypes=value),
        lambda: ace.tl.rank_specificity(adata, "ct", n_genes=value),
        lambda: ace.tl.informative_genes(adata, "ct", n_bins=value),
        lambda: ace.tl.annotate(adata, "ct", unlabeled_category="A", n_top_genes=value),
        lambda: ace.tl.annotate(adata, "ct", unlabeled_category="A", max_epochs=value),
    ):
        with pytest.raises(ValueError, match="must be a positive whole number"):
            call()
    assert not changes(before, adata)


@pytest.mark.parametrize("groups", [None, 3, np.nan, []])
def test_groups_that_are_not_a_list(x: np.ndarray, groups: Any) -> None:
    for writer in (ace.tl.explain, ace.tl.rank_specificity):
        with pytest.raises(ValueError, match=r"^groups "):
            writer(_cells(x), "ct", groups=groups)


def test_columns_that_are_not_names(x: np.ndarray) -> None:
    adata = _cells(x)
    for key in (["ct"], 3, np.nan):
        with pytest.raises((KeyError, TypeError), match=r"no column|name one column"):
            ace.tl.explain(adata, key)
    for key in (3, np.nan, [3], {"ct"}):
        with pytest.raises(TypeError, match="domain_key must be the name of a column of obs"):
            ace.tl.annotate(adata, "ct", unlabeled_category="A", domain_key=key)
    for category in ([], ["A"], pd.NA, np.nan):
        with pytest.raises(ValueError, match="unlabeled_category must be a category"):
            ace.tl.annotate(adata, "ct", unlabeled_category=category)


def test_neighbours_within_a_group_require_two_cells(x: np.ndarray) -> None:
    adata = _cells(x[:3])
    assert ace.tl.informative_genes(adata, "ct", min_cells=1)
    with pytest.raises(ValueError, match="with 2 or more cells"):
        ace.tl.informative_genes(adata, "ct", min_cells=1, n_bins=None, key_added="other")
