"""Redundancy of panels, by hand and compared with NumPy."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from ace.metrics import panel_redundancy


def test_by_hand():
    # r(0, 1) = 1, r(0, 2) = r(1, 2) = -1, gene 3 is uncorrelated with gene 0.
    x = np.array([[1, 2, 3, 1], [2, 4, 2, 0], [3, 6, 1, 1.0]])
    frame = panel_redundancy(x, {"up": [0, 1], "mixed": [0, 2], "none": [0, 3]}, 2)
    assert frame.set_index("group")["redundancy"].to_dict() == pytest.approx(
        {"up": 1, "mixed": -1, "none": 0}
    )
    frame = panel_redundancy(x, {"all": [0, 1, 2]}, (2, 3))
    np.testing.assert_allclose(frame["redundancy"], [1, -1 / 3])
    frame = panel_redundancy(x, {"all": [0, 1, 2]}, (2, 3), absolute=True)
    np.testing.assert_allclose(frame["redundancy"], [1, 1])


def test_against_numpy_dense_and_sparse():
    rng = np.random.default_rng(0)
    x = rng.poisson(0.7, (300, 40)).astype(np.float32)
    columns = rng.permutation(40)[:18]
    expected = np.corrcoef(x[:, columns], rowvar=False)[np.triu_indices(18, 1)].mean()
    for matrix in (x, sparse.csr_matrix(x), sparse.csc_array(x)):
        value = panel_redundancy(matrix, {"a": columns})["redundancy"].item()
        assert value == pytest.approx(expected, abs=1e-6)


def test_permutations_change_nothing():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 10))
    genes, cells = rng.permutation(10), rng.permutation(50)
    panel = np.array([2, 5, 7, 1])
    pd.testing.assert_frame_equal(
        panel_redundancy(x[np.ix_(cells, genes)], {"a": np.argsort(genes)[panel]}, (2, 4)),
        panel_redundancy(x, {"a": panel}, (2, 4)),
    )


def test_constant_genes_are_left_out():
    x = np.array([[1, 5, 2], [2, 5, 4], [4, 5, 8.0]])
    frame = panel_redundancy(x, {"a": [0, 1, 2], "b": [1, 0, 2]}, (2, 3))
    values = frame.set_index(["group", "n_top"])["redundancy"]
    assert np.isnan(values["a", 2])
    assert values["a", 3] == pytest.approx(1)
    assert values["b", 3] == pytest.approx(1)


def test_fractions_of_the_genes():
    x = np.random.default_rng(0).normal(size=(30, 100))
    panels = {"a": range(100)}
    pd.testing.assert_frame_equal(
        panel_redundancy(x, panels, [0.02, 0.29, 1.0]), panel_redundancy(x, panels, [2, 29, 100])
    )
    with pytest.raises(ValueError, match="n_top must be at least 2"):
        panel_redundancy(x, panels, 0.01)


def test_one_gene_has_no_pair():
    with pytest.raises(ValueError, match="n_top must be at least 2"):
        panel_redundancy(np.eye(3), {"a": [0]}, 1)
    with pytest.raises(ValueError, match="has 2 genes, fewer than n_top=3"):
        panel_redundancy(np.eye(3), {"a": [0, 1]}, 3)
