"""What ACE registers of an AnnData or a MuData."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scvi import REGISTRY_KEYS
from scvi.utils import setup_anndata_dsp

from ace._listed import listed
from ace.model.base._fields import (
    BatchField,
    GenesField,
    GroupsField,
    MuDataBatchField,
    MuDataGenesField,
    MuDataGroupsField,
)
from ace.model.base._latent import LatentModel

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


class SetUpAce(LatentModel):
    """The set-up of :class:`~ace.model.ACE`: expression, and perhaps batches and labels."""

    _n_clusters: int | Literal["auto"] | None

    @classmethod
    @setup_anndata_dsp.dedent
    def setup_anndata(
        cls,
        adata: AnnData,
        *,
        layer: str | None = None,
        batch_key: str | None = None,
        labels_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        """%(summary)s.

        Parameters
        ----------
        %(param_adata)s
        layer
            Layer with log-normalised expression, ``None`` for ``X``.
        batch_key
            Column of ``adata.obs`` with the batch of each cell, any number of them, if the
            embedding is to be corrected for it.
        labels_key
            Column of ``adata.obs`` with groups to embed by, if they are known already.
        **kwargs
            Used when a saved model is loaded.

        Raises
        ------
        KeyError
            If a column or the layer does not exist.
        ValueError
            If labels are missing, there are fewer than two classes, gene names are not unique,
            cells have values of different kinds, or ``adata`` is a view.

        Warns
        -----
        UserWarning
            If the values are counts (with or without decimals) or have no logarithm, or if cells
            were normalised differently.
        """
        setup_method_args = cls._get_setup_method_args(**locals())
        cls._check_matrix(adata, layer, batch_key, **kwargs)
        fields: list[Any] = [GenesField(REGISTRY_KEYS.X_KEY, layer)]
        if batch_key is not None:
            fields.append(BatchField(REGISTRY_KEYS.BATCH_KEY, batch_key))
        if labels_key is not None:
            fields.append(GroupsField(REGISTRY_KEYS.LABELS_KEY, labels_key))
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
        **kwargs: Any,
    ) -> None:
        """%(summary_mdata)s.

        Parameters
        ----------
        %(param_mdata)s
        modalities
            Modality of each argument: ``{"layer": "rna"}`` names the modality whose matrix is
            read; add ``"batch_key"`` or ``"labels_key"`` if these columns are in a modality's
            ``obs`` rather than in ``mdata.obs``.
        layer
            Layer with log-normalised expression, ``None`` for ``X``.
        batch_key
            Column with the batch of each cell.
        labels_key
            Column with groups to embed by.
        **kwargs
            Used when a saved model is loaded.

        Raises
        ------
        ValueError
            If ``modalities`` does not name the modality of ``layer``, if a modality does not have
            the same cells as ``mdata`` in the same order, or as in :meth:`setup_anndata`.

        Examples
        --------
        >>> ACE.setup_mudata(mdata, modalities={"layer": "rna"})  # doctest: +SKIP
        """
        setup_method_args = cls._get_setup_method_args(**locals())
        location = cls._modalities(mdata, modalities, setup_method_args)
        cls._check_matrix(mdata.mod[location.layer], layer, batch_key, **kwargs)
        fields: list[Any] = [
            MuDataGenesField(REGISTRY_KEYS.X_KEY, layer, mod_key=location.layer, mod_required=True)
        ]
        if batch_key is not None:
            fields.append(
                MuDataBatchField(REGISTRY_KEYS.BATCH_KEY, batch_key, mod_key=location.batch_key)
            )
        if labels_key is not None:
            fields.append(
                MuDataGroupsField(
                    REGISTRY_KEYS.LABELS_KEY, labels_key, mod_key=location.labels_key
                )
            )
        cls._register(mdata, fields, setup_method_args, **kwargs)

    @property
    def batch_key(self) -> str | None:
        """Column of ``obs`` that the embedding is corrected for, if any."""
        state = self._state_of(REGISTRY_KEYS.BATCH_KEY)
        return None if state is None else state["original_key"]

    @property
    def labels_key(self) -> str | None:
        """Column of ``obs`` that the embedding was learned with, if any."""
        state = self._state_of(REGISTRY_KEYS.LABELS_KEY)
        return None if state is None else state["original_key"]

    @property
    def _n_batches(self) -> int:
        state = self._state_of(REGISTRY_KEYS.BATCH_KEY)
        return 1 if state is None else len(state["categorical_mapping"])

    def _label_names(self) -> tuple[Any, ...]:
        labels = self.registry_["field_registries"][REGISTRY_KEYS.LABELS_KEY]["state_registry"]
        return tuple(labels["categorical_mapping"].tolist())

    def _check_cells(
        self,
        split: tuple[np.ndarray, ...],
        batches: np.ndarray,
        labels: np.ndarray | None,
    ) -> None:
        """Raise before training for what would fail during or after it."""
        fewest = 3 if self._n_clusters == "auto" else int(self._n_clusters or 1)
        if len(split[0]) < fewest:
            raise ValueError(
                f"n_clusters={self._n_clusters!r} needs at least {fewest} training cells, got "
                f"{len(split[0])}."
            )
        if (batches[np.concatenate(split[:2])] < 0).any():
            raise ValueError(
                f"adata.obs[{self.batch_key!r}] is missing or holds batches unknown to the model: "
                "train on cells of its batches only."
            )
        if labels is not None:
            present = np.unique(labels[split[0]])
            lost = [n for i, n in enumerate(self._label_names()) if i not in present]
            if lost:
                raise ValueError(
                    f"no training cell has the labels {listed(lost)}: choose another split. "
                    "If labels were renamed after the set-up, set up and make the model again."
                )

    @property
    def _is_supervised(self) -> bool:
        return self.labels_key is not None and self._n_clusters is None
