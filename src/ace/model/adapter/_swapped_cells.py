"""Embed millions of cells in which the values of some genes are those of other cells."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch

from ace._threads import seeded
from ace.model.adapter._adapter import dense

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ace.model.adapter import LatentSpaceAdapter

#: Number of complete cells that are converted to dense at once.
BATCH_SIZE = 512
#: Number of swapped cells on which the fast path is compared with the full encoder.
N_CELLS_COMPARED = 64


class SwappedCells:
    """Embed cells in which the values of some genes are replaced by those of other cells.

    Encoders begin with a function of each gene separately (a logarithm, a scaling), followed by a
    linear layer. A swap changes the output of this layer by the product of its weights with the
    swapped genes of the donor, minus the same product for the cell. Each product is computed once
    per cell, not once per swap. If an encoder does not begin in this way, which a comparison on a
    few cells shows, every swapped cell passes through the full encoder.

    Parameters
    ----------
    adapter
        The model, and the cells.
    rows
        Row numbers of the cells between which values are swapped, in increasing order.
    batch_size
        Swapped cells in a minibatch.
    """

    def __init__(
        self, adapter: LatentSpaceAdapter, rows: np.ndarray, *, batch_size: int = 4096
    ) -> None:
        self._adapter = adapter
        self._values = adapter.values(rows)
        self._covariates = torch.from_numpy(adapter.covariates(rows))
        self._batch_size = batch_size
        with _computing(adapter):
            self._first_layer = self._find_first_layer()
            if self._first_layer is not None and not self._is_linear_in_the_swap():
                self._first_layer = None

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
        with _computing(self._adapter):
            swapped = None if self._first_layer is None else self._first_layer.product(genes)
            found = [
                self._through_encoder(cells[part], donors[part], genes)
                if swapped is None
                else self._through_rest(cells[part], donors[part], swapped)
                for part in _parts(len(cells), self._batch_size)
            ]
            return torch.cat(found).cpu().numpy()

    def _encode(self, cells: np.ndarray) -> torch.Tensor:
        return self._adapter.encode(dense(self._values[cells]), self._covariates[cells])

    def _through_encoder(
        self, cells: np.ndarray, donors: np.ndarray, genes: np.ndarray
    ) -> torch.Tensor:
        x = dense(self._values[cells])
        x[:, genes] = dense(self._values[donors][:, genes])
        return self._adapter.encode(x, self._covariates[cells])

    def _through_rest(
        self, cells: np.ndarray, donors: np.ndarray, swapped: torch.Tensor
    ) -> torch.Tensor:
        first = self._first_layer
        assert first is not None
        first.given.value = first.outputs[cells] + swapped[donors] - swapped[cells]
        # The given output already accounts for the genes; one column sets the number of cells.
        x = torch.ones(len(cells), 1)
        return self._adapter.encode(x, self._covariates[cells], first.rest)

    def _find_first_layer(self) -> _FirstLayer | None:
        """Return the first linear layer that reads at least as many values as there are genes."""
        n_genes = len(self._adapter.genes)
        called: list[str] = []
        hooks = [
            module.register_forward_hook(lambda *_, name=name: called.append(name))
            for name, module in self._adapter.encoder.named_modules()
            if isinstance(module, torch.nn.Linear) and module.in_features >= n_genes
        ]
        self._encode(np.arange(min(2, self._values.shape[0])))
        for hook in hooks:
            hook.remove()
        return _FirstLayer(self._adapter, called[0]) if called else None

    def _is_linear_in_the_swap(self) -> bool:
        """Record the layer for all cells, and compare both paths on some swapped cells."""
        assert self._first_layer is not None
        n_cells = self._values.shape[0]
        with self._first_layer.recording():
            for part in _parts(n_cells, BATCH_SIZE):
                self._encode(part)
        cells = np.linspace(0, n_cells - 1, N_CELLS_COMPARED).astype(np.int64)
        donors = np.flip(cells).copy()  # PyTorch does not support negative strides
        genes = np.arange(0, len(self._adapter.genes), 2)
        try:
            fast = self._through_rest(cells, donors, self._first_layer.product(genes))
        except (IndexError, RuntimeError, TypeError, ValueError):
            return False  # the rest of the network reads the genes too
        full = self._through_encoder(cells, donors, genes)
        largest = float(full.abs().max())
        return fast.shape == full.shape and torch.allclose(
            fast, full, rtol=1e-3, atol=1e-4 * max(largest, 1e-6)
        )


class _FirstLayer:
    """The first linear layer of an encoder, its input and output per cell, and the rest."""

    def __init__(self, adapter: LatentSpaceAdapter, name: str) -> None:
        layer = adapter.encoder.get_submodule(name)
        assert isinstance(layer, torch.nn.Linear)
        self._layer = layer
        self._n_genes = len(adapter.genes)
        self._weight = layer.weight[:, : self._n_genes].T.contiguous()
        self.given = _Given()
        self.rest = copy.deepcopy(adapter.encoder)
        parent, _, last = name.rpartition(".")
        setattr(self.rest.get_submodule(parent), last, self.given)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Keep the input and output of the layer for all cells that are embedded inside."""
        inputs: list[sp.csr_array] = []
        outputs: list[torch.Tensor] = []

        def record(_: Any, read: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            # The logarithm of a zero count is zero, so the input is as sparse as the counts.
            inputs.append(sp.csr_array(read[0][:, : self._n_genes].cpu().numpy()))
            outputs.append(output.clone())

        hook = self._layer.register_forward_hook(record)
        try:
            yield
        finally:
            hook.remove()
        self._inputs = sp.csc_array(sp.vstack(inputs))
        self.outputs = torch.cat(outputs)

    def product(self, genes: np.ndarray) -> torch.Tensor:
        """Return the contribution of some genes to the output, ``(n_cells, n_outputs)``."""
        x = torch.from_numpy(self._inputs[:, genes].toarray()).to(self._weight.device)
        return x @ self._weight[genes]


class _Given(torch.nn.Module):
    """Replaces a layer, and returns a given output for any input."""

    value: torch.Tensor

    def forward(self, *_: Any, **__: Any) -> torch.Tensor:
        return self.value


@contextmanager
def _computing(adapter: LatentSpaceAdapter) -> Iterator[None]:
    # Encoders also draw a sample, which must not change the global random state.
    with torch.no_grad(), seeded(0, adapter.device):
        yield


def _parts(n: int, size: int) -> Iterator[np.ndarray]:
    for start in range(0, n, size):
        yield np.arange(start, min(start + size, n))
