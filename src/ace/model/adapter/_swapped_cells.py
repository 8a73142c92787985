"""Cells with the values of some genes taken from other cells, millions of them."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch

from ace._threads import seeded
from ace.model.adapter._encoder import dense

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ace.model.adapter._encoder import Encoder

#: Whole cells that are dense at once.
BATCH_SIZE = 512
#: Swapped cells on which the short way is compared with the long one.
N_CELLS_COMPARED = 64


class SwappedCells:
    """Embed cells that have the values of some genes of other cells.

    Encoders begin with a layer that is linear in the genes, after a function of each gene for
    itself (a logarithm, a scaling). A swap changes that layer's output by the product of its
    weights with the swapped genes of the donor, minus that with those of the cell; either is taken
    once for each cell, not for each swap. Where an encoder does not begin so, which a comparison
    on some cells tells, every swapped cell goes the long way through the whole of it.

    Parameters
    ----------
    encoder
        The model.
    rows
        Cells between which values are swapped, in increasing order of rows.
    batch_size
        Swapped cells in a minibatch.
    """

    def __init__(self, encoder: Encoder, rows: np.ndarray, *, batch_size: int = 4096) -> None:
        self._encoder = encoder
        self._values = encoder.values(rows)
        self._context = encoder.context(rows)
        self._batch_size = batch_size
        with _computing(encoder):
            self._head = self._find_head()
            if self._head is not None and not self._can_go_short():
                self._head = None

    def embed(self, cells: np.ndarray, donors: np.ndarray, genes: np.ndarray) -> np.ndarray:
        """Embed cells with the values of some genes of their donors.

        Parameters
        ----------
        cells, donors
            Positions among the rows, shape ``(n_swapped,)`` each.
        genes
            Positions among the genes of the model.

        Returns
        -------
        Array of shape ``(n_swapped, n_latent)``, float32.
        """
        with _computing(self._encoder):
            swapped = None if self._head is None else self._head.product(genes)
            found = [
                self._long(cells[part], donors[part], genes)
                if swapped is None
                else self._short(cells[part], donors[part], swapped)
                for part in _parts(len(cells), self._batch_size)
            ]
            return torch.cat(found).cpu().numpy()

    def _encode(self, cells: np.ndarray) -> torch.Tensor:
        return self._encoder.embed(dense(self._values[cells]), self._context[cells])

    # -- the two ways --------------------------------------------------------------------------

    def _long(self, cells: np.ndarray, donors: np.ndarray, genes: np.ndarray) -> torch.Tensor:
        x = dense(self._values[cells])
        x[:, genes] = dense(self._values[donors][:, genes])
        return self._encoder.embed(x, self._context[cells])

    def _short(self, cells: np.ndarray, donors: np.ndarray, swapped: torch.Tensor) -> torch.Tensor:
        assert self._head is not None
        self._head.given.value = self._head.outputs[cells] + swapped[donors] - swapped[cells]
        # The genes are in the output given already; one is enough to tell the number of cells.
        x = torch.ones(len(cells), 1)
        return self._encoder.embed(x, self._context[cells], self._head.rest)

    def _find_head(self) -> _Head | None:
        """Listen, from now on, to the first layer that is linear in as many numbers as genes."""
        n_genes = len(self._encoder.genes)
        called: list[str] = []
        hooks = [
            module.register_forward_hook(lambda *_, name=name: called.append(name))
            for name, module in self._encoder.network.named_modules()
            if isinstance(module, torch.nn.Linear) and module.in_features >= n_genes
        ]
        self._encode(np.arange(min(2, self._values.shape[0])))
        for hook in hooks:
            hook.remove()
        return _Head(self._encoder, called[0]) if called else None

    def _can_go_short(self) -> bool:
        """Show the layer all cells; tell whether the short way leads where the long one does."""
        assert self._head is not None
        n_cells = self._values.shape[0]
        with self._head.listening():
            for part in _parts(n_cells, BATCH_SIZE):
                self._encode(part)
        cells = np.linspace(0, n_cells - 1, N_CELLS_COMPARED).astype(np.int64)
        donors = np.flip(cells).copy()  # torch takes no negative strides
        genes = np.arange(0, len(self._encoder.genes), 2)
        try:
            short = self._short(cells, donors, self._head.product(genes))
        except (IndexError, RuntimeError, TypeError, ValueError):
            return False  # the rest of the network reads the genes, too
        long = self._long(cells, donors, genes)
        largest = float(long.abs().max())
        return short.shape == long.shape and torch.allclose(
            short, long, rtol=1e-3, atol=1e-4 * max(largest, 1e-6)
        )


class _Head:
    """The first layer of an encoder, with what it read and gave for each cell, and the rest."""

    def __init__(self, encoder: Encoder, name: str) -> None:
        layer = encoder.network.get_submodule(name)
        assert isinstance(layer, torch.nn.Linear)
        self._layer = layer
        self._n_genes = len(encoder.genes)
        self._weight = layer.weight[:, : self._n_genes].T.contiguous()
        self.given = _Given()
        self.rest = copy.deepcopy(encoder.network)
        parent, _, last = name.rpartition(".")
        setattr(self.rest.get_submodule(parent), last, self.given)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keep what the layer reads and gives, of all cells that pass inside."""
        read: list[sp.csr_array] = []
        gave: list[torch.Tensor] = []

        def record(_: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            # Where no gene was counted a logarithm is 0, too: as sparse as the counts.
            read.append(sp.csr_array(inputs[0][:, : self._n_genes].cpu().numpy()))
            gave.append(output.clone())

        hook = self._layer.register_forward_hook(record)
        try:
            yield
        finally:
            hook.remove()
        self._inputs = sp.csc_array(sp.vstack(read))
        self.outputs = torch.cat(gave)

    def product(self, genes: np.ndarray) -> torch.Tensor:
        """What some genes of each cell add to the output, ``(n_cells, n_outputs)``."""
        x = torch.from_numpy(self._inputs[:, genes].toarray()).to(self._weight.device)
        return x @ self._weight[genes]


class _Given(torch.nn.Module):
    """In a layer's place: its output, whatever it reads."""

    value: torch.Tensor

    def forward(self, *_: Any, **__: Any) -> torch.Tensor:
        return self.value


@contextmanager
def _computing(encoder: Encoder) -> Iterator[None]:
    # Encoders draw a sample beside the mean: not from the caller's stream.
    with torch.no_grad(), seeded(0, encoder.device):
        yield


def _parts(n: int, size: int) -> Iterator[np.ndarray]:
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n))
