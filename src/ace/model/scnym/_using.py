"""What a trained scNym answers: labels, domains, and whether a cell is of a known type at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from ace.model.scnym._calibration import fit_temperature
from ace.model.scnym._module import ScnymModule
from ace.model.scnym._setup import SetUpScnym

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from mudata import MuData

    from ace.model._reader import MatrixReader

#: Share of the known cells that the threshold of novelty is to keep.
KEPT = 0.95


class UsingScnym(SetUpScnym):
    """Predictions of :class:`~ace.model.SCNYM`."""

    module: ScnymModule
    novelty_threshold_: float | None

    @property
    def temperature_(self) -> float:
        """Temperature that the logits are divided by."""
        return float(self.module.temperature)

    def _calibrate(self, reader: MatrixReader, labels: np.ndarray, batch_size: int) -> None:
        """Fit the temperature and the threshold of novelty on the validation cells."""
        self.module.temperature.fill_(1.0)
        held_out = self.validation_indices
        logits = self._logits(reader, held_out, batch_size)
        truth = torch.from_numpy(labels[held_out])
        self.module.temperature.fill_(fit_temperature(logits, truth))
        if len(held_out):
            scores = self._novelty(reader, held_out, batch_size)
            self.novelty_threshold_ = float(np.quantile(scores, KEPT))

    def predict(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        soft: bool = False,
        keep_labels: bool = True,
        batch_size: int | None = None,
    ) -> np.ndarray | pd.DataFrame:
        """Predict the label of each cell.

        Parameters
        ----------
        adata
            Cells to classify; ``None`` for those of the model. Genes are matched by name, labels
            are not needed, and nothing is written.
        indices
            Rows (or a Boolean mask) to predict; ``None`` for all.
        soft
            Give probabilities instead of labels: of the network, for every cell.
        keep_labels
            Leave the labels that the model was given (``adata=None``) as they are, and predict
            only the other cells. Labels of other cells are never looked at.
        batch_size
            Cells in a minibatch; ``None`` for ``scvi.settings.batch_size``.

        Returns
        -------
        Labels, shape ``(n_cells,)``, or with ``soft=True`` a frame cells × classes of calibrated
        probabilities.

        Raises
        ------
        RuntimeError
            If the model is not trained.
        ValueError
            If genes are missing, or the matrix holds NaN or infinite values.
        """
        predicted = super().predict(adata, indices, soft=soft, batch_size=batch_size)
        if soft or not keep_labels or (adata is not None and adata is not self.adata):
            return predicted
        given = self._codes(self._labelled(None))
        given = given[self._rows(indices, len(given))]
        return np.where(given >= 0, self.labels[given], predicted)

    def predict_domain(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        domain_key: str | None = None,
        soft: bool = False,
        batch_size: int | None = None,
    ) -> np.ndarray | pd.DataFrame:
        """Ask an adversary for the domain of each cell: the better it knows, the less is mixed.

        Parameters
        ----------
        adata
            Cells; ``None`` for those of the model.
        indices
            Rows (or a Boolean mask); ``None`` for all.
        domain_key
            Which of the columns of domains, where the model has several.
        soft
            Give probabilities instead of names.
        batch_size
            Cells in a minibatch; ``None`` for ``scvi.settings.batch_size``.

        Returns
        -------
        Domains, shape ``(n_cells,)`` (``"labelled"`` or ``"unlabelled"`` without columns of
        domains), or with ``soft=True`` a frame cells × domains of probabilities.

        Raises
        ------
        RuntimeError
            If the model is not trained.
        ValueError
            If the column is not one of the model's, or is needed to choose one.
        """
        self._require_trained()
        keys = self.domain_keys
        if domain_key is None and len(keys) > 1:
            raise ValueError(f"name one of the columns of domains, domain_key=...: {list(keys)}.")
        if domain_key is not None and domain_key not in keys:
            raise ValueError(f"domain_key must be one of {list(keys)}, got {domain_key!r}.")
        column = 0 if domain_key is None else keys.index(domain_key)
        cells = self._cells(adata)
        rows = self._rows(indices, cells.n_obs)
        logits = self._domain_logits(self._reader(adata), rows, column, batch_size)
        names = self._domains_of(column)
        if not soft:
            return names[logits.argmax(dim=1).numpy()]
        return pd.DataFrame(
            torch.softmax(logits, dim=1).numpy(), index=cells.obs_names[rows], columns=names
        )

    @torch.inference_mode()
    def _domain_logits(
        self, reader: MatrixReader, rows: np.ndarray, column: int, batch_size: int | None
    ) -> torch.Tensor:
        self.module.eval()
        parts = [
            self.module.domain_logits(self.module.embed(x), column).cpu()
            for x in self._minibatches(reader, rows, batch_size)
        ]
        return torch.cat([torch.empty(0, len(self._domains_of(column))), *parts])

    def novelty(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        batch_size: int | None = None,
    ) -> np.ndarray:
        r"""How likely a cell is of none of the known types.

        Parameters
        ----------
        adata
            Cells; ``None`` for those of the model.
        indices
            Rows (or a Boolean mask); ``None`` for all.
        batch_size
            Cells in a minibatch; ``None`` for ``scvi.settings.batch_size``.

        Returns
        -------
        One score a cell, shape ``(n_cells,)``. ``novelty_threshold_`` is the value that 95 % of
        the validation cells, which are of known types, do not exceed.

        Raises
        ------
        RuntimeError
            If the model is not trained.
        ValueError
            If genes are missing, or the matrix holds NaN or infinite values.
        """
        self._require_trained()
        reader = self._reader(adata)
        return self._novelty(reader, self._rows(indices, len(reader)), batch_size)

    def _novelty(
        self, reader: MatrixReader, rows: np.ndarray, batch_size: int | None
    ) -> np.ndarray:
        logits = self._logits(reader, rows, batch_size).double()
        log_p = torch.log_softmax(logits, dim=1)
        return -(log_p.exp() * log_p).sum(dim=1).numpy()
