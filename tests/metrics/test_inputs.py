"""Numbers and fractions of genes."""

import pytest

from ace._checks._panels import panel_sizes


@pytest.mark.parametrize(
    ("n_top", "n_genes", "expected"),
    [
        (18, None, (18,)),
        ((18, 3, 3), 1838, (3, 18)),
        (0.01, 1838, (18,)),  # ACE's figure 3: 1 % of 1838 genes are 18
        (0.001, 14878, (14,)),
        ((0.29, 0.57), 100, (29, 57)),  # exactly, though 0.29 * 100 is less than 29
        ((0.01, 0.02, 1.0), 50, (1, 50)),  # one gene at least, none twice
        (1, 50, (1,)),  # a gene, where 1.0 is all of them
        (1.0, 50, (50,)),
    ],
)
def test_numbers_and_fractions(n_top, n_genes, expected):
    assert panel_sizes(n_top, n_genes) == expected


@pytest.mark.parametrize("n_top", [0, -1, 1.5, 0.0, -0.1, (0.5, 2), float("nan"), [], "all", True])
def test_invalid_n_top(n_top):
    with pytest.raises(ValueError, match=r"positive integer .* or fractions of the genes"):
        panel_sizes(n_top, 100)


def test_fractions_need_the_number_of_genes():
    with pytest.raises(ValueError, match=r"positive integer or several of them, got 0\.5"):
        panel_sizes(0.5)
