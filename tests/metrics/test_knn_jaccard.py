"""Jaccard distance of neighbourhoods, compared with loops over cells."""

import numpy as np
import pytest
from scipy import sparse

from ace.metrics import knn_jaccard


@pytest.fixture(scope="module")
def cells():
    rng = np.random.default_rng(0)
    labels = rng.choice(["a", "b"], 60)
    return rng.normal(size=(60, 12)), labels


PANELS = {"a": [3, 0, 7, 9], "b": [5, 11, 2, 1]}


def _neighbours(x, k):
    distance = ((x[:, None] - x[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    return [set(row[:k]) for row in np.argsort(distance, axis=1)]


def _by_hand(x, labels, panels, n_top, k, groups):
    full = _neighbours(x, k)
    sub = {group: _neighbours(x[:, panels[group][:n_top]], k) for group in panels}
    return np.mean(
        [
            1 - len(full[i] & sub[g][i]) / len(full[i] | sub[g][i])
            for i, g in enumerate(labels)
            if g in groups
        ]
    )


def test_by_hand(cells):
    x, labels = cells
    found = knn_jaccard(x, labels, PANELS, (1, 4), n_neighbors=7)
    assert found.index.tolist() == [1, 4]
    for size in (1, 4):
        expected = _by_hand(x, labels, PANELS, size, 7, "ab")
        assert found[size] == pytest.approx(expected, abs=1e-12)


def test_fractions_of_the_genes(cells):
    x, labels = cells
    found = knn_jaccard(x, labels, PANELS, (0.1, 0.34), n_neighbors=7)  # of 12, rounded down
    assert found.to_dict() == knn_jaccard(x, labels, PANELS, (1, 4), n_neighbors=7).to_dict()


def test_groups_without_panel_are_neighbours_only(cells):
    x, labels = cells
    panels = {"b": PANELS["b"]}
    found = knn_jaccard(x, labels, panels, 3, n_neighbors=5)[3]
    assert found == pytest.approx(_by_hand(x, labels, panels, 3, 5, "b"), abs=1e-12)


def test_all_genes_preserve_the_neighbourhoods(cells):
    x, labels = cells
    assert knn_jaccard(x, labels, dict.fromkeys("ab", range(12)), 12, n_neighbors=5)[12] == 0


def test_sparse_is_dense(cells):
    x, labels = cells
    x = np.where(x > 0.3, x, 0)
    dense = knn_jaccard(x, labels, PANELS, (2, 4), 6)
    for convert in (sparse.csr_matrix, sparse.csc_array):
        np.testing.assert_allclose(knn_jaccard(convert(x), labels, PANELS, (2, 4), 6), dense)


def test_permutations_change_nothing(cells):
    x, labels = cells
    rng = np.random.default_rng(3)
    rows, genes = rng.permutation(60), rng.permutation(12)
    moved = {group: np.argsort(genes)[columns] for group, columns in PANELS.items()}
    np.testing.assert_allclose(
        knn_jaccard(x[np.ix_(rows, genes)], labels[rows], moved, 4, 6),
        knn_jaccard(x, labels, PANELS, 4, 6),
    )


def test_a_cell_is_not_its_own_neighbour_among_equal_cells():
    """With a gene that is zero everywhere, all cells coincide in the panel."""
    x = np.c_[np.arange(8.0), np.zeros(8)]
    found = knn_jaccard(x, ["a"] * 8, {"a": [1]}, 1, n_neighbors=7)
    # If all other cells are neighbours, both sets are the same.
    assert found[1] == 0


@pytest.mark.parametrize("n_neighbors", [0, 60])
def test_number_of_neighbours(cells, n_neighbors):
    x, labels = cells
    with pytest.raises(ValueError, match=r"n_neighbors \(for 60 cells\) must be .* from 1 to 59"):
        knn_jaccard(x, labels, PANELS, 2, n_neighbors)


def test_unknown_group(cells):
    x, labels = cells
    with pytest.raises(ValueError, match=r"no cell has the label \['z'\]"):
        knn_jaccard(x, labels, {"z": [0, 1]}, 2)
