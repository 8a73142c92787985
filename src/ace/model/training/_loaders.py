"""Minibatches of the training, validation and test cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from scvi import REGISTRY_KEYS
from torch.utils.data import DataLoader, Dataset, Sampler

from ace.model.training._processes import share_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ace.model.base._reader import MatrixReader


class _Minibatches(Sampler[np.ndarray]):
    """Rows of each minibatch as an array, so that one slice of the matrix reads them."""

    def __init__(
        self,
        cells: np.ndarray,
        batch_size: int,
        rng: np.random.Generator | None,
        share: tuple[int, int],
    ) -> None:
        self._cells = cells
        self._batch_size = batch_size
        self._rng = rng  # None for sequential order
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
        Further entries of a minibatch by name: arrays with a row for every cell.
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
        # With batch_size=None, each array of rows is passed to the dataset as one item.
        return DataLoader(self._dataset, sampler=sampler, batch_size=None)

    def train_dataloader(self) -> DataLoader:
        """Return the training cells, in a new random order each time."""
        return self._loader(self.train_idx, self.rng)

    def val_dataloader(self) -> DataLoader | list[DataLoader]:
        """Return the validation cells, in order."""
        return self._loader(self.val_idx, None) if self.n_val else []
