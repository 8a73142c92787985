"""Minibatches of labelled and of unlabelled cells side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import nn
from torch.utils.data import DataLoader, Sampler

from ace._listed import listed
from ace.model.training._loaders import SplitCells
from ace.model.training._processes import share_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ace.model.base._reader import MatrixReader
    from ace.model.scnym._model import SCNYM
    from ace.model.scnym._recipe import Recipe
    from ace.model.training._split import Split


def cycle(cells: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``n`` cells such that none comes a second time before all have come once."""
    rounds = -(-n // max(len(cells), 1))
    if not rounds:
        return np.empty(0, dtype=np.int64)
    return np.concatenate([rng.permutation(cells) for _ in range(rounds)])[:n]


def class_shares(sizes: np.ndarray, balance: float) -> np.ndarray:
    """Share of each class in what is drawn: from its own (0) to the same for all (1).

    ``sizes`` are the numbers of cells of the classes that have any.
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
        # A normalisation over the minibatch needs two cells.
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
        """``n`` labelled cells in random order, each class by its share and at least once."""
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
    """Minibatches that hold as many unlabelled cells as labelled ones, as long as there are any.

    An epoch is a pass over the larger of the two parts; the cells of the smaller one come again,
    in a new order each time. Nothing is copied: rows are drawn, and one slice of the matrix
    fetches both parts.

    Parameters
    ----------
    reader
        The matrix.
    codes
        What else a minibatch holds: integers for every cell, by the name that they get there.
    split
        Row numbers of the labelled training, validation and test cells.
    classes
        Class of every row, negative for unlabelled cells.
    unlabelled
        Row numbers of the unlabelled cells to train with, possibly none.
    balance
        From 0, labelled cells as they are, to 1, every class as often as any other.
    batch_size
        Labelled cells in a minibatch, and unlabelled ones.
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
        """Give an epoch, drawn anew each time."""
        sampler = _Epoch(
            self._classes,
            self._unlabelled,
            self._balance,
            self._batch_size,
            self.rng,
            self._share,
        )
        return DataLoader(self._dataset, sampler=sampler, batch_size=None)


def check_cells(model: SCNYM, labels: np.ndarray, split: Split, unlabelled: np.ndarray) -> None:
    """Raise before training if there are no cells to learn from, or a class has none."""
    if not len(split[0]) and not len(unlabelled):
        raise ValueError(
            "no cell has a label, and this preset does not use unlabelled cells: train "
            'with preset="default".'
        )
    lost = np.setdiff1d(np.arange(len(model.labels)), labels[split[0]])
    if len(lost) and not model.is_trained_:
        raise ValueError(
            f"no training cell has the labels {listed(model.labels[lost])}: choose another split."
        )


def check_minibatches(
    network: nn.Module, recipe: Recipe, split: Split, unlabelled: np.ndarray, batch_size: int
) -> None:
    """Raise if a minibatch would have a single cell, which batch normalisation cannot use."""
    if not any(isinstance(part, nn.BatchNorm1d) for part in network.modules()):
        return
    # Without a teacher, the network itself, in training mode, labels the unlabelled cells.
    labels_them = recipe.teacher_decay is None and (
        recipe.mixmatch or recipe.adversary_confident_only
    )
    sizes = {"labelled": len(split[0]), "unlabelled": len(unlabelled) if labels_them else 0}
    for kind, size in sizes.items():
        if min(size, batch_size) == 1:
            fix = "use batch_size=2 or more" if batch_size == 1 else f"add {kind} cells"
            raise ValueError(
                f"each minibatch would hold one {kind} cell (batch_size={batch_size}, {size} "
                f"{kind} cells to train on), and batch normalisation needs two: {fix}, or "
                'build the model with normalization="layer".'
            )
