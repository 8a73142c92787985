"""A trained model as a differentiable function from genes to its latent space."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch
from scvi import REGISTRY_KEYS

from ace import _checks
from ace._matrix import LogCounts, read_rows
from ace._threads import seeded
from ace.model.adapter._encoder import Encoder, LogSpaceEncoder, fields_of
from ace.model.adapter._own_cells import OwnCells
from ace.model.adapter._requirements import require_encoder, require_own_latent_space
from ace.model.adapter._scvi_cells import ScviCells
from ace.model.base._gene_model import GeneModel

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

#: Total to which cells are scaled before the logarithm, the usual one.
TARGET = 1e4
#: Cells for which the encoder is compared with the model's own latent space.
N_CELLS_COMPARED = 64
#: Cells embedded at once: from the space that is explained, and from the values of the model.
BATCH_SIZE, BATCH_SIZE_VALUES = 256, 1024


class LatentSpaceAdapter:
    """A trained model of this package or of scvi-tools as a function of the genes.

    The function maps the genes of a cell, and its *context*, to the mean of the posterior. The
    context is everything else that the encoder depends on: batch, covariates and, for a model of
    counts, the total of the cell. It is held at the cell's own values while genes change.

    There are two such functions. :attr:`embedding` is the one to explain: a model of counts is
    explained in the space of log1p of counts scaled to 10⁴ per cell, see :attr:`matrix`.
    :attr:`encoder` takes the values that the model was trained on.

    Parameters
    ----------
    model
        A trained model with an encoder. It is copied, so that training it further does not
        change the adapter.
    adata
        Cells with the genes of the model, in any order. Only read. A MuData is accepted for a
        model of this package that was set up with one.

    Raises
    ------
    TypeError
        If the model is not a scvi-tools model, or does not use PyTorch.
    RuntimeError
        If it is not trained.
    KeyError
        If the layer or a column of ``obs`` that the model reads is missing.
    ValueError
        If genes are missing, a category is unknown to the model, or its latent space cannot be
        differentiated in the genes.
    """

    def __init__(self, model: Any, adata: AnnData | MuData) -> None:
        require_encoder(model)
        #: Name of the model's class.
        self.name = type(model).__name__
        self._model = model
        cells: OwnCells | ScviCells
        cells = OwnCells(model, adata) if isinstance(model, GeneModel) else ScviCells(model, adata)
        self._cells = cells
        #: Layer that the model reads; ``None`` for ``X``.
        self.input_layer = cells.input_layer
        #: Genes of the model in its order, and their columns in ``adata``.
        self.genes, self.columns = cells.genes, cells.columns
        #: Values to explain, all genes of ``adata``.
        self.matrix: Any = cells.matrix
        if cells.is_counts:
            self.matrix = LogCounts(cells.matrix, cells.columns, TARGET)
        few = np.arange(min(cells.n_obs, N_CELLS_COMPARED))
        module = copy.deepcopy(model.module).eval().requires_grad_(False)
        #: ``(values, covariates) → latent space``, for the values that the model was trained on.
        self.encoder = Encoder(module, fields_of(cells.covariates(few)))
        #: ``(expression, context) → latent space``, for the values to explain.
        self.embedding = LogSpaceEncoder(self.encoder) if cells.is_counts else self.encoder
        if isinstance(cells, ScviCells):
            registered = functools.partial(cells.registered, few)
            require_own_latent_space(model, lambda seed: self.embed(few, seed=seed), registered)

    @property
    def device(self) -> torch.device:
        """Device of the model."""
        return self._model.device

    @property
    def labels_key(self) -> str | None:
        """Column of the labels that the model was trained on, if any."""
        return self._labels.get("original_key")

    @property
    def unlabeled_category(self) -> Any:
        """Label of unlabelled cells; ``None`` if there is none."""
        return self._labels.get("unlabeled_category")

    @property
    def _labels(self) -> dict[str, Any]:
        registries = self._model.registry_["field_registries"]
        return registries.get(REGISTRY_KEYS.LABELS_KEY, {}).get("state_registry", {})

    # -- in the space that is explained --------------------------------------------------------

    def expression(self, rows: np.ndarray) -> torch.Tensor:
        """Return the values of cells to explain, shape ``(len(rows), n_genes)``.

        Parameters
        ----------
        rows
            Row numbers in increasing order.
        """
        x = read_rows(self.matrix, rows, self.columns)
        _checks.computable(x)
        return dense(x)

    def context(self, rows: np.ndarray) -> np.ndarray:
        """Return the context of cells, an argument of :attr:`embedding`.

        Parameters
        ----------
        rows
            Row numbers in increasing order.

        Returns
        -------
        Array of shape ``(len(rows), n_context)``, float32.
        """
        covariates = self.covariates(rows)
        if not isinstance(self.matrix, LogCounts):
            return covariates
        scale = self.matrix.scale(read_rows(self.matrix.counts, rows))
        return np.concatenate([scale[:, None].astype(np.float32), covariates], axis=1)

    def embed(self, rows: np.ndarray, *, seed: int = 0) -> np.ndarray:
        """Embed cells through :attr:`embedding`.

        Parameters
        ----------
        rows
            Row numbers in increasing order.
        seed
            Seed of the samples that encoders draw besides the mean.

        Returns
        -------
        Array of shape ``(len(rows), n_latent)``.
        """
        context = torch.from_numpy(self.context(rows))
        parts = []
        with torch.no_grad(), seeded(seed, self.device):
            for start in range(0, len(rows), BATCH_SIZE):
                here = slice(start, start + BATCH_SIZE)
                x = self.expression(rows[here]).to(self.device)
                parts.append(self.embedding(x, context[here].to(self.device)).cpu().numpy())
        return np.concatenate(parts)

    # -- in the values that the model reads ----------------------------------------------------

    def values(self, rows: np.ndarray) -> sp.csr_matrix | np.ndarray:
        """Return the values of cells that the model reads, with genes in its order.

        Parameters
        ----------
        rows
            Row numbers in increasing order.
        """
        part = read_rows(self._cells.matrix, rows, self.columns)
        _checks.computable(part)
        return sp.csr_matrix(part) if sp.issparse(part) else np.asarray(part)

    def covariates(self, rows: np.ndarray) -> np.ndarray:
        """Return the covariates of cells, an argument of :attr:`encoder`.

        Parameters
        ----------
        rows
            Row numbers in increasing order.

        Returns
        -------
        Array of shape ``(len(rows), n_covariates)``, float32.
        """
        found = self._cells.covariates(rows).values()
        return np.concatenate([np.empty((len(rows), 0)), *found], axis=1).astype(np.float32)

    def latent(self) -> np.ndarray:
        """Embed all cells through :attr:`encoder`: ``(n_cells, n_latent)``, float32."""
        parts = []
        # Encoders also draw a sample, which must not change the global random state.
        with torch.no_grad(), seeded(0, self.device):
            for start in range(0, self._cells.n_obs, BATCH_SIZE_VALUES):
                rows = np.arange(start, min(start + BATCH_SIZE_VALUES, self._cells.n_obs))
                covariates = torch.from_numpy(self.covariates(rows))
                parts.append(self.encode(dense(self.values(rows)), covariates).cpu())
        return torch.cat(parts).numpy()

    def encode(
        self,
        x: torch.Tensor,
        covariates: torch.Tensor,
        network: torch.nn.Module | None = None,
    ) -> torch.Tensor:
        """Embed given values, such as those of perturbed cells.

        Parameters
        ----------
        x
            Values of the genes, shape ``(n_cells, n_genes)``.
        covariates
            Covariates, shape ``(n_cells, n_covariates)``.
        network
            Network to use instead of :attr:`encoder`.

        Returns
        -------
        Tensor of shape ``(n_cells, n_latent)`` on the device of the model.
        """
        network = self.encoder if network is None else network
        return network(x.to(self.device), covariates.to(self.device))


def dense(part: Any) -> torch.Tensor:
    """Return values of cells as a float32 tensor."""
    values = part.toarray() if sp.issparse(part) else np.asarray(part)
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
