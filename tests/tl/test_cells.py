"""Attributions of individual cells in one matrix, sparse or dense."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import ace
from ace.explain import Method
from ace.tl._cell_layer import CellLayer

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    n_cells=st.integers(1, 12),
    n_genes=st.integers(1, 8),
    filled=st.lists(st.sampled_from([0.0, 0.1, 1.0]), min_size=1, max_size=3),
)
def test_every_value_is_in_its_place(
    seed: int, n_cells: int, n_genes: int, filled: list[float]
) -> None:
    rng = np.random.default_rng(seed)
    columns = rng.permutation(n_genes)[: rng.integers(1, n_genes + 1)]
    group = rng.integers(-1, len(filled), n_cells)
    explained = np.flatnonzero(group >= 0)
    if len(explained) == 0:
        return
    layer = CellLayer((n_cells, n_genes), explained, columns)
    expected = np.zeros((n_cells, n_genes), np.float32)
    missing = np.ones(n_cells, dtype=bool)
    for number, share in enumerate(filled):
        cells = np.flatnonzero(group == number)
        values = rng.normal(size=(len(cells), len(columns))).astype(np.float32)
        values[rng.random(values.shape) >= share] = 0
        values[rng.random(len(cells)) < 0.1] = np.nan  # not explained
        missing[cells] = np.isnan(values[:, 0])
        scores = rng.normal(size=len(columns))
        mean = np.nansum(values, 0, dtype=np.float64)
        flipped = np.where(mean * scores < 0, -1, 1) * np.nan_to_num(values)
        expected[np.ix_(cells, columns)] = flipped
        layer.add(cells, values, scores)
    found = layer.matrix()
    np.testing.assert_array_equal(layer.explained, ~missing)
    assert found.dtype == np.float32
    if sparse.issparse(found):
        assert found.has_canonical_format
        assert (found.data != 0).all()
        found = found.toarray()
    else:
        expected[missing] = np.nan
    np.testing.assert_array_equal(found, expected)


@pytest.mark.filterwarnings("ignore:the scorer assigns only")
def test_methods_with_few_genes_per_cell_are_sparse(pbmc: AnnData) -> None:
    pbmc.X = pbmc.X.toarray() + np.float32(0.01)
    call = {"groupby": "louvain", "groups": ["0", "1"], "per_cell": True}
    ace.tl.explain(pbmc, method="adversarial", n_cells=10, max_steps=20, **call)
    assert sparse.issparse(pbmc.layers["ace_cells"])
    del call["groups"]
    ace.tl.explain(pbmc, method="expected_gradients", n_cells=None, **call)
    layer = pbmc.layers["ace_cells"]
    assert isinstance(layer, np.ndarray)
    assert layer.shape == pbmc.shape
    assert (layer != 0).mean() > 0.5


@pytest.mark.filterwarnings("ignore:the scorer assigns only")
@pytest.mark.parametrize("method", list(Method.registry))
@pytest.mark.parametrize("reference", ["rest", "1"])
def test_signs_are_those_of_the_scores(pbmc: AnnData, method: str, reference: str) -> None:
    options = {"n_samples": 1, "max_cells": 4} if method == "shap" else {}
    chosen = {"groups": ["0", "5"], "reference": reference, "n_cells": 30}
    ace.tl.explain(pbmc, "louvain", method=method, per_cell=True, **chosen, **options)
    layer = pbmc.layers["ace_cells"]
    layer = layer.toarray() if sparse.issparse(layer) else layer
    for group, top in ace.get.explain_df(pbmc).query("rank <= 20").groupby("group", observed=True):
        cells = (pbmc.obs["ace_explained"] & (pbmc.obs["louvain"] == group)).to_numpy()
        assert cells.any()
        mean = layer[cells][:, pbmc.var_names.get_indexer(top["gene"])].mean(0)
        np.testing.assert_array_equal(np.sign(mean), np.sign(top["score"]))


@pytest.mark.filterwarnings("ignore:the scorer assigns only")
def test_cells_that_were_not_drawn_are_missing(
    pbmc: AnnData, survives_files: Callable[..., AnnData]
) -> None:
    call = {"groupby": "louvain", "method": "expected_gradients", "per_cell": True}
    ace.tl.explain(pbmc, n_cells=100, key_added="most", **call)
    drawn = pbmc.obs["most_explained"].to_numpy()
    assert 350 < drawn.sum() < 700
    np.testing.assert_array_equal(np.isnan(pbmc.layers["most_cells"]).all(1), ~drawn)
    assert np.isfinite(pbmc.layers["most_cells"][drawn]).all()
    # A row of NaN would make a sparse layer dense.
    ace.tl.explain(pbmc, n_cells=10, key_added="few", **call)
    layer, drawn = pbmc.layers["few_cells"], pbmc.obs["few_explained"].to_numpy()
    np.testing.assert_array_equal(np.diff(layer.indptr) > 0, drawn)
    survives_files(pbmc)


def test_a_column_of_the_user_is_not_overwritten(pbmc: AnnData) -> None:
    pbmc.obs["ace_explained"] = "mine"
    with pytest.raises(ValueError, match=r"would overwrite \.obs\['ace_explained'\]"):
        ace.tl.explain(pbmc, "louvain")
