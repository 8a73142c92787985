from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ace.model._genes import gene_positions


@given(st.permutations([f"gene{i}" for i in range(8)]), st.integers(1, 8))
def test_positions_find_the_names(var_names: list[str], n_genes: int) -> None:
    genes = [f"gene{i}" for i in range(n_genes)]
    positions = gene_positions(var_names, genes)
    if positions is None:
        assert list(var_names) == genes
    else:
        assert [var_names[i] for i in positions] == genes


def test_same_order_needs_no_selection() -> None:
    assert gene_positions(["a", "b"], ["a", "b"]) is None
    np.testing.assert_array_equal(gene_positions(["a", "b", "c"], ["a", "b"]), [0, 1])


def test_missing_genes_are_counted_and_some_named() -> None:
    genes = [f"g{i}" for i in range(20)]
    with pytest.raises(
        ValueError, match=r"lacks 19 of the 20 .* \['g1', 'g2', 'g3', 'g4', 'g5'\]"
    ):
        gene_positions(["g0"], genes)


def test_repeated_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"more than once, such as \['a'\]"):
        gene_positions(["a", "a", "b"], ["b"])
