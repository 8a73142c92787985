"""What SCARE registers of an AnnData or a MuData, and how it reads that of other cells."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData
from scipy.sparse import csr_matrix, issparse
from scvi import REGISTRY_KEYS
from scvi.data.fields import (
    CategoricalJointObsField,
    CategoricalObsField,
    MuDataCategoricalJointObsField,
    MuDataCategoricalObsField,
    MuDataNumericalJointObsField,
    MuDataNumericalObsField,
    NumericalJointObsField,
    NumericalObsField,
)
from scvi.model.base import BaseMinifiedModeModelClass, BaseModelClass
from scvi.utils import setup_anndata_dsp

from ace import _checks, _compat
from ace.model.adapter._requirements import require_columns
from ace.model.base._fields import GenesField, GroupsField, MuDataGenesField, MuDataGroupsField
from ace.model.base._latent import LatentModel
from ace.model.scare._columns import check_categories, check_columns, check_numbers, codes_of


class SetUpScare(LatentModel, BaseMinifiedModeModelClass):
    """The set-up of :class:`~ace.model.SCARE`: counts, batches, labels and covariates."""

    _expects_counts: ClassVar[bool] = True
    _LATENT_QZM_KEY = "scare_latent_qzm"
    _LATENT_QZV_KEY = "scare_latent_qzv"
    #: The last copy of other cells that a method of scvi-tools was given.
    _copied: AnnData | MuData | None = None

    @classmethod
    @setup_anndata_dsp.dedent
    def setup_anndata(
        cls,
        adata: AnnData,
        *,
        layer: str | None = None,
        batch_key: str | None = None,
        labels_key: str | None = None,
        size_factor_key: str | None = None,
        categorical_covariate_keys: list[str] | None = None,
        continuous_covariate_keys: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """%(summary)s.

        Parameters
        ----------
        %(param_adata)s
        layer
            Layer with counts, ``None`` for ``X``.
        batch_key
            Column of ``adata.obs`` with the batch of each cell, which encoder and decoder are
            told.
        labels_key
            Column of ``adata.obs`` with the type of each cell, for ground truths and references
            that go by type. Never given to the network.
        size_factor_key
            Column of ``adata.obs`` with size factors; the total of a cell otherwise.
        categorical_covariate_keys
            Columns of ``adata.obs`` with further categories, treated as the batch is.
        continuous_covariate_keys
            Columns of ``adata.obs`` with numbers, treated as the batch is.
        **kwargs
            Used when a saved model is loaded.

        Raises
        ------
        KeyError
            If a column or the layer does not exist.
        ValueError
            If labels or batches are missing, gene names are not unique, values are scaled or of
            different kinds, or ``adata`` is a view.

        Warns
        -----
        UserWarning
            If the values are not whole numbers.
        """
        setup_method_args = cls._get_setup_method_args(**locals())
        cls._check_matrix(adata, layer, batch_key, **kwargs)
        columns = [batch_key, labels_key, size_factor_key]
        columns += _checks.column_names(categorical_covariate_keys, "categorical_covariate_keys")
        columns += _checks.column_names(continuous_covariate_keys, "continuous_covariate_keys")
        if kwargs.get("source_registry") is not None:  # labels are optional then
            columns.remove(labels_key)
        check_columns(adata.obs, [c for c in columns if c is not None], labels_key)
        check_numbers(adata.obs, [*(continuous_covariate_keys or ())])
        check_numbers(adata.obs, [size_factor_key] if size_factor_key else [], positive=True)
        check_categories(adata.obs, columns, **kwargs)
        fields: list[Any] = [
            GenesField(REGISTRY_KEYS.X_KEY, layer),
            CategoricalObsField(REGISTRY_KEYS.BATCH_KEY, batch_key),
            CategoricalObsField(REGISTRY_KEYS.LABELS_KEY, None)
            if labels_key is None
            else GroupsField(REGISTRY_KEYS.LABELS_KEY, labels_key),
            NumericalObsField(REGISTRY_KEYS.SIZE_FACTOR_KEY, size_factor_key, required=False),
            CategoricalJointObsField(REGISTRY_KEYS.CAT_COVS_KEY, categorical_covariate_keys),
            NumericalJointObsField(REGISTRY_KEYS.CONT_COVS_KEY, continuous_covariate_keys),
        ]
        minified = _compat.minified_type(adata)
        if minified is not None:
            fields += cls._get_fields_for_adata_minification(minified)
        cls._register(adata, fields, setup_method_args, **kwargs)

    @classmethod
    @setup_anndata_dsp.dedent
    def setup_mudata(
        cls,
        mdata: MuData,
        *,
        modalities: dict[str, str],
        layer: str | None = None,
        batch_key: str | None = None,
        labels_key: str | None = None,
        size_factor_key: str | None = None,
        categorical_covariate_keys: list[str] | None = None,
        continuous_covariate_keys: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """%(summary_mdata)s.

        Parameters
        ----------
        %(param_mdata)s
        modalities
            Modality of each argument: ``{"layer": "rna"}`` names the modality whose counts are
            read; add ``"batch_key"`` and so on if these columns are in a modality's ``obs``
            rather than in ``mdata.obs``.
        layer
            Layer with counts, ``None`` for ``X``.
        batch_key
            Column with the batch of each cell.
        labels_key
            Column with the type of each cell.
        size_factor_key
            Column with size factors.
        categorical_covariate_keys
            Columns with further categories.
        continuous_covariate_keys
            Columns with numbers.
        **kwargs
            Used when a saved model is loaded.

        Raises
        ------
        ValueError
            If ``modalities`` does not name the modality of ``layer``, if a modality does not have
            the same cells as ``mdata`` in the same order, or as in :meth:`setup_anndata`.

        Examples
        --------
        >>> SCARE.setup_mudata(mdata, modalities={"layer": "rna"})  # doctest: +SKIP
        """
        setup_method_args = cls._get_setup_method_args(**locals())
        location = cls._modalities(mdata, modalities, setup_method_args)
        cls._check_matrix(mdata.mod[location.layer], layer, batch_key, **kwargs)
        of: dict[str, list[str]] = {
            "batch_key": [] if batch_key is None else [batch_key],
            "labels_key": [] if labels_key is None else [labels_key],
            "size_factor_key": [] if size_factor_key is None else [size_factor_key],
            "categorical_covariate_keys": list(categorical_covariate_keys or ()),
            "continuous_covariate_keys": list(continuous_covariate_keys or ()),
        }
        for argument, columns in of.items():
            modality = location[argument]
            obs = mdata.obs if modality is None else mdata.mod[modality].obs
            if argument != "labels_key" or kwargs.get("source_registry") is None:
                check_columns(obs, columns, labels_key)
                check_categories(obs, columns, **kwargs)
            if argument in ("size_factor_key", "continuous_covariate_keys"):
                check_numbers(obs, columns, positive=argument == "size_factor_key")
        fields: list[Any] = [
            MuDataGenesField(
                REGISTRY_KEYS.X_KEY, layer, mod_key=location.layer, mod_required=True
            ),
            MuDataCategoricalObsField(
                REGISTRY_KEYS.BATCH_KEY, batch_key, mod_key=location.batch_key
            ),
            (MuDataCategoricalObsField if labels_key is None else MuDataGroupsField)(
                REGISTRY_KEYS.LABELS_KEY, labels_key, mod_key=location.labels_key
            ),
            MuDataNumericalObsField(
                REGISTRY_KEYS.SIZE_FACTOR_KEY,
                size_factor_key,
                mod_key=location.size_factor_key,
                required=False,
            ),
            MuDataCategoricalJointObsField(
                REGISTRY_KEYS.CAT_COVS_KEY,
                categorical_covariate_keys,
                mod_key=location.categorical_covariate_keys,
            ),
            MuDataNumericalJointObsField(
                REGISTRY_KEYS.CONT_COVS_KEY,
                continuous_covariate_keys,
                mod_key=location.continuous_covariate_keys,
            ),
        ]
        cls._register(mdata, fields, setup_method_args, **kwargs)

    @property
    def labels_key(self) -> str | None:
        """Column of ``obs`` with the type of each cell, if one was set up."""
        return self.registry_["setup_args"].get("labels_key")

    @property
    def batch_key(self) -> str | None:
        """Column of ``obs`` with the batch of each cell, if one was set up."""
        return self.registry_["setup_args"].get("batch_key")

    def _sizes(self, use_observed_lib_size: bool) -> dict[str, Any]:
        """What the network has to know of the data."""
        stats = self.summary_stats
        categories = self._state_of(REGISTRY_KEYS.CAT_COVS_KEY) or {}
        size_factor = self.registry_["setup_args"].get("size_factor_key") is not None
        sizes: dict[str, Any] = {
            "n_input": len(self.var_names),
            "n_batch": stats.n_batch,
            "n_labels": stats.n_labels,
            "n_continuous_cov": stats.get("n_extra_continuous_covs", 0),
            "n_cats_per_cov": categories.get("n_cats_per_key"),
            "use_size_factor_key": size_factor,
        }
        if not use_observed_lib_size and not size_factor:
            # Saved with the weights: a model without an AnnData gets them from there.
            means, variances = (np.zeros((1, stats.n_batch)), np.ones((1, stats.n_batch)))
            if self.adata is not None:
                means, variances = _compat.init_library_size(self.adata_manager, stats.n_batch)
            sizes |= {"library_log_means": means, "library_log_vars": variances}
        return sizes

    # -- reading cells -------------------------------------------------------------------------

    def _covariates(self, adata: AnnData | MuData | None) -> dict[str, np.ndarray]:
        """What the model registers of cells besides the genes, by its key: ``(n_obs, n_columns)``.

        Labels that it does not know are -1: no network reads them.
        """
        registries = self.registry_["field_registries"]
        n_obs = self._cells(adata).n_obs
        found: dict[str, np.ndarray] = {}
        for key in (
            REGISTRY_KEYS.BATCH_KEY,
            REGISTRY_KEYS.LABELS_KEY,
            REGISTRY_KEYS.SIZE_FACTOR_KEY,
            REGISTRY_KEYS.CAT_COVS_KEY,
            REGISTRY_KEYS.CONT_COVS_KEY,
        ):
            if key not in registries or not registries[key]["data_registry"]:
                continue
            obs, state = self._obs(adata, key), registries[key]["state_registry"]
            if key != REGISTRY_KEYS.LABELS_KEY:
                require_columns(registries, [key], obs, type(self).__name__)
            if "categorical_mapping" in state:
                codes = codes_of(obs, state["original_key"], state["categorical_mapping"], n_obs)
                found[key] = codes[:, None]
            elif "mappings" in state:
                found[key] = np.stack(
                    [codes_of(obs, c, known, n_obs) for c, known in state["mappings"].items()], 1
                )
            else:
                column = registries[key]["data_registry"]["attr_key"]
                columns = list(state.get("columns", [column]))
                check_columns(obs, columns, None)
                check_numbers(obs, columns, positive=key == REGISTRY_KEYS.SIZE_FACTOR_KEY)
                found[key] = obs[columns].to_numpy(dtype=np.float32)
        return found

    def _beside(self, adata: AnnData | MuData | None) -> list[np.ndarray | None]:
        """Covariates in the order that the encoder takes them."""
        covariates = self._covariates(adata)
        keys = (REGISTRY_KEYS.BATCH_KEY, REGISTRY_KEYS.CONT_COVS_KEY, REGISTRY_KEYS.CAT_COVS_KEY)
        return [covariates.get(key) for key in keys]

    @property
    def adata(self) -> AnnData | MuData | None:
        """Cells of the model."""
        return self._adata

    @adata.setter
    def adata(self, adata: AnnData | MuData) -> None:
        if adata is None:
            raise ValueError("adata cannot be None.")
        self._covariates(adata)  # raises if it lacks something
        BaseModelClass._validate_anndata(self, adata)
        self._adata = adata
        self._adata_manager = self.get_anndata_manager(adata, required=True)
        self.registry_ = self._adata_manager.registry
        self.summary_stats = self._adata_manager.summary_stats

    def _validate_anndata(
        self, adata: AnnData | MuData | None = None, copy_if_view: bool = True
    ) -> AnnData | MuData:
        """Give the methods of scvi-tools, which read by position, cells in the model's order.

        The model's own cells if they are in that order, else a copy of what is read of them: the
        user's object is neither registered nor changed.
        """
        own = adata is None or adata is self.adata
        cells = self._cells(adata)
        in_order = own and np.array_equal(cells.var_names, self.var_names)
        # Made by the model itself, or the copy that it was given before.
        minified = _compat.minified_type(cells) is not None
        if in_order or minified or (adata is not None and adata is self._copied):
            return super()._validate_anndata(adata, copy_if_view)
        self._covariates(adata)  # raises if it lacks something
        self._forget_copy()
        copied = self._copy(cells, self.adata if adata is None else adata)
        kept = self._adata, self.adata_manager
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=_compat.small_category_warning)
            super()._validate_anndata(copied, copy_if_view)
        # Of a model without cells scvi-tools would take these for its own from now on.
        self._adata, self._adata_manager = kept
        self._copied = copied
        return copied

    def _forget_copy(self) -> None:
        """Free the last copy, which scvi-tools would keep for as long as the model."""
        if self._copied is not None:
            _compat.forget(self, self._copied)
            self._copied = None

    def _copy(self, cells: AnnData, adata: AnnData | MuData | None) -> AnnData | MuData:
        """Counts and ``obs`` of cells, as a model that reads by position needs them."""
        reader = self._reader(adata)
        part = reader.rows(np.arange(len(reader)))
        # scvi-tools checks sparse matrices only, not sparse arrays.
        x = csr_matrix(part) if issparse(part) else np.asarray(part)
        copied = AnnData(x, obs=cells.obs.copy(), var=pd.DataFrame(index=self._feature_names))
        if self.input_layer is not None:
            copied.layers[self.input_layer] = copied.X
        if self._modality is None:
            return copied
        # Others for their columns only.
        parts = {self._modality: copied}
        whole_obs = cells.obs
        if isinstance(adata, MuData):
            whole_obs = adata.obs
            parts |= {
                name: AnnData(obs=part.obs.copy())
                for name, part in adata.mod.items()
                if name != self._modality
            }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # mudata announces how it will copy columns
            whole = MuData(parts)
        for column in whole_obs:
            whole.obs[column] = whole_obs[column]
        return whole
