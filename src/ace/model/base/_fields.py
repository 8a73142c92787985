"""What a model registers of an AnnData: genes by name, labels with or without an unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scvi.data.fields import LabelsWithUnlabeledObsField, LayerField, MuDataWrapper

from ace import _checks, _columns
from ace._listed import listed

if TYPE_CHECKING:
    from anndata import AnnData


class GenesField(LayerField):
    """The matrix that a model reads, its genes known by name.

    :class:`~scvi.data.fields.LayerField` compares only the *number* of genes when another AnnData
    is registered for a trained model. Here the names decide: any order and further genes are
    fine, and the registry keeps the order that the model was made for.

    Parameters
    ----------
    registry_key
        Key of the field in the registry.
    layer
        Layer to read, ``None`` for ``X``.
    """

    def __init__(self, registry_key: str, layer: str | None) -> None:
        # The matrix of the user is left as it is: the reader copes with every format.
        super().__init__(registry_key, layer, is_count_data=False, correct_data_format=False)

    def transfer_field(
        self, state_registry: dict[str, Any], adata_target: AnnData, **kwargs: Any
    ) -> dict[str, Any]:
        """Register another AnnData for a model that exists.

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
    """Cell labels as codes, in which classes come first and the unlabelled category last.

    In contrast to its parent the unlabelled category is optional, other categories keep their
    order, categories without a cell are no classes, and an AnnData that is registered for a model
    that exists may lack the column or hold labels unknown to the model: such cells get the code
    of the unlabelled category, or -1 where the model has none.

    Parameters
    ----------
    registry_key
        Key of the field in the registry.
    labels_key
        Column of ``obs``.
    unlabeled_category
        Value of cells without a label, ``None`` if all have one.
    """

    #: What to do about cells that have none; the column stands for {key}.
    _mend = (
        "Give them a category, `adata.obs[{key!r}] = adata.obs[{key!r}].astype(object)"
        '.fillna("Unknown")`, and pass unlabeled_category="Unknown".'
    )
    #: Categories that there must be, the unlabelled one not counted.
    _fewest = 2

    def __init__(
        self, registry_key: str, labels_key: str, unlabeled_category: str | int | float | None
    ) -> None:
        _checks.category(unlabeled_category, "unlabeled_category")
        super().__init__(registry_key, labels_key, unlabeled_category)

    def register_field(self, adata: AnnData) -> dict[str, Any]:
        """Write the codes, and give the categories in their order."""
        return self._write_codes(adata, self.categories(adata))

    def categories(self, adata: AnnData) -> np.ndarray:
        """Categories in their order, the unlabelled one last; read only.

        Raises
        ------
        KeyError
            If the column does not exist.
        ValueError
            If a cell has a missing label, or fewer than two categories have cells.
        """
        key = self._original_attr_key
        values = _columns.labels_of(_checks.column_of(adata, key), f"adata.obs[{key!r}]")
        values = values.remove_unused_categories()
        if (values.codes < 0).any():
            raise ValueError(
                f"adata.obs[{key!r}] is missing for {(values.codes < 0).sum()} cells. "
                + self._mend.format(key=key)
            )
        unlabeled = self._unlabeled_category
        classes = [c for c in values.categories if unlabeled is None or c != unlabeled]
        if len(classes) < self._fewest:
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
        """Write the codes of another AnnData by the categories of the model."""
        return self._write_codes(adata_target, state_registry[self.CATEGORICAL_MAPPING_KEY])

    def get_summary_stats(self, state_registry: dict[str, Any]) -> dict[str, Any]:
        """Count the categories, the unlabelled one included."""
        return {self.count_stat_key: len(state_registry[self.CATEGORICAL_MAPPING_KEY])}

    def _write_codes(self, adata: AnnData, mapping: np.ndarray) -> dict[str, Any]:
        adata.obs[self.attr_key] = self.codes(adata, mapping)
        return {
            self.CATEGORICAL_MAPPING_KEY: mapping,
            self.ORIGINAL_ATTR_KEY: self._original_attr_key,
            self.UNLABELED_CATEGORY: self._unlabeled_category,
        }

    def codes(self, adata: AnnData, mapping: np.ndarray) -> np.ndarray:
        """Position of each cell's label in ``mapping``; read only."""
        key = self._original_attr_key
        unknown = -1 if self._unlabeled_category is None else len(mapping) - 1
        if key not in adata.obs:
            return np.full(adata.n_obs, unknown)
        values = _checks.column_of(adata, key)
        codes = _columns.codes_of(values, mapping, f"adata.obs[{key!r}]")
        return np.where(codes < 0, unknown, codes)


class GroupsField(LabelsField):
    """Labels that every cell has.

    Parameters
    ----------
    registry_key
        Key of the field in the registry.
    labels_key
        Column of ``obs``.
    """

    _mend = "Leave these cells out, or give them a category of their own."

    def __init__(self, registry_key: str, labels_key: str) -> None:
        super().__init__(registry_key, labels_key, None)


class BatchField(GroupsField):
    """Batch of each cell as a code: like labels, of which there may be only one.

    Parameters
    ----------
    registry_key
        Key of the field in the registry.
    labels_key
        Column of ``obs`` with the batches.
    """

    _fewest = 1


MuDataGenesField = MuDataWrapper(GenesField)
MuDataLabelsField = MuDataWrapper(LabelsField)
MuDataGroupsField = MuDataWrapper(GroupsField)
MuDataBatchField = MuDataWrapper(BatchField)
