"""Which cells are trained on, and how they come in minibatches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from scvi import REGISTRY_KEYS
from torch.utils.data import DataLoader, Dataset, Sampler

from ace._arguments import number
from ace.model.training._processes import share_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ace.model.base._reader import MatrixReader


class _Minibatches(Sampler[np.ndarray]):
    """Cells of each minibatch, as arrays: one slice of the matrix fetches them all."""

    def __init__(
        self,
        cells: np.ndarray,
        batch_size: int,
        rng: np.random.Generator | None,
        share: tuple[int, int],
    ) -> None:
        self._cells = cells
        self._batch_size = batch_size
        self._rng = rng  # None: in order
        self._share = share

    def __len__(self) -> int:
        return -(-len(self._cells) // self._batch_size)

    def __iter__(self) -> Iterator[np.ndarray]:
        cells = self._cells if self._rng is None else self._rng.permutation(self._cells)
        for start in range(0, len(cells), self._batch_size):
            yield share_of(cells[start : start + self._batch_size], *self._share)


class _Cells(Dataset[dict[str, torch.Tensor]]):
    def __init__(self, reader: MatrixReader, codes: dict[str, np.ndarray]) -> None:
        self._reader = reader
        self._codes = codes

    def __len__(self) -> int:
        return len(self._reader)

    def __getitem__(self, cells: np.ndarray) -> dict[str, torch.Tensor]:
        return {
            REGISTRY_KEYS.X_KEY: torch.from_numpy(self._reader.dense(cells)),
            REGISTRY_KEYS.INDICES_KEY: torch.from_numpy(cells),
            **{key: torch.from_numpy(codes[cells]) for key, codes in self._codes.items()},
        }


class SplitCells(LightningDataModule):
    """Minibatches of cells, split into training, validation and test cells.

    Parameters
    ----------
    reader
        The matrix.
    codes
        What else a minibatch holds: integers for every cell, by the name that they get there.
    split
        Row numbers of the training, validation and test cells.
    batch_size
        Cells in a minibatch, over all processes; the last one of an epoch may be smaller.
    rng
        Shuffles the training cells in each epoch, in the same way in all processes.
    """

    def __init__(
        self,
        reader: MatrixReader,
        codes: dict[str, np.ndarray],
        split: tuple[np.ndarray, np.ndarray, np.ndarray],
        batch_size: int,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        self._dataset = _Cells(reader, codes)
        # The names by which scvi-tools' runner finds the split.
        self.train_idx, self.val_idx, self.test_idx = split
        self.n_train, self.n_val = len(self.train_idx), len(self.val_idx)
        self._batch_size = batch_size
        #: Shuffles the cells; checkpoints store its state.
        self.rng = rng

    @property
    def _share(self) -> tuple[int, int]:
        """Rank of this process, and number of processes."""
        trainer = self.trainer
        return (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)

    def _loader(self, cells: np.ndarray, rng: np.random.Generator | None) -> DataLoader:
        sampler = _Minibatches(cells, self._batch_size, rng, self._share)
        # batch_size=None hands each array of rows to the dataset as one item.
        return DataLoader(self._dataset, sampler=sampler, batch_size=None)

    def train_dataloader(self) -> DataLoader:
        """Give the training cells, in a new random order each time."""
        return self._loader(self.train_idx, self.rng)

    def val_dataloader(self) -> DataLoader | list[DataLoader]:
        """Give the validation cells, in order."""
        return self._loader(self.val_idx, None) if self.n_val else []


def split_cells(
    codes: np.ndarray,
    train_size: float | None,
    validation_size: float | None,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split labelled cells at random, each class by itself.

    Each class gives its share to each part, rounded at random so that the shares are exact on
    average, and at least one cell for training.

    Parameters
    ----------
    codes
        Class of each cell; cells with a negative code belong to no part.
    train_size
        Fraction of the cells to train on; ``None`` for 0.63.
    validation_size
        Fraction to validate on. ``None`` for 0.07, or for all the rest if ``train_size`` is given.
        What is left is for testing.
    rng
        Source of randomness.

    Returns
    -------
    Sorted row numbers of the training, validation and test cells.

    Raises
    ------
    ValueError
        If the fractions are not fractions of a whole.
    """
    number(train_size, "train_size", 0, 1, above=True, optional=True)
    number(validation_size, "validation_size", 0, 1, optional=True)
    if validation_size is None:
        validation_size = 0.07 if train_size is None else max(0.0, 1 - train_size)
    train_size = 0.63 if train_size is None else train_size
    if not train_size + validation_size < 1 + 1e-9:
        raise ValueError(
            f"train_size={train_size} and validation_size={validation_size} are fractions of the "
            "labelled cells: together they must be at most 1."
        )
    none = np.empty(0, dtype=np.int64)
    parts: tuple[list[np.ndarray], ...] = ([none], [none], [none])
    for code in np.unique(codes[codes >= 0]):
        cells = rng.permutation(np.flatnonzero(codes == code))
        bounds = np.array([train_size, train_size + validation_size]) * len(cells)
        first, second = np.floor(bounds + rng.random() - 1e-9).astype(int)
        first = max(1, first)
        for part, chosen in zip(parts, np.split(cells, [first, max(first, second)]), strict=True):
            part.append(chosen)
    train, validation, test = (np.sort(np.concatenate(part)) for part in parts)
    return train, validation, test


def given_split(
    parts: Sequence[Sequence[int] | np.ndarray | None], codes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check a split that the user made; cells without a label are left out of it.

    Parameters
    ----------
    parts
        Row numbers for training and, optionally, for validation and for testing.
    codes
        Class of each cell, negative for none.

    Raises
    ------
    ValueError
        If a cell occurs twice or does not exist, or there is nothing to train on.
    """
    several = isinstance(parts, list | tuple) and 1 <= len(parts) <= 3
    arrays = [np.asarray([] if p is None else p) for p in parts] if several else []
    if not arrays or any(a.ndim != 1 or (len(a) and a.dtype.kind not in "iu") for a in arrays):
        raise ValueError(
            "external_indexing takes row numbers of the cells, [training, validation, test], of "
            f"which the last two may be left out; got {parts!r:.80}."
        )
    arrays = [a.astype(np.int64) for a in arrays]
    cells = np.concatenate(arrays)
    if len(cells) and (cells.min() < 0 or cells.max() >= len(codes)):
        raise ValueError(f"external_indexing has rows outside 0 … {len(codes) - 1}.")
    if len(np.unique(cells)) < len(cells):
        raise ValueError(
            "external_indexing has a cell more than once; the parts must be disjoint."
        )
    labelled = [a[codes[a] >= 0] for a in arrays]
    if len(labelled[0]) == 0:
        raise ValueError(
            "external_indexing gives no cell to train on (cells without a label do not count)."
        )
    none = np.empty(0, dtype=np.int64)
    train, validation, test = (*labelled, none, none)[:3]
    return train, validation, test
