"""AUROC of panels, compared with scikit-learn, and invariances."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.stats import expon
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import SVC

from ace.metrics import panel_auroc


@pytest.fixture(scope="module")
def cells():
    """Two informative genes (0: strong, 1: weak) among eight; group c is small."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c"], [80, 60, 20])
    x = rng.poisson(1.0, (160, 8)).astype(float)
    x[labels == "a", 0] += 3
    x[labels == "a", 1] += 1
    order = rng.permutation(160)
    return x[order], labels[order]


PANELS = {"a": [0, 1, 5, 6], "b": [4, 3, 2, 7], "c": [7, 6, 5, 4]}


def _by_hand(x, target, columns, C, weight, seed=0, gamma=None):
    aurocs = []
    for train, test in StratifiedKFold(3, shuffle=True, random_state=seed).split(x, target):
        mean, sd = x[train][:, columns].mean(axis=0), x[train][:, columns].std(axis=0)
        model = SVC(C=C, gamma=gamma or 1 / len(columns), class_weight=weight)
        model.fit((x[train][:, columns] - mean) / sd, target[train])
        score = model.decision_function((x[test][:, columns] - mean) / sd)
        aurocs.append(roc_auc_score(target[test], score))
    return aurocs


def test_fixed_protocol_by_hand(cells):
    x, labels = cells
    frame = panel_auroc(x, labels, PANELS, n_top=(1, 3))
    assert list(frame.columns) == ["group", "n_top", "fold", "auroc", "C", "gamma", "n_cells"]
    assert len(frame) == 2 * 2 * 3  # c has fewer than 50 cells
    assert set(frame["group"]) == {"a", "b"}
    assert (frame["C"] == 1).all()
    assert frame["gamma"].isna().all()  # scikit-learn's "scale"
    for (group, size), part in frame.groupby(["group", "n_top"]):
        expected = _by_hand(x, labels == group, PANELS[group][:size], 1.0, "balanced")
        np.testing.assert_allclose(part["auroc"], expected, atol=1e-9)


def test_nested_protocol_by_hand(cells):
    """The inner search as a loop: mean AUROC over inner folds, smallest C in case of ties."""
    x, labels = cells
    grid = [5.0**-5, 1.0, 5.0**5]
    frame = panel_auroc(x, labels, {"a": PANELS["a"]}, 2, protocol="nested", C=grid)
    target = labels == "a"
    outer = StratifiedKFold(3, shuffle=True, random_state=0).split(x, target)
    for (train, test), (_, row) in zip(outer, frame.iterrows(), strict=True):
        inner = [np.mean(_by_hand(x[train], target[train], [0, 1], C, None)) for C in grid]
        best = grid[int(np.argmax(inner))]
        assert row["C"] == best
        z = (x[:, [0, 1]] - x[train][:, [0, 1]].mean(axis=0)) / x[train][:, [0, 1]].std(axis=0)
        model = SVC(C=best, gamma=0.5).fit(z[train], target[train])
        score = model.decision_function(z[test])
        assert row["auroc"] == pytest.approx(roc_auc_score(target[test], score), abs=1e-9)


def test_random_protocol_by_hand(cells):
    """Draws from the distributions of the paper; the best mean AUROC over inner folds."""
    x, labels = cells
    frame = panel_auroc(
        x, labels, {"a": PANELS["a"]}, 2, protocol="random", n_iter=3, random_state=5
    )
    rng = np.random.RandomState(5)  # as scikit-learn draws
    drawn = [
        (expon.rvs(scale=100, random_state=rng), expon.rvs(scale=0.1, random_state=rng))
        for _ in range(3)
    ]
    target = labels == "a"
    outer = StratifiedKFold(3, shuffle=True, random_state=5).split(x, target)
    for (train, test), (_, row) in zip(outer, frame.iterrows(), strict=True):
        inner = []
        for C, gamma in drawn:
            found = _by_hand(x[train], target[train], [0, 1], C, None, seed=5, gamma=gamma)
            inner.append(np.mean(found))
        C, gamma = drawn[int(np.argmax(inner))]
        assert (row["C"], row["gamma"]) == (C, gamma)
        z = (x[:, [0, 1]] - x[train][:, [0, 1]].mean(axis=0)) / x[train][:, [0, 1]].std(axis=0)
        score = SVC(C=C, gamma=gamma).fit(z[train], target[train]).decision_function(z[test])
        assert row["auroc"] == pytest.approx(roc_auc_score(target[test], score), abs=1e-9)


def test_random_protocol_draws_from_the_papers_distributions(cells):
    x, labels = cells
    seeds = [
        panel_auroc(x, labels, {"a": [0]}, 1, protocol="random", n_iter=1, random_state=s)
        for s in range(40)
    ]
    used = pd.concat(seeds)[["C", "gamma"]].drop_duplicates()
    assert len(used) == 40
    # The mean of 40 exponential draws has a relative standard error of 16 %.
    assert used["C"].mean() == pytest.approx(100, rel=0.4)
    assert used["gamma"].mean() == pytest.approx(0.1, rel=0.4)


