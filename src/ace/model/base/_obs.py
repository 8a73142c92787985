"""Columns of ``obs`` that a model registers, for AnnData and MuData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scvi import REGISTRY_KEYS

from ace._checks import _columns
from ace._checks._objects import aligned_obs, is_mudata

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from ace.model.base._gene_model import GeneModel


def state_of(model: GeneModel, registry_key: str) -> dict[str, Any] | None:
    """Return the registry's state of a field, ``None`` if it was not registered."""
    field = model.registry_["field_registries"].get(registry_key)
    return None if field is None else field["state_registry"]


def obs_of(model: GeneModel, adata: AnnData | MuData | None, registry_key: str) -> pd.DataFrame:
    """Return the ``obs`` that holds a field, with one row for each cell that is read.

    Parameters
    ----------
    model
        The model.
    adata
        Cells; ``None`` for those of the model.
    registry_key
        Key of the field.
    """
    adata = model.adata if adata is None else adata
    if not is_mudata(adata):
        return adata.obs
    field = model.registry_["field_registries"].get(registry_key, {})
    modality = field.get("data_registry", {}).get("mod_key")
    cells = model._cells(adata)
    if modality is None:
        return aligned_obs(adata, cells)
    if modality not in adata.mod:  # labels are not needed for prediction
        return pd.DataFrame(index=cells.obs_names)
    return aligned_obs(adata.mod[modality], cells, f"modality {modality!r}")


def registered_codes(model: GeneModel, registry_key: str) -> np.ndarray:
    """Code of each of the model's cells: 0 if nothing was registered, -1 if it is unknown."""
    obs, state = obs_of(model, None, registry_key), state_of(model, registry_key)
    if state is None:
        return np.zeros(len(obs), dtype=np.int64)
    key = state["original_key"]
    if key not in obs:
        return np.full(len(obs), -1, dtype=np.int64)
    values = _columns.column_of(obs, key)
    return _columns.codes_of(values, state["categorical_mapping"], f"adata.obs[{key!r}]")


def grouping_of(model: GeneModel, adata: AnnData | MuData | None, groupby: str) -> pd.Series:
    """Return a column of ``obs``.

    It is looked up in the modality that the model reads, then in the modality of the labels, then
    in the MuData.
    """
    cells, whole = model._cells(adata), model.adata if adata is None else adata
    frames = [cells.obs, obs_of(model, adata, REGISTRY_KEYS.LABELS_KEY)]
    if is_mudata(whole):
        frames.append(aligned_obs(whole, cells))
    holds = (frame for frame in frames if groupby in list(frame.columns))
    return _columns.column_of(next(holds, cells.obs), groupby)


def n_categories(model: GeneModel, registry_key: str) -> int:
    """Number of categories of a field, 1 if it was not registered."""
    state = state_of(model, registry_key)
    return 1 if state is None else len(state["categorical_mapping"])
