"""Set up an AnnData or a MuData for a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager

from ace import _compat
from ace._checks import _columns
from ace._checks._objects import annotated, is_mudata
from ace._listed import listed
from ace.model.base._fields import FieldInModality, LabelsField
from ace.model.base._reader import MatrixReader
from ace.model.base._reading import VALUES_KEY, check_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from mudata import MuData
    from scvi.data.fields import AnnDataField

    from ace.model.base._gene_model import GeneModel


def set_up(
    cls: type[GeneModel],
    data: AnnData | MuData,
    setup_method_args: dict[str, Any],
    kwargs: dict[str, Any],
    further_fields: Sequence[AnnDataField] = (),
) -> None:
    """Check the cells, and register the fields of a model class.

    Parameters
    ----------
    cls
        The class; its ``_fields`` are registered.
    data
        AnnData or MuData.
    setup_method_args
        Arguments of the set-up, as scvi-tools stores them in the registry.
    kwargs
        Arguments that scvi-tools passes when it loads a model.
    further_fields
        Fields registered beside those of the class.
    """
    arguments = dict(setup_method_args["setup_args"])
    if setup_method_args["setup_method_name"] == "setup_mudata":
        location = modality_of_each(cls, data, arguments.pop("modalities"), setup_method_args)
        cells = data.mod[location["layer"]]
    else:
        location, cells = None, data
    batch_key = None if cls._batch_argument is None else arguments[cls._batch_argument]
    _check_matrix(cls, cells, arguments["layer"], batch_key, kwargs.get("source_registry"))

    def obs_of(argument: str) -> Any:
        modality = None if location is None else location[argument]
        return data.obs if modality is None else data.mod[modality].obs

    cls._check_columns(obs_of, arguments, **kwargs)
    fields = [
        field if location is None else FieldInModality(field, location[argument])
        for argument, field in cls._fields(**arguments)
    ]
    _register(cls, data, [*fields, *further_fields], setup_method_args, kwargs)


def modality_of_each(
    cls: type[GeneModel],
    mdata: MuData,
    modalities: dict[str, str],
    setup_method_args: dict[str, Any],
) -> dict[str, str | None]:
    """Return the modality of each argument; ``None`` for columns of the MuData itself."""
    if not is_mudata(mdata):
        raise TypeError(
            f"mdata must be a MuData, got {type(mdata).__name__}. Set up an AnnData with "
            f"{cls.__name__}.setup_anndata."
        )
    location: dict[str, Any] = cls._create_modalities_attr_dict(modalities, setup_method_args)
    if location["layer"] not in mdata.mod:
        raise ValueError(
            'name the modality to read, modalities={"layer": ...}: one of '
            f"{listed(mdata.mod)}, got {location['layer']!r}."
        )
    for name in {location["layer"], *location.values()} - {None}:
        if name not in mdata.mod:
            raise ValueError(f"modalities names {name!r}, but the MuData has {listed(mdata.mod)}.")
        if not mdata.mod[name].obs_names.equals(mdata.obs_names):
            raise ValueError(
                f"modality {name!r} does not hold all cells of the MuData in the same order, "
                "and a model matches them by position. Select the cells that all modalities "
                "have, in one order, `mdata = mudata.MuData({name: "
                "part[cells].copy() for name, part in mdata.mod.items()})`, or set up one "
                f"modality: {cls.__name__}.setup_anndata(mdata.mod[{location['layer']!r}], ...)."
            )
    return location


def _check_matrix(
    cls: type[GeneModel],
    adata: AnnData,
    layer: str | None,
    batch_key: Any,
    source_registry: Any,
) -> None:
    """Check the object and its values in every batch, before anything is written."""
    annotated(adata)
    genes, trained = adata.var_names, None
    if source_registry is not None:
        state = source_registry["field_registries"][REGISTRY_KEYS.X_KEY]["state_registry"]
        genes, trained = state["column_names"], state.get(VALUES_KEY)
    batches = None
    if isinstance(batch_key, str) and batch_key in adata.obs:
        column = _columns.column_of(adata.obs, batch_key)
        batches = _columns.labels_of(column, f"adata.obs[{batch_key!r}]").codes
    seen = MatrixReader(adata, layer, genes).values(batches)
    check_values(cls, seen, layer, trained)


def _register(
    cls: type[GeneModel],
    data: AnnData | MuData,
    fields: list[AnnDataField],
    setup_method_args: dict[str, Any],
    kwargs: dict[str, Any],
) -> None:
    parts = data.mod.values() if is_mudata(data) else ()
    if any(part.is_view for part in (data, *parts)):
        raise ValueError(
            "adata is a view of another AnnData, and the set-up writes the codes of its "
            "categories into it. Run `adata = adata.copy()` first."
        )
    if kwargs.get("source_registry") is None:
        for field in fields:  # before any of them is written
            inner = getattr(field, "adata_field", field)
            if isinstance(inner, LabelsField):
                inner.categories(data if inner is field else field.get_modality(data))
    manager = AnnDataManager(fields=fields, setup_method_args=setup_method_args)
    with _compat.unchanged_on_error(cls, data):
        _compat.ensure_own_identity(cls, data)
        manager.register_fields(data, **kwargs)
        cls.register_manager(manager)