def test_fractions_of_the_genes(cells):
    x, labels = cells
    pd.testing.assert_frame_equal(
        panel_auroc(x, labels, PANELS, (0.13, 0.25, 0.5)),  # of 8 genes, rounded down
        panel_auroc(x, labels, PANELS, (1, 2, 4)),
    )


def test_default_grid_is_the_papers(cells):
    x, labels = cells
    frame = panel_auroc(x, labels, {"a": [0]}, 1, protocol="nested")
    exponents = np.log(frame["C"]) / np.log(5)
    np.testing.assert_allclose(exponents, np.rint(exponents), atol=1e-9)
    assert exponents.between(-5, 5).all()


def test_informative_genes_win(cells):
    x, labels = cells
    frame = panel_auroc(x, labels, {"a": [0, 1], "b": [6, 7]}, 2)
    mean = frame.groupby("group")["auroc"].mean()
    assert mean["a"] > 0.97
    assert 0.3 < mean["b"] < 0.7


@pytest.mark.parametrize(
    "convert", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, np.float32]
)
def test_any_matrix(cells, convert):
    x, labels = cells
    expected = panel_auroc(x, labels, PANELS, (2, 4))
    pd.testing.assert_frame_equal(panel_auroc(convert(x), labels, PANELS, (2, 4)), expected)


def test_permuted_genes_change_nothing(cells):
    x, labels = cells
    order = np.random.default_rng(1).permutation(8)
    where = np.argsort(order)
    panels = {group: where[columns] for group, columns in PANELS.items()}
    pd.testing.assert_frame_equal(
        panel_auroc(x[:, order], labels, panels, 4), panel_auroc(x, labels, PANELS, 4)
    )


def test_order_within_the_panel_changes_nothing(cells):
    x, labels = cells
    one = panel_auroc(x, labels, {"a": [0, 1, 5]}, 3)
    other = panel_auroc(x, labels, {"a": [5, 0, 1]}, 3)
    np.testing.assert_allclose(one["auroc"], other["auroc"], atol=1e-12)


def test_renamed_groups_and_categories(cells):
    x, labels = cells
    names = {"a": 0, "b": 1, "c": 2}
    codes = pd.Series(labels).map(names).astype("category")
    frame = panel_auroc(x, codes, {names[g]: p for g, p in PANELS.items()}, 4)
    expected = panel_auroc(x, labels, PANELS, 4)
    assert set(frame["group"]) == {"0", "1"}
    np.testing.assert_array_equal(frame["auroc"], expected["auroc"])


def test_parallel_is_the_same(cells):
    x, labels = cells
    pd.testing.assert_frame_equal(
        panel_auroc(x, labels, PANELS, 3, n_jobs=2), panel_auroc(x, labels, PANELS, 3)
    )


def test_random_state(cells):
    x, labels = cells
    one, same, other = (panel_auroc(x, labels, PANELS, 3, random_state=s) for s in (1, 1, 2))
    pd.testing.assert_frame_equal(one, same)
    assert not np.allclose(one["auroc"], other["auroc"])


def test_min_cells(cells):
    x, labels = cells
    assert set(panel_auroc(x, labels, PANELS, 1, min_cells=20)["group"]) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"panels": {}}, "panels is empty"),
        ({"panels": {"z": [0, 1]}}, r"no cell has the label \['z'\] of a panel; labels has"),
        ({"panels": {"a": [0]}}, "has 1 genes, fewer than n_top=2"),
        ({"panels": {"a": [0, 8]}}, "columns outside 0 to 7"),
        ({"panels": {"a": [0, -1]}}, "columns outside 0 to 7"),
        ({"panels": {"a": [1, 1]}}, "has a column twice"),
        ({"panels": {"a": ["CD3D", "CD79A"]}}, "sequence of column indices"),
        ({"n_top": 0}, "n_top must be a positive integer"),
        ({"n_top": 1.5}, "n_top must be a positive integer"),
        ({"protocol": "quick"}, "protocol='quick' is not one of"),
        ({"C": [1, 2]}, "C must be one number"),
        ({"C": -1}, "C must be a number above 0"),
        ({"protocol": "random", "C": 1}, "protocol='random' draws C;"),
        ({"protocol": "random", "n_iter": 0}, "n_iter must be a positive whole number"),
        ({"n_top": [0.01, 5]}, "fractions of the genes between 0.0 and 1.0"),
        ({"n_splits": 1}, "n_splits must be a whole number from 2"),
        ({"min_cells": 100}, "groups need min_cells=100 cells"),
        ({"labels": ["a"] * 3}, "labels must have one label for each of 160 cells"),
        ({"labels": [None] + ["a"] * 159}, "1 labels are missing"),
    ],
)
def test_bad_input(cells, change, message):
    x, labels = cells
    arguments = {"labels": labels, "panels": {"a": [0, 1]}, "n_top": 2} | change
    with pytest.raises(ValueError, match=message):
        panel_auroc(x, **arguments)


def test_not_finite(cells):
    x, labels = cells
    x = x.copy()
    x[3, 7] = np.nan
    panel_auroc(x, labels, {"a": [0]}, 1)
    with pytest.raises(ValueError, match="in the genes of a panel, X holds NaN"):
        panel_auroc(x, labels, {"a": [7]}, 1)
