"""Read the cells passed to a method of a model, and check their values."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from ace._checks import _value_checks
from ace._checks._objects import annotated, is_mudata
from ace._listed import listed
from ace._values import Values
from ace.model.base._reader import MatrixReader

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from ace.model.base._gene_model import GeneModel

#: Key in the registry for the kind of values that the model was trained on.
VALUES_KEY = "values"


def cells_of(model: GeneModel, adata: AnnData | MuData | None) -> AnnData:
    """Return the AnnData that a model reads: that of a modality, or the model's own."""
    if adata is None:
        adata = model.adata
        if adata is None:
            raise ValueError(
                "the model was loaded without an AnnData: pass the cells, `adata=...`."
            )
    if is_mudata(adata):
        if model._modality not in adata.mod:
            raise ValueError(
                f"the model reads modality {model._modality!r}; the MuData has "
                f"{listed(adata.mod)}."
                if model._modality
                else "the model was set up with an AnnData: pass `mdata.mod[...]`."
            )
        adata = adata.mod[model._modality]
    return annotated(adata)


def reader_of(model: GeneModel, adata: AnnData | MuData | None) -> MatrixReader:
    """Return a reader of cells in the model's gene order, after checking their values."""
    reader = MatrixReader(model._cells(adata), model.input_layer, model.var_names)
    if adata is not None and adata is not model.adata:
        trained = model._x_field["state_registry"].get(VALUES_KEY)
        check_values(type(model), reader.values(), reader.layer, trained)
    elif not model.is_trained_:
        # Stored in the registry, which is saved; other models may share it.
        model.registry_ = copy.deepcopy(model.registry_)
        model._x_field["state_registry"][VALUES_KEY] = reader.values().to_dict()
    return reader


def check_values(
    cls: type[GeneModel], seen: Values, layer: str | None, trained: dict[str, Any] | None
) -> None:
    """Compare values with those of training, or with what the model expects."""
    if trained is not None:
        _value_checks.same_values(Values(**trained), seen, layer, cls.__name__)
    elif cls._expects_counts:
        _value_checks.warn_unless_counts(seen, layer, cls.__name__)
    else:
        _value_checks.warn_unless_log(seen, layer)
