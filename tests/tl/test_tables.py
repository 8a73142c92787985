"""The tables of an explanation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from ace._matrix import GroupSummary
from ace.explain import Attribution
from ace.tl._cell_layer import CellLayer
from ace.tl._expression import Expression
from ace.tl._tables import ExplanationTables

#: Two groups of 1 and 3 cells, four genes; the scorer uses two of the genes.
MEAN = np.array([[1.0, 2.0, 0.0, 3.0], [2.0, 0.5, 0.0, 1.0]])
SUMMARY = GroupSummary(MEAN, np.array([[1.0, 1, 0, 1], [0.5, 0.25, 0, 1]]), np.array([1, 3]))


def _tables(log_base: float | None) -> ExplanationTables:
    expression = Expression(None, log_base, SUMMARY)
    tables = ExplanationTables(pd.Index(list("abcd")), np.array([3, 0]), expression)
    found = Attribution(scores=np.array([-1.0, -2.0]), ranking=np.array([1, 0]))
    separation = {"against": np.array(["x", "y"], dtype=object), "mixed": np.array([True, False])}
    tables.add("one", found, 0, [1], {"seconds": 1.0}, separation)
    return tables


def test_enriched_is_the_direction_of_the_means() -> None:
    """Genes are enriched if their difference of means is positive, whatever their score."""
    records = {
        name: np.asarray(of["one"]).tolist() for name, of in _tables(None).records().items()
    }
    assert records["names"] == ["a", "d", "b", "c"]
    assert records["scores"][:2] == [-2, -1]
    assert np.isnan(records["scores"][2:]).all()
    assert records["enriched"] == [False, True, True, False]
    assert records["against"] == ["y", "x", "", ""]
    assert records["mixed"] == [False, True, False, False]
    assert records["pct_in"] == [1, 1, 1, 0]
    assert records["pct_out"] == [0.5, 1, 0.25, 0]
    assert np.isnan(records["logfoldchanges"]).all()


@pytest.mark.parametrize("base", [np.e, 2.0, 10.0])
def test_fold_changes_invert_the_logarithm(base: float) -> None:
    """log2 of the ratio of exp(mean) - 1, where the mean is over log-normalised values."""
    found = _tables(base).records()["logfoldchanges"]["one"]
    up, down = base ** MEAN[0, [0, 3, 1]] - 1, base ** MEAN[1, [0, 3, 1]] - 1
    np.testing.assert_allclose(found[:3], np.log2(up / down), rtol=1e-6)
    assert found[3] == 0


def test_layer_of_cells() -> None:
    layer = CellLayer((5, 4), np.array([1, 2, 4]), np.array([3, 0]))
    layer.add(np.array([1, 4]), np.array([[0.0, np.nan], [1.0, -2.0]]), np.array([1, -1]))
    layer.add(np.array([2]), np.array([[-3.0, 4.0]]), np.array([-1, 1]))
    found = layer.matrix()
    expected = np.zeros((5, 4))
    expected[4, [3, 0]] = 1, -2
    expected[2, [3, 0]] = -3, 4
    dense = found.toarray() if sp.issparse(found) else found
    np.testing.assert_array_equal(dense, expected)
    assert found.dtype == np.float32
