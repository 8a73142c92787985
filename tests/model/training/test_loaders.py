from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ace.model.base._reader import MatrixReader
from ace.model.training._loaders import SplitCells
from ace.model.training._split import given_split, split_cells

N_CELLS = 130


@pytest.fixture
def cells() -> SplitCells:
    x = np.repeat(np.arange(N_CELLS, dtype=np.float32)[:, None], 3, axis=1)
    adata = ad.AnnData(x)
    rows = np.arange(N_CELLS)
    split = rows[:65], rows[65:75], rows[75:]
    return SplitCells(
        MatrixReader(adata, None, adata.var_names),
        {"labels": rows % 4},
        split,
        64,
        np.random.default_rng(0),
    )


def test_minibatches_contain_cells_with_their_labels(cells: SplitCells) -> None:
    batches = list(cells.train_dataloader())
    assert [len(b["X"]) for b in batches] == [64, 1]
    seen = np.concatenate([b["X"][:, 0].numpy() for b in batches]).astype(int)
    labels = np.concatenate([b["labels"].numpy() for b in batches])
    np.testing.assert_array_equal(np.sort(seen), np.arange(65))
    np.testing.assert_array_equal(labels, seen % 4)


def test_each_epoch_has_its_own_order(cells: SplitCells) -> None:
    loader = cells.train_dataloader()
    first, second = (np.concatenate([b["X"][:, 0] for b in loader]) for _ in range(2))
    assert not np.array_equal(first, second)
    assert len(loader) == 2


def test_validation_cells_come_in_order(cells: SplitCells) -> None:
    (batch,) = cells.val_dataloader()
    np.testing.assert_array_equal(batch["X"][:, 0], np.arange(65, 75))


@given(
    st.lists(st.integers(1, 60), min_size=2, max_size=6),
    st.floats(0.1, 1.0),
    st.floats(0, 0.9),
    st.integers(0, 2**31),
)
def test_split_is_stratified(
    sizes: list[int], train_size: float, validation_size: float, seed: int
) -> None:
    validation_size = min(validation_size, 1 - train_size)
    codes = np.repeat(np.arange(-1, len(sizes)), [5, *sizes])  # five cells without a label
    parts = split_cells(codes, train_size, validation_size, np.random.default_rng(seed))
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(5, len(codes)))
    for code, size in enumerate(sizes):
        n_train, n_validation, _ = ((codes[part] == code).sum() for part in parts)
        assert n_train >= 1
        assert abs(n_train - size * train_size) < 1 or n_train == 1
        assert n_validation <= size * validation_size + 1


def test_default_split_is_the_published_one() -> None:
    codes = np.repeat([0, 1], 1000)
    parts = split_cells(codes, 0.63, 0.07, np.random.default_rng(0))
    for part, size in zip(parts, (0.63, 0.07, 0.30), strict=True):
        assert abs(len(part) - 2000 * size) <= 4
    only = split_cells(codes, 0.8, None, np.random.default_rng(0))
    assert [len(p) for p in only] == [1600, 400, 0]


def test_split_is_random_and_reproducible() -> None:
    codes = np.repeat([0, 1], 50)
    first, again, other = (
        split_cells(codes, 0.63, 0.07, np.random.default_rng(seed))[0] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_given_split_leaves_out_unlabelled_cells() -> None:
    codes = np.array([0, -1, 1, 0, -1])
    train, validation, test = given_split([[2, 1, 0], [3, 4]], codes)
    np.testing.assert_array_equal(train, [2, 0])
    np.testing.assert_array_equal(validation, [3])
    assert len(test) == 0
    with pytest.raises(ValueError, match="takes row numbers"):
        given_split([[0], [1], [2], [3]], codes)
