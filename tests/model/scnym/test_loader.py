"""Minibatches of labelled and unlabelled cells: composition and sampling frequency."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from scipy import sparse
from scvi import REGISTRY_KEYS

from ace.model.base._reader import MatrixReader
from ace.model.scnym._loader import LabelledAndUnlabelled, class_shares, cycle


def _loader(
    sizes: list[int], n_unlabelled: int, balance: float = 0.0, batch_size: int = 10
) -> tuple[LabelledAndUnlabelled, np.ndarray]:
    classes = np.concatenate(
        [np.repeat(np.arange(len(sizes)), sizes), np.full(n_unlabelled, -1)]
    ).astype(np.int64)
    n = len(classes)
    matrix = sparse.csr_matrix(np.arange(n, dtype=np.float32)[:, None] + 1)
    reader = MatrixReader(ad.AnnData(matrix), None, ["0"])
    split = (np.flatnonzero(classes >= 0), *[np.empty(0, np.int64)] * 2)
    data = LabelledAndUnlabelled(
        reader,
        {REGISTRY_KEYS.LABELS_KEY: classes},
        split,
        classes,
        np.flatnonzero(classes < 0),
        balance,
        batch_size,
        np.random.default_rng(0),
    )
    return data, classes


def _drawn(data: LabelledAndUnlabelled) -> list[np.ndarray]:
    batches = list(data.train_dataloader())
    for batch in batches:  # the matrix contains the row numbers
        rows = batch[REGISTRY_KEYS.X_KEY][:, 0].numpy().astype(int) - 1
        np.testing.assert_array_equal(rows, batch[REGISTRY_KEYS.INDICES_KEY])
    return [batch[REGISTRY_KEYS.INDICES_KEY].numpy() for batch in batches]


@pytest.mark.parametrize(("n_labelled", "n_unlabelled"), [(95, 20), (20, 95), (40, 40), (95, 3)])
def test_any_imbalance(n_labelled: int, n_unlabelled: int) -> None:
    data, classes = _loader([n_labelled - 10, 10], n_unlabelled)
    batches = _drawn(data)
    assert len(batches) == -(-max(n_labelled, n_unlabelled) // 10) == len(data.train_dataloader())
    for rows in batches:  # labelled cells first, and equally many unlabelled ones
        labelled = classes[rows] >= 0
        assert labelled.sum() == 10
        assert labelled[:10].all()
        assert len(rows) == 10 + min(10, n_unlabelled)
    drawn = np.bincount(np.concatenate(batches), minlength=len(classes))
    assert drawn.min() >= 1  # an epoch contains every cell
    assert np.ptp(drawn[classes < 0]) <= 1


def test_epochs_differ() -> None:
    data, _ = _loader([30], 30)
    assert not np.array_equal(np.concatenate(_drawn(data)), np.concatenate(_drawn(data)))


def test_no_unlabelled_cells() -> None:
    data, classes = _loader([15, 8], 0)
    rows = np.concatenate(_drawn(data))
    assert set(rows) == set(range(23))
    assert (classes[rows] >= 0).all()


def test_rare_classes_are_in_every_epoch() -> None:
    data, classes = _loader([996, 1, 1, 1, 1], 1000)
    for _ in range(5):
        drawn = classes[np.concatenate(_drawn(data))]
        assert set(drawn[drawn >= 0]) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_balance(balance: float) -> None:
    sizes = [800, 150, 50]
    data, classes = _loader(sizes, 1000, balance, batch_size=100)
    drawn = classes[np.concatenate(_drawn(data))]
    shares = np.bincount(drawn[drawn >= 0], minlength=3) / 1000
    expected = (1 - balance) * np.array(sizes) / 1000 + balance / 3
    np.testing.assert_allclose(shares, expected, atol=2e-3)
    np.testing.assert_allclose(class_shares(np.array(sizes), balance), expected)


def test_no_cell_is_drawn_twice_before_all_are_drawn_once() -> None:
    drawn = cycle(np.arange(7), 17, np.random.default_rng(0))
    assert set(drawn[:7]) == set(drawn[7:14]) == set(range(7))
    assert len(set(drawn[14:])) == 3
    assert len(cycle(np.arange(0), 0, np.random.default_rng(0))) == 0


def test_balanced_shares_are_exact_on_average() -> None:
    """Also if minibatches cannot be divided evenly among classes."""
    data, classes = _loader([3, 3, 1], 0, balance=1.0)
    drawn = [np.bincount(classes[np.concatenate(_drawn(data))], minlength=3) for _ in range(200)]
    np.testing.assert_allclose(np.mean(drawn, axis=0), np.full(3, 7 / 3), atol=0.12)
