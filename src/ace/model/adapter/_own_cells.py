"""Genes and covariates of cells for models of this package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ace import _checks
from ace._values import Values
from ace.model.base._module import EmbeddingModule
from ace.model.base._reading import VALUES_KEY

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData
    from mudata import MuData

    from ace.model.base._gene_model import GeneModel
    from ace.model.scare import SCARE


class OwnCells:
    """Genes and covariates of cells, read by a model of :mod:`ace.model` itself.

    Parameters
    ----------
    model
        A trained model.
    adata
        Cells with the genes of the model, in any order. Only read.
    """

    def __init__(self, model: GeneModel | SCARE, adata: AnnData | MuData) -> None:
        reader = model._reader(adata)
        cells = model._cells(adata)
        self.n_obs: int = cells.n_obs
        self.genes = tuple(str(gene) for gene in model.var_names)
        self.columns = _checks.gene_positions(cells.var_names, self.genes, "the model")
        self.input_layer = model.input_layer
        self.matrix = reader.matrix
        self.is_counts = False
        self._covariates: dict[str, np.ndarray] = {}
        if not isinstance(model.module, EmbeddingModule):  # it also reads covariates
            trained = model._x_field["state_registry"].get(VALUES_KEY)
            values = reader.values() if trained is None else Values(**trained)
            self.is_counts = values.is_linear
            self._covariates = model._covariates(adata)

    def covariates(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the covariates of cells by registry key, each ``(len(rows), width)``."""
        return {key: values[rows] for key, values in self._covariates.items()}
