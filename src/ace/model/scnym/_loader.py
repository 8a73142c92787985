"""Minibatches with labelled and unlabelled cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch.utils.data import DataLoader, Sampler

from ace.model.training._loaders import SplitCells
from ace.model.training._processes import share_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ace.model.base._reader import MatrixReader


def cycle(cells: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``n`` cells; none is repeated before all have been drawn."""
    rounds = -(-n // max(len(cells), 1))
    if not rounds:
        return np.empty(0, dtype=np.int64)
    return np.concatenate([rng.permutation(cells) for _ in range(rounds)])[:n]


def class_shares(sizes: np.ndarray, balance: float) -> np.ndarray:
    """Fraction of each class among the cells drawn: its own (``balance=0``) to equal (1).

    ``sizes`` are the numbers of cells of the classes, none of them 0.
    """
    return (1 - balance) * sizes / max(sizes.sum(), 1) + balance / max(len(sizes), 1)


class _Epoch(Sampler[np.ndarray]):
    """Rows of each minibatch of an epoch: labelled cells first, then unlabelled ones."""

    def __init__(
        self,
        classes: list[np.ndarray],
        unlabelled: np.ndarray,
        balance: float,
        batch_size: int,
        rng: np.random.Generator,
        share: tuple[int, int],
    ) -> None:
        self._classes = classes
        self._unlabelled = unlabelled
        sizes = np.array([len(cells) for cells in classes], dtype=np.int64)
        self._shares = class_shares(sizes, balance)
        n_labelled = int(sizes.sum())
        # Batch normalisation needs two cells.
        self._n_labelled = min(batch_size, max(n_labelled, 2)) if n_labelled else 0
        self._n_unlabelled = min(batch_size, len(unlabelled))
        self._n_steps = -(-max(n_labelled, len(unlabelled)) // batch_size)
        self._rng = rng
        self._share = share

    def __len__(self) -> int:
        return self._n_steps

    def __iter__(self) -> Iterator[np.ndarray]:
        labelled = self._draw(self._n_steps * self._n_labelled)
        unlabelled = cycle(self._unlabelled, self._n_steps * self._n_unlabelled, self._rng)
        for step in range(self._n_steps):
            parts = (
                labelled[step * self._n_labelled : (step + 1) * self._n_labelled],
                unlabelled[step * self._n_unlabelled : (step + 1) * self._n_unlabelled],
            )
            yield np.concatenate([share_of(part, *self._share) for part in parts])

    def _draw(self, n: int) -> np.ndarray:
        """Draw ``n`` labelled cells in random order, each class at least once."""
        if not n:
            return np.empty(0, dtype=np.int64)
        bounds = np.floor(np.cumsum(self._shares) * n + self._rng.random()).astype(int)
        bounds[-1] = n
        # At least one each: n is no smaller than the number of labelled cells.
        wanted = np.diff(bounds, prepend=0)
        drawn = [
            cycle(cells, int(k), self._rng) for cells, k in zip(self._classes, wanted, strict=True)
        ]
        return self._rng.permutation(np.concatenate(drawn))


class LabelledAndUnlabelled(SplitCells):
    """Minibatches with equal numbers of labelled and unlabelled cells.

    An epoch is a pass over the larger of the two sets; the smaller one is repeated in a new order
    each time. One slice of the matrix reads both.

    Parameters
    ----------
    reader
        The matrix.
    codes
        Further entries of a minibatch by name: integers for every cell.
    split
        Row numbers of the labelled training, validation and test cells.
    classes
        Class of every row, negative for unlabelled cells.
    unlabelled
        Row numbers of the unlabelled cells to train with, if any.
    balance
        Class balance, from 0 (unchanged) to 1 (equal numbers of cells).
    batch_size
        Number of labelled cells in a minibatch, and of unlabelled ones.
    rng
        Draws the cells.
    """

    def __init__(
        self,
        reader: MatrixReader,
        codes: dict[str, np.ndarray],
        split: tuple[np.ndarray, np.ndarray, np.ndarray],
        classes: np.ndarray,
        unlabelled: np.ndarray,
        balance: float,
        batch_size: int,
        rng: np.random.Generator,
    ) -> None:
        super().__init__(reader, codes, split, batch_size, rng)
        train = self.train_idx
        self._classes = [train[classes[train] == c] for c in np.unique(classes[train])]
        self._unlabelled = unlabelled
        self._balance = balance

    def train_dataloader(self) -> DataLoader:
        """Return a newly drawn epoch."""
        sampler = _Epoch(
            self._classes,
            self._unlabelled,
            self._balance,
            self._batch_size,
            self.rng,
            self._share,
        )
        return DataLoader(self._dataset, sampler=sampler, batch_size=None)
