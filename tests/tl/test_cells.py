"""Attributions of individual cells in one matrix, sparse or dense."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import ace
from ace.tl._cell_layer import CellLayer

if TYPE_CHECKING:
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
    for number, share in enumerate(filled):
        cells = np.flatnonzero(group == number)
        values = rng.normal(size=(len(cells), len(columns))).astype(np.float32)
        values[rng.random(values.shape) >= share] = 0
        values[rng.random(values.shape) < 0.1] = np.nan
        expected[np.ix_(cells, columns)] = np.nan_to_num(values)
        layer.add(cells, values)
    found = layer.matrix()
    assert found.dtype == np.float32
    if sparse.issparse(found):
        assert found.has_canonical_format
        assert (found.data != 0).all()
        found = found.toarray()
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
