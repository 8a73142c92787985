"""What the models share: genes known by name, other cells read without being changed."""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from scvi import REGISTRY_KEYS, settings
from scvi.data import AnnDataManager

from ace import _checks, _columns, _compat, _value_checks
from ace._kinds import Values
from ace._listed import listed
from ace._objects import annotated, is_mudata
from ace.model.base._fields import LabelsField
from ace.model.base._reader import MatrixReader
from ace.model.saving._saving import SavableModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anndata import AnnData
    from mudata import MuData
    from scvi.data.fields import AnnDataField

#: Key in the registry for the kind of values that the model was trained on.
VALUES_KEY = "values"


class GeneModel(SavableModel):
    """Base of the models: a :class:`~scvi.model.base.BaseModelClass` that knows genes by name.

    Every public method that takes ``adata`` accepts any AnnData that has the model's genes: in
    any order, beside other genes, with or without labels, sparse, dense, on disk or a view. It is
    read, never registered or changed.

    Parameters
    ----------
    adata
        AnnData that was set up with ``setup_anndata`` (or MuData with ``setup_mudata``).
    registry
        Registry of a saved model that is loaded without an AnnData.
    """

    #: Models of counts set this; the others warn when they are given counts.
    _expects_counts: ClassVar[bool] = False
    registry_: dict[str, Any]

    def __init__(
        self, adata: AnnData | MuData | None = None, registry: dict[str, Any] | None = None
    ) -> None:
        if adata is not None and not is_mudata(adata):
            annotated(adata)
        if adata is not None and _compat.is_copy_of_registered(type(self), adata):
            raise ValueError(
                "this AnnData is a copy of the one that was set up. Set up the copy too: "
                f"{self._setup_call()}."
            )
        super().__init__(adata, registry)

    @classmethod
    def _setup_call(cls) -> str:
        return f"{cls.__name__}.setup_anndata(adata, ...)"

    @classmethod
    def _register(
        cls,
        adata: AnnData | MuData,
        fields: Sequence[AnnDataField],
        setup_method_args: dict[str, Any],
        **kwargs: Any,
    ) -> None:
        """Register fields: the common end of ``setup_anndata`` and ``setup_mudata``."""
        parts = adata.mod.values() if is_mudata(adata) else ()
        if any(part.is_view for part in (adata, *parts)):
            raise ValueError(
                "adata is a view of another AnnData, and the set-up writes the codes of its "
                "categories into it. Run `adata = adata.copy()` first."
            )
        if kwargs.get("source_registry") is None:
            for field in fields:  # before any of them is written
                inner = getattr(field, "adata_field", field)
                if isinstance(inner, LabelsField):
                    inner.categories(adata if inner is field else field.get_modality(adata))
        manager = AnnDataManager(fields=list(fields), setup_method_args=setup_method_args)
        with _compat.unchanged_on_error(cls, adata):
            _compat.ensure_own_identity(cls, adata)
            manager.register_fields(adata, **kwargs)
            cls.register_manager(manager)

    @classmethod
    def _modalities(
        cls, mdata: MuData, modalities: dict[str, str], setup_method_args: dict[str, Any]
    ) -> Any:
        """Modality of each argument of the set-up; that of ``layer`` must be there."""
        if not is_mudata(mdata):
            raise TypeError(
                f"mdata must be a MuData, got {type(mdata).__name__}. Set up an AnnData with "
                f"{cls.__name__}.setup_anndata."
            )
        location = cls._create_modalities_attr_dict(modalities, setup_method_args)
        if location.layer not in mdata.mod:
            raise ValueError(
                'name the modality to read, modalities={"layer": ...}: one of '
                f"{listed(mdata.mod)}, got {location.layer!r}."
            )
        for name in {location.layer, *location.values()} - {None}:
            if name not in mdata.mod:
                raise ValueError(
                    f"modalities names {name!r}, but the MuData has {listed(mdata.mod)}."
                )
            if not mdata.mod[name].obs_names.equals(mdata.obs_names):
                raise ValueError(
                    f"modality {name!r} does not hold all cells of the MuData in the same order, "
                    "and a model matches them by position. Choose cells that all modalities "
                    "have and put them in one order, `mdata = mudata.MuData({name: "
                    "part[cells].copy() for name, part in mdata.mod.items()})`, or set up one: "
                    f"{cls.__name__}.setup_anndata(mdata.mod[{location.layer!r}], ...)."
                )
        return location

    @classmethod
    def _check_matrix(
        cls,
        adata: AnnData,
        layer: str | None,
        batch_key: Any = None,
        source_registry: Any = None,
        **kwargs: Any,
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
        cls._judge_values(seen, layer, trained)

    # -- genes ---------------------------------------------------------------------------------

    @property
    def var_names(self) -> np.ndarray:
        """Genes of the model, in its order."""
        return self.registry_["field_registries"][REGISTRY_KEYS.X_KEY]["state_registry"][
            "column_names"
        ]

    def get_var_names(self, legacy_mudata_format: bool = False) -> Any:
        """Genes of the model as they are saved: by modality if it was set up with a MuData."""
        if self._modality is None or legacy_mudata_format:
            return self.var_names
        return {self._modality: self.var_names}

    @property
    def input_layer(self) -> str | None:
        """Layer that the model reads, ``None`` for ``X``."""
        return self._x_location.get("attr_key")

    @property
    def _modality(self) -> str | None:
        return self._x_location.get("mod_key")

    @property
    def _x_location(self) -> dict[str, Any]:
        return self.registry_["field_registries"][REGISTRY_KEYS.X_KEY]["data_registry"]

    # -- reading cells -------------------------------------------------------------------------

    def _cells(self, adata: AnnData | MuData | None) -> AnnData:
        """Give the AnnData whose matrix is meant: that of a modality, or the model's own."""
        if adata is None:
            adata = self.adata
            if adata is None:
                raise ValueError(
                    "the model was loaded without an AnnData: pass the cells, `adata=...`."
                )
        if is_mudata(adata):
            if self._modality not in adata.mod:
                raise ValueError(
                    f"the model reads modality {self._modality!r}; the MuData has "
                    f"{listed(adata.mod)}."
                    if self._modality
                    else "the model was set up with an AnnData: pass `mdata.mod[...]` of it."
                )
            adata = adata.mod[self._modality]
        return annotated(adata)

    def _reader(self, adata: AnnData | MuData | None = None) -> MatrixReader:
        """Return a reader of the cells in the model's gene order, after checking their values."""
        cells = self._cells(adata)
        reader = MatrixReader(cells, self.input_layer, self.var_names)
        if adata is not None and adata is not self.adata:
            self._judge_values(reader.values(), reader.layer, self._x_state.get(VALUES_KEY))
        elif not self.is_trained_:
            self._keep_values(reader.values())
        return reader

    @property
    def _x_state(self) -> dict[str, Any]:
        return self.registry_["field_registries"][REGISTRY_KEYS.X_KEY]["state_registry"]

    def _keep_values(self, seen: Values) -> None:
        """Store the kind of the training values in the registry, which is saved."""
        self.registry_ = copy.deepcopy(self.registry_)  # other models may share it
        self._x_state[VALUES_KEY] = seen.to_dict()

    @classmethod
    def _judge_values(
        cls, seen: Values, layer: str | None, trained: dict[str, Any] | None = None
    ) -> None:
        """Compare values with those of training, or with what the model expects."""
        if trained is not None:
            _value_checks.same_values(Values(**trained), seen, layer, cls.__name__)
        elif cls._expects_counts:
            _value_checks.warn_unless_counts(seen, layer, cls.__name__)
        else:
            _value_checks.warn_unless_log(seen, layer)

    @staticmethod
    def _rows(indices: Sequence[int] | np.ndarray | None, n_obs: int) -> np.ndarray:
        """Row numbers from row numbers, a Boolean mask or nothing."""
        if indices is None:
            return np.arange(n_obs)
        if isinstance(indices, slice):
            return np.arange(n_obs)[indices]
        rows = np.asarray(indices)
        if rows.ndim != 1 or (rows.dtype.kind not in "iub" and len(rows)):
            raise ValueError(
                "indices must be row numbers, a Boolean mask or a slice of the cells, got "
                f"{indices!r:.60}."
            )
        if rows.dtype == bool:
            if len(rows) != n_obs:
                raise ValueError(f"the mask has {len(rows)} values for {n_obs} cells.")
            return np.flatnonzero(rows)
        rows = rows.astype(np.int64)
        if len(rows) and (rows.min() < -n_obs or rows.max() >= n_obs):
            raise ValueError(f"indices must be rows of adata, which has {n_obs} cells.")
        return np.where(rows < 0, rows + n_obs, rows)

    def _minibatches(
        self, reader: MatrixReader, rows: np.ndarray, batch_size: int | None
    ) -> Iterator[torch.Tensor]:
        """Cells as dense tensors on the model's device, a minibatch at a time."""
        batch_size = settings.batch_size if batch_size is None else batch_size
        _checks.whole(batch_size, "batch_size")
        for start in range(0, len(rows), batch_size):
            x = reader.dense(rows[start : start + batch_size])
            _checks.computable(x)
            yield torch.from_numpy(x).to(self.device)

    @staticmethod
    def _require_finite(reader: MatrixReader, rows: np.ndarray) -> None:
        """Raise if values are not finite; sparse rows stay sparse."""
        for chunk in reader.chunks(rows):
            _checks.computable(chunk)

    def _require_trained(self) -> None:
        if not self.is_trained_:
            raise RuntimeError(f"this {type(self).__name__} is not trained: call train() first.")

    @staticmethod
    def _fingerprint(adata: AnnData | MuData) -> str:
        """Whether row numbers refer to the same cells in two AnnData objects."""
        return hashlib.sha256("\n".join(map(str, adata.obs_names)).encode()).hexdigest()
