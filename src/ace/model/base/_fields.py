"""Data fields of the models: genes matched by name, and categorical columns of ``obs``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scvi import REGISTRY_KEYS
from scvi.data.fields import BaseMuDataWrapperClass, LabelsWithUnlabeledObsField, LayerField

from ace import _checks
from ace._checks import _columns
from ace._listed import listed

if TYPE_CHECKING:
    from anndata import AnnData
    from scvi.data.fields import AnnDataField


class GenesField(LayerField):
    """The matrix that a model reads, with genes matched by name.

    :class:`~scvi.data.fields.LayerField` compares only the *number* of genes when another AnnData
    is registered for a trained model. This field matches names: genes may be in any order, further
    genes are ignored, and the registry keeps the gene order of the model.

    Parameters
    ----------
    layer
        Layer to read, ``None`` for ``X``.
    """

    def __init__(self, layer: str | None) -> None:
        # The reader accepts every matrix format, so the user's matrix is not converted.
        super().__init__(
            REGISTRY_KEYS.X_KEY, layer, is_count_data=False, correct_data_format=False
        )

    def transfer_field(
        self, state_registry: dict[str, Any], adata_target: AnnData, **kwargs: Any
    ) -> dict[str, Any]:
        """Register another AnnData for an existing model.

        Raises
        ------
        ValueError
            If the AnnData lacks genes of the model.
        """
        genes = state_registry[self.COLUMN_NAMES_KEY]
        _checks.unique_genes(adata_target)
        _checks.gene_positions(adata_target.var_names, genes, "the model")
        return (
            state_registry
            | self.register_field(adata_target)
            | {
                self.N_VARS_KEY: len(genes),
                self.COLUMN_NAMES_KEY: genes,
            }
        )


class LabelsField(LabelsWithUnlabeledObsField):
    """A categorical column of ``obs`` as codes: classes first, the unlabelled category last.

    In contrast to its parent, the unlabelled category is optional, the other categories keep their
    order, and categories without cells are dropped. An AnnData registered for an existing model
    may lack the column or have labels unknown to the model: such cells get the code of the
    unlabelled category, or -1 if the model has none.

    Parameters
    ----------
    registry_key
        Key of the field in the registry.
    labels_key
        Column of ``obs``.
    unlabeled_category
        Value of cells without a label, ``None`` if all have one.
    min_classes
        Minimum number of classes.
    """

    def __init__(
        self,
        registry_key: str,
        labels_key: str,
        unlabeled_category: str | int | float | None = None,
        *,
        min_classes: int = 2,
    ) -> None:
        _checks.category(unlabeled_category, "unlabeled_category")
        super().__init__(registry_key, labels_key, unlabeled_category)
        self._min_classes = min_classes

    def register_field(self, adata: AnnData) -> dict[str, Any]:
        """Write the codes, and return the categories in their order."""
        return self._write_codes(adata, self.categories(adata))

    def categories(self, adata: AnnData) -> np.ndarray:
        """Return the categories in their order, the unlabelled one last; writes nothing.

        Raises
        ------
        KeyError
            If the column does not exist.
        ValueError
            If a cell has a missing label, or there are too few classes.
        """
        key, unlabeled = self._original_attr_key, self._unlabeled_category
        values = _columns.labels_of(_checks.column_of(adata, key), f"adata.obs[{key!r}]")
        values = values.remove_unused_categories()
        if (values.codes < 0).any():
            fix = "assign them to a separate category"
            if unlabeled is not None:
                fix = f"mark them as unlabelled, `adata.obs[{key!r}] = adata.obs[{key!r}]"
                fix += f".astype(object).fillna({unlabeled!r})`"
            raise ValueError(
                f"adata.obs[{key!r}] is missing for {(values.codes < 0).sum()} cells. "
                f"Leave these cells out, or {fix}."
            )
        classes = [c for c in values.categories if unlabeled is None or c != unlabeled]
        if len(classes) < self._min_classes:
            raise ValueError(
                f"labels need at least two classes, but adata.obs[{key!r}] holds "
                f"{listed(classes)}."
            )
        mapping = np.empty(len(classes) + (unlabeled is not None), dtype=object)
        mapping[: len(classes)] = classes
        mapping[len(classes) :] = unlabeled
        return mapping

    def transfer_field(
        self, state_registry: dict[str, Any], adata_target: AnnData, **kwargs: Any
    ) -> dict[str, Any]:
        """Write the codes of another AnnData with the categories of the model."""
        return self._write_codes(adata_target, state_registry[self.CATEGORICAL_MAPPING_KEY])

    def get_summary_stats(self, state_registry: dict[str, Any]) -> dict[str, Any]:
        """Count the categories, including the unlabelled one."""
        return {self.count_stat_key: len(state_registry[self.CATEGORICAL_MAPPING_KEY])}

    def _write_codes(self, adata: AnnData, mapping: np.ndarray) -> dict[str, Any]:
        adata.obs[self.attr_key] = self.codes(adata, mapping)
        return {
            self.CATEGORICAL_MAPPING_KEY: mapping,
            self.ORIGINAL_ATTR_KEY: self._original_attr_key,
            self.UNLABELED_CATEGORY: self._unlabeled_category,
        }

    def codes(self, adata: AnnData, mapping: np.ndarray) -> np.ndarray:
        """Position of each cell's label in ``mapping``; writes nothing."""
        key = self._original_attr_key
        unknown = -1 if self._unlabeled_category is None else len(mapping) - 1
        if key not in adata.obs:
            return np.full(adata.n_obs, unknown)
        values = _checks.column_of(adata, key)
        codes = _columns.codes_of(values, mapping, f"adata.obs[{key!r}]")
        return np.where(codes < 0, unknown, codes)


class FieldInModality(BaseMuDataWrapperClass):
    """A field of one modality of a MuData.

    Parameters
    ----------
    field
        Field of the modality's AnnData.
    modality
        Name of the modality; ``None`` for a column of the MuData's own ``obs``.
    """

    def __init__(self, field: AnnDataField, modality: str | None) -> None:
        super().__init__(modality)
        self._adata_field = field
