"""Genes and covariates of cells for other models of scvi-tools."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.sparse import csr_matrix, issparse
from scvi import REGISTRY_KEYS

from ace import _checks
from ace._checks import _columns, _value_checks
from ace._matrix import read_rows
from ace._values import claimed_base
from ace.model.adapter._requirements import require_columns, require_registered_genes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scvi.data import AnnDataManager

    from ace._values import Values

#: POISSONVI checks its counts on this many cells when they are registered, and fails with fewer.
FEWEST_REGISTERED = 100


class ScviCells:
    """Genes and covariates of cells, read by the registered fields of a scvi-tools model.

    The fields are transferred to a small AnnData of the cells that are read, so that nothing is
    registered in ``adata`` or in the model.

    Parameters
    ----------
    model
        A trained model.
    adata
        Cells with the genes of the model, in any order. Only read.
    """

    def __init__(self, model: Any, adata: AnnData) -> None:
        name = type(model).__name__
        require_registered_genes(model)
        self._model, self._adata, self._name = model, adata, name
        self._registries = model.registry_["field_registries"]
        genes = self._registries[REGISTRY_KEYS.X_KEY]
        self.n_obs: int = adata.n_obs
        self.input_layer: str | None = genes["data_registry"].get("attr_key")
        self.genes = tuple(str(gene) for gene in genes["state_registry"]["column_names"])
        _checks.unique_genes(adata)
        self.columns = _checks.gene_positions(adata.var_names, self.genes, f"the {name}")
        matrix = _checks.matrix_of(adata, self.input_layer)
        own = _values_of(model.adata, self.input_layer, self.genes)
        seen = own if adata is model.adata else _values_of(adata, self.input_layer, self.genes)
        _value_checks.same_values(own, seen, self.input_layer, name)
        self.is_counts = own.is_linear
        # Rows of a CSC matrix cannot be read without a pass over the whole.
        is_csc = issparse(matrix) and matrix.format == "csc"
        self.matrix = matrix.tocsr() if is_csc and self.is_counts else matrix
        self._keys = [
            key
            for key, field in self._registries.items()
            if key != REGISTRY_KEYS.X_KEY
            and field["data_registry"].get("attr_name") in ("layers", "obs", "obsm")
        ]

    def covariates(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the covariates of cells by registry key, each ``(len(rows), width)``."""
        if not self._keys:
            return {}
        data = self.registered(rows).create_torch_dataset(data_and_attributes=self._keys)
        found = data[slice(0, len(rows))]
        return {key: np.asarray(values).reshape(len(rows), -1) for key, values in found.items()}

    def registered(self, rows: np.ndarray) -> AnnDataManager:
        """Transfer the fields of the model to an AnnData with some of the cells.

        Few cells are repeated at the end; see ``FEWEST_REGISTERED``.
        """
        again = np.resize(np.arange(len(rows)), max(len(rows), FEWEST_REGISTERED))
        obs = self._adata.obs.iloc[rows[again]].reset_index(drop=True)
        obs.index = obs.index.astype(str)
        self._fill_labels(obs)
        require_columns(self._registries, self._keys, obs, self._name)
        # Columns that the model reads are unique now; scvi-tools fails on other duplicates.
        obs = obs.loc[:, ~obs.columns.duplicated()]
        cells = AnnData(self._genes_of(self.matrix, rows)[again], obs=obs)
        cells.var_names = list(self.genes)
        if self.input_layer is not None:
            cells.layers[self.input_layer] = cells.X
        for key in self._keys:
            place = self._registries[key]["data_registry"]
            name = place["attr_key"]
            if place["attr_name"] == "layers":
                cells.layers[name] = self._genes_of(self._adata.layers[name], rows)[again]
            elif place["attr_name"] == "obsm" and name in self._adata.obsm:
                values = self._adata.obsm[name]
                if isinstance(values, pd.DataFrame):
                    cells.obsm[name] = values.iloc[rows[again]].set_axis(cells.obs_names)
                else:
                    cells.obsm[name] = values[rows][again]
        with warnings.catch_warnings():
            # Batches with few cells are fine, as nothing is trained on these cells.
            warnings.simplefilter("ignore")
            return self._model.adata_manager.transfer_fields(cells)

    def _genes_of(self, matrix: Any, rows: np.ndarray) -> Any:
        part = read_rows(matrix, rows, self.columns)
        # scvi-tools checks sparse matrices only, not sparse arrays.
        return csr_matrix(part) if issparse(part) else part

    def _fill_labels(self, obs: pd.DataFrame) -> None:
        """Replace labels unknown to the model: its fields require one, its encoder reads none."""
        state = self._registries.get(REGISTRY_KEYS.LABELS_KEY, {}).get("state_registry", {})
        if "unlabeled_category" not in state:  # registered as an ordinary column
            return
        key, mapping = state["original_key"], list(state["categorical_mapping"])
        unlabeled = state["unlabeled_category"]
        filler = mapping[0] if unlabeled is None else unlabeled
        if key not in obs:
            obs[key] = filler
            return
        codes = _columns.codes_of(_columns.column_of(obs, key), mapping, f"adata.obs[{key!r}]")
        labels = np.array([*mapping, filler], dtype=object)[codes]  # -1 selects the filler
        obs[key] = pd.Categorical(labels)


def _values_of(adata: AnnData, layer: str | None, genes: Sequence[str]) -> Values:
    """Detect the kind of values of an object, over the genes of a model."""
    return _value_checks.values_of(
        _checks.matrix_of(adata, layer),
        layer,
        base=claimed_base(adata, layer),
        columns=adata.var_names.get_indexer(pd.Index(genes)),
    )
