"""What scNym registers of an AnnData or a MuData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scvi import REGISTRY_KEYS
from scvi.utils import setup_anndata_dsp

from ace import _checks
from ace._listed import listed
from ace.model.base._classifier import ClassifierModel
from ace.model.base._fields import (
    BatchField,
    GenesField,
    LabelsField,
    MuDataBatchField,
    MuDataGenesField,
    MuDataLabelsField,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from mudata import MuData

    DomainKey = str | Sequence[str] | None

#: Domains where no column of them is given.
LABELLED_OR_NOT = ("labelled", "unlabelled")


def _columns(domain_key: DomainKey) -> tuple[str, ...]:
    columns = _checks.column_names(domain_key, "domain_key")
    if len(set(columns)) < len(columns):
        raise ValueError(f"domain_key names a column twice: {listed(columns)}.")
    return columns


def _registry_key(column: int) -> str:
    return f"domain_{column}"


class SetUpScnym(ClassifierModel):
    """The set-up of :class:`~ace.model.SCNYM`: expression, labels, and perhaps domains."""

    @classmethod
    def _setup_call(cls) -> str:
        return f"{cls.__name__}.setup_anndata(adata, labels_key=...)"

    @classmethod
    @setup_anndata_dsp.dedent
    def setup_anndata(
        cls,
        adata: AnnData,
        labels_key: str,
        *,
        unlabeled_category: str | int | float | None = "Unknown",
        domain_key: str | Sequence[str] | None = None,
        layer: str | None = None,
        **kwargs: Any,
    ) -> None:
        r"""%(summary)s.

        Parameters
        ----------
        %(param_adata)s
        labels_key
            Column of ``adata.obs`` with the class of each cell.
        unlabeled_category
            Value of ``labels_key`` in cells without a label. There may be none of them: the
            training is then supervised.
        domain_key
            Column with the domain of each cell (experiment, technology, donor), or several such
            columns, each of which gets an adversary. ``None``: labelled and unlabelled cells are
            the two domains.
        layer
            Layer with log-normalised expression (:math:`\log(1 + x)` of counts scaled to 10 000
            a cell), ``None`` for ``X``.
        **kwargs
            Used when a saved model is loaded.

        Raises
        ------
        KeyError
            If a column or the layer does not exist.
        ValueError
            If labels or domains are missing, there are fewer than two classes, gene names are not
            unique, cells have values of different kinds, or ``adata`` is a view.

        Warns
        -----
        UserWarning
            If the values are counts (with or without decimals) or have no logarithm, or if cells
            were normalised differently.
        """
        setup_method_args = cls._get_setup_method_args(**locals())
        cls._check_matrix(adata, layer, domain_key, **kwargs)
        fields: list[Any] = [
            GenesField(REGISTRY_KEYS.X_KEY, layer),
            LabelsField(REGISTRY_KEYS.LABELS_KEY, labels_key, unlabeled_category),
        ]
        for i, column in enumerate(_columns(domain_key)):
            fields.append(BatchField(_registry_key(i), column))
        cls._register(adata, fields, setup_method_args, **kwargs)

    @classmethod
    @setup_anndata_dsp.dedent
    def setup_mudata(
        cls,
        mdata: MuData,
        labels_key: str,
        *,
        modalities: dict[str, str],
        unlabeled_category: str | int | float | None = "Unknown",
        domain_key: str | Sequence[str] | None = None,
        layer: str | None = None,
        **kwargs: Any,
    ) -> None:
        """%(summary_mdata)s.

        Parameters
        ----------
        %(param_mdata)s
        labels_key
            Column with the class of each cell.
        modalities
            Modality of each argument: ``{"layer": "rna"}`` names the modality whose matrix is
            read; add ``"labels_key"`` or ``"domain_key"`` if these columns are in a modality's
            ``obs`` rather than in ``mdata.obs``.
        unlabeled_category
            Value of ``labels_key`` in cells without a label.
        domain_key
            Column or columns with the domain of each cell.
        layer
            Layer with log-normalised expression, ``None`` for ``X``.
        **kwargs
            Used when a saved model is loaded.

        Raises
        ------
        ValueError
            If ``modalities`` does not name the modality of ``layer``, if a modality does not have
            the same cells as ``mdata`` in the same order, or as in :meth:`setup_anndata`.

        Examples
        --------
        >>> SCNYM.setup_mudata(mdata, "cell_type", modalities={"layer": "rna"})  # doctest: +SKIP
        """
        setup_method_args = cls._get_setup_method_args(**locals())
        location = cls._modalities(mdata, modalities, setup_method_args)
        cls._check_matrix(mdata.mod[location.layer], layer, domain_key, **kwargs)
        fields: list[Any] = [
            MuDataGenesField(
                REGISTRY_KEYS.X_KEY, layer, mod_key=location.layer, mod_required=True
            ),
            MuDataLabelsField(
                REGISTRY_KEYS.LABELS_KEY,
                labels_key,
                unlabeled_category,
                mod_key=location.labels_key,
            ),
        ]
        for i, column in enumerate(_columns(domain_key)):
            fields.append(MuDataBatchField(_registry_key(i), column, mod_key=location.domain_key))
        cls._register(mdata, fields, setup_method_args, **kwargs)

    # -- domains -------------------------------------------------------------------------------

    @property
    def domain_keys(self) -> tuple[str, ...]:
        """Columns of ``obs`` with domains; none where labelled and unlabelled cells are them."""
        fields = self.registry_["field_registries"]
        n = sum(key.startswith("domain_") for key in fields)
        states = (fields[_registry_key(i)]["state_registry"] for i in range(n))
        return tuple(state["original_key"] for state in states)

    def _domains_of(self, column: int) -> np.ndarray:
        """Names of the domains of a column."""
        if not self.domain_keys:
            return np.array(LABELLED_OR_NOT, dtype=object)
        field = self.registry_["field_registries"][_registry_key(column)]
        return pd.Index(field["state_registry"]["categorical_mapping"].tolist()).to_numpy()

    def _domain_codes(self, labels: np.ndarray) -> np.ndarray:
        """Domain of each of the model's own cells, ``(n_cells, n_columns)``, -1 if unknown.

        Where no column is given, the code of a cell's label says which domain it is of.
        """
        if not self.domain_keys:
            return (labels < 0).astype(np.int64)[:, None]
        keys = [_registry_key(i) for i in range(len(self.domain_keys))]
        return np.stack([self._registered_codes(key) for key in keys], axis=1)
