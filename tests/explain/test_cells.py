"""Moments and differences of grouped cells."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from ace.explain import GroupedCells
from ace.explain._rows import Rows


@pytest.mark.parametrize("stored", [np.asarray, sp.csr_matrix, sp.csc_array])
@pytest.mark.parametrize("reference", [None, 2])
def test_difference_weights_groups_by_their_size_in_the_data(
    stored: type, reference: int | None
) -> None:
    """In units of the standard deviation; all other groups are pooled."""
    rng = np.random.default_rng(0)
    groups = [rng.gamma(2, 1, (n, 4)).astype(np.float32) + g for g, n in enumerate((5, 7, 9))]
    cells = GroupedCells([stored(group) for group in groups], sizes=[100, 30, 10])
    others, share = ([1, 2], [0.75, 0.25]) if reference is None else ([2], [1.0])
    weights = np.concatenate(
        [np.full(len(groups[g]), w / len(groups[g])) for g, w in zip(others, share, strict=True)]
    )
    rest = np.concatenate([groups[g] for g in others]).astype(float)
    mean = weights @ rest
    variance = weights @ (rest - mean) ** 2
    own = groups[0].astype(float)
    expected = (own.mean(0) - mean) / np.sqrt((own.var(0) + variance) / 2)
    np.testing.assert_allclose(cells.difference(0, reference), expected, rtol=1e-6)


def test_rounding_errors_are_not_differences() -> None:
    """The weighted mean of equal means is that mean, despite rounding of the weights."""
    x = np.random.default_rng(0).gamma(2, 1, (99, 40)).astype(np.float32)
    assert not GroupedCells([x] * 5, sizes=[10, 3, 7, 11, 13]).difference(0, None).any()


def test_double_precision_is_read_as_single() -> None:
    """Values are rounded as for the scorer, whether stored sparsely or densely."""
    x = np.random.default_rng(0).gamma(2, 1, (50, 3))
    expected = x.astype(np.float32).astype(float)
    for matrix in (x, sp.csr_matrix(x), sp.csc_matrix(x)):
        total, squares = Rows(matrix).sums()
        np.testing.assert_allclose(total, expected.sum(0), rtol=1e-13)
        np.testing.assert_allclose(squares, (expected**2).sum(0), rtol=1e-13)
