"""What a trained scNym answers: labels, domains, and whether a cell is of a known type at all."""

from __future__ import annotations

from os import PathLike
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd
import torch

from ace import _compat
from ace._listed import listed
from ace.model.scnym._calibration import fit_temperature
from ace.model.scnym._setup import SetUpScnym

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from anndata import AnnData
    from mudata import MuData

    from ace.model.base._reader import MatrixReader
    from ace.model.scnym._module import ScnymModule

#: Share of the known cells that the threshold of novelty is to keep.
KEPT = 0.95


class UsingScnym(SetUpScnym):
    """Predictions of :class:`~ace.model.SCNYM`."""

    module: ScnymModule
    temperature_: float
    novelty_threshold_: float | None
    _judged_split = "validation"
    #: Validation cells that tell how sure to be: with fewer, a further training keeps the
    #: calibration that there is, and the threshold of novelty is a guess.
    fewest_held_out: ClassVar[int] = 20

    @classmethod
    def load_query_data(
        cls, adata: AnnData | MuData, reference_model: str | PathLike[str] | Self
    ) -> Self:
        """Give a trained model other cells, to go on training on them alone.

        :meth:`train` then adapts the network to them by its own pseudolabels, without the cells
        that it was made with; cells that have a label of the model join in as labelled ones.
        Unless enough of these are held out, the temperature and the novelty stay the reference's,
        and fit a network that has moved the less the longer it was trained: ask the reference
        itself for the novelty.

        Parameters
        ----------
        adata
            The new cells. They need the model's genes, in any order; labels are optional.
        reference_model
            A trained model, or the folder that it was saved in. It is left as it is.

        Returns
        -------
        A model of its own, attached to ``adata``.

        Raises
        ------
        RuntimeError
            If the reference is not trained.
        ValueError
            If ``adata`` lacks genes of the model, or its values are of another kind than those
            that the model was trained on.

        Examples
        --------
        >>> model = ace.model.SCNYM.load_query_data(query, "reference/")  # doctest: +SKIP
        >>> model.train()  # doctest: +SKIP
        >>> query.obs["scnym"] = model.predict()  # doctest: +SKIP
        """
        with _compat.unchanged_on_error(cls, adata):
            if isinstance(reference_model, str | PathLike):
                model = cls.load(reference_model, adata=adata)
            else:
                reference_model._require_trained()
                with TemporaryDirectory() as folder:
                    reference_model.save(folder, overwrite=True)
                    model = cls.load(folder, adata=adata)
            model._require_trained()
        model.train_indices_ = model.validation_indices_ = model.test_indices_ = np.array([], int)
        model.split_fingerprint_ = None
        return model

    @property
    def _fitted_at_end(self) -> str:
        return "its temperature and novelty were"

    def _finish(self) -> None:
        self._calibrate(self._reader(), self._given_labels(), None)

    def _calibrate(self, reader: MatrixReader, labels: np.ndarray, batch_size: int | None) -> None:
        """Learn from labelled cells how sure to be: where they lie, and what is unusual.

        The temperature and the units of novelty are those of the validation cells.
        """
        train, held_out = self.train_indices, self.validation_indices
        known = held_out if len(held_out) else train
        network = self.module
        z = torch.from_numpy(self._embed(reader, train, batch_size))
        network.novelty.cpu().learn_places(z, torch.from_numpy(labels[train]))
        network.novelty.to(self.device)
        z = torch.from_numpy(self._embed(reader, known, batch_size)).to(self.device)
        with torch.no_grad():
            logits = network.classifier(z)
        network.novelty.learn_units(z, logits)
        truth = torch.from_numpy(labels[held_out])
        self.temperature_ = fit_temperature(logits.cpu()[: len(held_out)], truth)
        network.temperature.fill_(self.temperature_)
        self.novelty_threshold_ = None
        if len(held_out):
            scores = self._novelty(reader, held_out, batch_size)
            self.novelty_threshold_ = float(np.quantile(scores, KEPT, method="higher"))
        self.is_unfinished_ = False

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
            If genes are missing, the matrix holds NaN or infinite values or values of another
            kind than those of the training, or labels that are to be kept were renamed after the
            set-up.
        """
        predicted = super().predict(adata, indices, soft=soft, batch_size=batch_size)
        if soft or not keep_labels or (adata is not None and adata is not self.adata):
            return predicted
        given = self._given_labels()
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
            raise ValueError(
                f"name one of the columns of domains, domain_key=...: {listed(keys)}."
            )
        if domain_key is not None and domain_key not in keys:
            raise ValueError(f"domain_key must be one of {listed(keys)}, got {domain_key!r}.")
        column = 0 if domain_key is None else keys.index(domain_key)
        cells = self._cells(adata)
        rows = self._rows(indices, cells.n_obs)
        names, network = self._domains_of(column), self.module

        def domains(x: torch.Tensor) -> torch.Tensor:
            return network.domain_logits(network.embed(x), column)

        logits = self._outputs(domains, len(names), self._reader(adata), rows, batch_size)
        if not soft:
            return names[logits.argmax(dim=1).numpy()]
        return pd.DataFrame(
            torch.softmax(logits, dim=1).numpy(), index=cells.obs_names[rows], columns=names
        )

    def novelty(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        batch_size: int | None = None,
    ) -> np.ndarray:
        r"""How likely a cell is of none of the known types.

        .. math::
            N = \frac{E - \tilde E}{\sigma_E} + 2 \frac{D - \tilde D}{\sigma_D}, \quad
            E = - \log \sum_c e^{\ell_c}, \quad
            D = \min_c \sqrt{(z - \mu_c)^T \Sigma^{-1} (z - \mu_c)}

        The energy :math:`E` of the logits :math:`\ell` :cite:p:`liu2020energy` is high where the
        network sees little of any class, the Mahalanobis distance :math:`D` of the embedding
        :math:`z` :cite:p:`lee2018simple` where a cell lies far from all of them. Means
        :math:`\mu_c` and covariance :math:`\Sigma` (shrunk by a tenth towards a sphere) are those
        of the labelled training cells; medians and standard deviations those of the validation
        cells, who have a novelty of about 0. Train with ``preset="new_identity"`` where new
        types are to be expected.

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
        One score a cell, float32, shape ``(n_cells,)``. ``novelty_threshold_`` is the value that
        95 % of the validation cells do not exceed; it is ``None`` if there were none.

        Raises
        ------
        RuntimeError
            If the model is not trained, or was saved before the novelty was fitted.
        ValueError
            If genes are missing, or values are NaN, infinite, or of another kind than those that
            the model was trained on.
        """
        self._require_trained()
        if self.is_unfinished_:
            raise RuntimeError(
                "this SCNYM was saved in the middle of its training, before the novelty was "
                "fitted: load it with the cells that it was trained on, adata=..., to fit it."
            )
        reader = self._reader(adata)
        return self._novelty(reader, self._rows(indices, len(reader)), batch_size)

    def _novelty(
        self, reader: MatrixReader, rows: np.ndarray, batch_size: int | None
    ) -> np.ndarray:
        network = self.module

        def column(x: torch.Tensor) -> torch.Tensor:
            return network.novelty_of(x)[:, None]

        return self._outputs(column, 1, reader, rows, batch_size)[:, 0].numpy()
