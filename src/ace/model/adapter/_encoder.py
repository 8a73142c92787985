"""A trained model as a function of its own input: for cells whose values someone changes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch

from ace import _checks
from ace._matrix import read_rows
from ace._threads import seeded
from ace.model.adapter._foreign import ForeignModel, PosteriorMean
from ace.model.base._gene_model import GeneModel
from ace.model.base._module import EmbeddingModule
from ace.model.base._outputs import Part

if TYPE_CHECKING:
    from anndata import AnnData

#: Cells that are read at once.
BATCH_SIZE = 1024


class Encoder:
    """A model's latent space (the posterior's mean), from the values that it was trained on.

    The models of this package that embed genes alone, and any of scvi-tools with an encoder: that
    one is also told each cell's *context*, the batch and covariates that it registers.

    Parameters
    ----------
    model
        A trained model.
    adata
        Cells with the genes of the model, in any order. Only read.

    Raises
    ------
    KeyError, RuntimeError, TypeError, ValueError
        As :class:`ForeignModel` has it.
    """

    network: torch.nn.Module

    def __init__(self, model: Any, adata: AnnData) -> None:
        foreign = None
        if isinstance(model, GeneModel) and isinstance(model.module, EmbeddingModule):
            model._require_trained()
            self.genes = tuple(str(gene) for gene in model.var_names)
            self._matrix = model._reader(adata).matrix
            self.network = Part(_frozen(model.module), "embed")
        else:
            foreign = ForeignModel(model, adata)
            self.genes = foreign.genes
            self._matrix = foreign._counts
            self.network = PosteriorMean(_frozen(model.module), foreign._fields, log_counts=False)
        self._foreign = foreign
        self._n_obs = adata.n_obs
        self.device: torch.device = model.device
        self._columns = _checks.gene_positions(adata.var_names, self.genes, "the model")

    def values(self, rows: np.ndarray) -> sp.csr_matrix | np.ndarray:
        """Input of cells, in increasing order of rows, with the genes in the model's order."""
        part = read_rows(self._matrix, rows, self._columns)
        _checks.computable(part)
        return sp.csr_matrix(part) if sp.issparse(part) else np.asarray(part)

    def context(self, rows: np.ndarray) -> torch.Tensor:
        """What the model is told of cells besides the genes, in increasing order of rows."""
        if self._foreign is None:
            return torch.empty(len(rows), 0)
        context = torch.from_numpy(self._foreign.context(rows))
        # Their total turns logarithms into counts, which counts do not need.
        return context[:, 1:] if self._foreign.matrix is not self._foreign._counts else context

    def latent(self) -> np.ndarray:
        """Latent space of all cells as they are, ``(n_cells, n_latent)``, float32."""
        parts = []
        # Encoders draw a sample beside the mean: not from the caller's stream.
        with torch.no_grad(), seeded(0, self.device):
            for start in range(0, self._n_obs, BATCH_SIZE):
                rows = np.arange(start, min(start + BATCH_SIZE, self._n_obs))
                parts.append(self.embed(dense(self.values(rows)), self.context(rows)).cpu())
        return torch.cat(parts).numpy()

    def embed(
        self, x: torch.Tensor, context: torch.Tensor, network: torch.nn.Module | None = None
    ) -> torch.Tensor:
        """``(n_cells, n_genes)`` and ``(n_cells, n_context)`` → ``(n_cells, n_latent)``.

        ``network`` takes the place of the model's own.
        """
        network = self.network if network is None else network
        x = x.to(self.device)
        if self._foreign is None:
            return network(x)
        return network(x, context.to(self.device))


def dense(part: Any) -> torch.Tensor:
    """Values of cells as a tensor."""
    values = part.toarray() if sp.issparse(part) else part
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _frozen(module: torch.nn.Module) -> torch.nn.Module:
    return copy.deepcopy(module).eval().requires_grad_(False)
