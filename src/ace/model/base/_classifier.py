"""A model that predicts labels: what its user can do with it once it is trained."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from scvi import REGISTRY_KEYS

from ace import _checks, _columns
from ace._listed import listed
from ace.explain import ClassifierScorer
from ace.model.base._evaluation import N_CALIBRATION_BINS, calibration, evaluate_classifier
from ace.model.base._latent import BATCH_CHECKED, LatentModel, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from mudata import MuData

    from ace.explain import GroupScorer
    from ace.model.base._reader import MatrixReader

SPLITS = ("train", "validation", "test")

#: A column is the model's own if it says the same of this share of some of the column's cells.
OWN_AGREEMENT = 0.9
N_CELLS_COMPARED = 2000


class ClassifierModel(LatentModel):
    """Base of the models that learn the labels of cells.

    A subclass registers a :class:`~ace.model.base._fields.LabelsField` under ``"labels"``; its
    module has ``classify`` (softmax logits of unscaled expression) and ``embed`` (the latent
    space).
    """

    #: Split that the model is judged on unless another one is named.
    _judged_split: ClassVar[str] = "test"

    # -- labels --------------------------------------------------------------------------------

    @property
    def _labels_state(self) -> dict[str, Any]:
        return self.registry_["field_registries"][REGISTRY_KEYS.LABELS_KEY]["state_registry"]

    @property
    def labels_key(self) -> str:
        """Column of ``obs`` that the model learned."""
        return self._labels_state["original_key"]

    @property
    def unlabeled_category(self) -> Any:
        """Value of cells without a label, ``None`` if there is none."""
        return self._labels_state["unlabeled_category"]

    @property
    def labels(self) -> np.ndarray:
        """Classes, in the order of the network's outputs; without the unlabelled category."""
        mapping = self._labels_state["categorical_mapping"].tolist()
        classes = mapping if self.unlabeled_category is None else mapping[:-1]
        plain = pd.Index(classes)
        # Numbers stay numbers; all other labels are objects.
        return plain.to_numpy(dtype=None if plain.dtype.kind in "iufb" else object)

    def _codes(self, obs: pd.DataFrame) -> np.ndarray:
        """Class of each cell, -1 for cells that have none."""
        key = self.labels_key
        if key not in obs:
            raise KeyError(f"no labels: there is no column {key!r} in adata.obs.")
        values, place = _columns.column_of(obs, key), f"adata.obs[{key!r}]"
        labels = _columns.labels_of(values, place).remove_unused_categories()
        known = {*self.labels.tolist(), self.unlabeled_category}
        unknown = [label for label in labels.categories if label not in known]
        if unknown:
            raise ValueError(
                f"the model does not know the labels {listed(unknown)} of "
                f"{int(labels.isin(unknown).sum())} cells in {place}; it knows "
                f"{listed(self.labels)}. Leave these cells out. If the labels were renamed after "
                "the set-up, rename them back, or set up and train a model again."
            )
        return _columns.codes_of(values, self.labels, place)

    def _given_labels(self) -> np.ndarray:
        """Class of each of the model's own cells, -1 if it has no known label.

        Cells attached to a trained model later may have unknown labels. Those that it was set up
        with, or that were split for training, had known labels.
        """
        obs = self._labelled(None)
        if self.labels_key in obs:
            had_labels = np.arange(0 if self.is_trained_ else len(obs))
            if self._split_is_of(self.adata):
                split = (self.train_indices_, self.validation_indices_, self.test_indices_)
                had_labels = np.concatenate(split).astype(int)
            self._codes(obs.iloc[had_labels])
        codes = self._registered_codes(REGISTRY_KEYS.LABELS_KEY)
        return np.where(codes < len(self.labels), codes, -1)  # the unlabelled category is last

    def _labelled(self, adata: AnnData | MuData | None) -> pd.DataFrame:
        """Return the ``obs`` with the labels."""
        return self._obs(adata, REGISTRY_KEYS.LABELS_KEY)

    # -- using it ------------------------------------------------------------------------------

    def _logits(
        self, reader: MatrixReader, rows: np.ndarray, batch_size: int | None
    ) -> torch.Tensor:
        return self._outputs(self.module.classify, len(self.labels), reader, rows, batch_size)

    def _sample_outputs(self, rows: np.ndarray) -> None:
        super()._sample_outputs(rows)
        self._logits(self._reader(), rows, BATCH_CHECKED)

    def predict(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        soft: bool = False,
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
            Give probabilities instead of labels.
        batch_size
            Cells in a minibatch; ``None`` for ``scvi.settings.batch_size``.

        Returns
        -------
        Labels, shape ``(n_cells,)``, or with ``soft=True`` a frame cells × classes of softmax
        probabilities.

        Raises
        ------
        RuntimeError
            If the model is not trained.
        ValueError
            If genes are missing, or values are NaN, infinite, or of another kind than those that
            the model was trained on.

        Warns
        -----
        UserWarning
            If the values may be of another kind than those that the model was trained on, or were
            normalised to another total.
        """
        self._require_trained()
        cells = self._cells(adata)
        rows = self._rows(indices, cells.n_obs)
        logits = self._logits(self._reader(adata), rows, batch_size)
        if soft:
            return pd.DataFrame(
                torch.softmax(logits, dim=1).numpy(),
                index=cells.obs_names[rows],
                columns=self.labels,
            )
        return self.labels[logits.argmax(dim=1).numpy()]

    def evaluate(
        self,
        adata: AnnData | MuData | None = None,
        *,
        split: Literal["train", "validation", "test"] | None = None,
        batch_size: int | None = None,
    ) -> dict[str, Any]:
        """Compare predictions with the given labels.

        Parameters
        ----------
        adata
            Labelled cells; ``None`` for those of the model.
        split
            Which of the model's cells: ``"train"``, ``"validation"`` or ``"test"``. ``None``: all
            labelled cells of ``adata``, where it is given, else the test split; of a model that
            holds no cells back for it (:class:`~ace.model.SCNYM`) the validation split, which its
            temperature was fitted on.
        batch_size
            Cells in a minibatch; ``None`` for ``scvi.settings.batch_size``.

        Returns
        -------
        ``accuracy``, ``balanced_accuracy`` (mean recall of the classes that occur), ``macro_f1``
        (over the classes that occur or are predicted), ``ece`` (expected calibration error, 10
        bins), ``n_cells``, and ``confusion``, a frame of cell numbers (rows: given labels,
        columns: predicted ones).

        Raises
        ------
        RuntimeError
            If the model is not trained.
        ValueError
            If the split is empty or not of these cells, or labels are unknown to the model.
        """
        probabilities, truth = self._judged(adata, split, batch_size)
        return evaluate_classifier(probabilities, truth, self.labels)

    def get_calibration(
        self,
        adata: AnnData | MuData | None = None,
        *,
        split: Literal["train", "validation", "test"] | None = None,
        n_bins: int = N_CALIBRATION_BINS,
        batch_size: int | None = None,
    ) -> dict[str, Any]:
        r"""Compare how sure the model is with how often it is right.

        .. math::
            ECE = \sum_b \frac{n_b}{n} \lvert acc_b - conf_b \rvert

        over bins of equal width of the probability of the predicted label
        :cite:p:`guo2017calibration`.

        Parameters
        ----------
        adata
            Labelled cells; ``None`` for those of the model.
        split
            Which of the model's cells, as in :meth:`evaluate`.
        n_bins
            Number of bins.
        batch_size
            Cells in a minibatch; ``None`` for ``scvi.settings.batch_size``.

        Returns
        -------
        ``ece``, the expected calibration error, and ``reliability``, a frame with a row for each
        bin: ``lower`` and ``upper`` bound, mean ``confidence``, ``accuracy`` and ``n_cells``
        (means are NaN in a bin without cells).

        Raises
        ------
        RuntimeError
            If the model is not trained.
        ValueError
            If the split is empty or not of these cells, or labels are unknown to the model.
        """
        _checks.whole(n_bins, "n_bins", 1)
        return calibration(*self._judged(adata, split, batch_size), n_bins)

    def _judged(
        self, adata: AnnData | MuData | None, split: str | None, batch_size: int | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Probabilities and classes of the labelled cells that are to be judged by."""
        self._require_trained()
        own = adata is None or adata is self.adata
        reader = self._reader(adata)
        if adata is None and split is None:
            split = self._judged_split
        if split is None:
            codes = self._codes(self._labelled(adata))
            rows = np.flatnonzero(codes >= 0)
        else:
            if split not in SPLITS:
                raise ValueError(f"split must be one of {SPLITS}, got {split!r}.")
            if not own or not self._split_is_of(self.adata):
                raise ValueError(
                    "split is about the cells that the model was trained with, and these are "
                    "others. Leave it out to use all labelled cells of adata=..."
                )
            codes = self._given_labels()
            indices = {
                "train": self.train_indices_,
                "validation": self.validation_indices_,
                "test": self.test_indices_,
            }[split]
            rows = indices[codes[indices] >= 0]
        if not len(rows):
            raise ValueError(
                "no labelled cell to evaluate"
                + (f" in the {split} split: train with other sizes." if split else ".")
            )
        probabilities = torch.softmax(self._logits(reader, rows, batch_size), dim=1)
        return probabilities, torch.from_numpy(codes[rows])

    def group_scorer(
        self,
        adata: AnnData | MuData | None = None,
        groupby: str | None = None,
        *,
        n_prototypes: int | None = None,
        batch_size: int | None = None,
        random_state: int = 0,
    ) -> GroupScorer:
        """Give a differentiable score of each group: what :func:`ace.tl.explain` explains.

        The scorer takes expression as it is in the matrix (the scaling is inside), works on a
        copy of the weights, and is in evaluation mode on the model's device.

        Parameters
        ----------
        adata
            Cells with the grouping; ``None`` for those of the model.
        groupby
            Column of ``obs``. ``None``, the labels that the model learned, or a column of its
            predictions: the classifier itself. Any other grouping: prototypes in the model's
            embedding.
        n_prototypes
            Prototypes of each group, where the grouping is not the model's own; ``None`` chooses
            them by fidelity, see :func:`ace.explain.choose_n_prototypes`.
        batch_size
            Cells in a minibatch; ``None`` for ``scvi.settings.batch_size``.
        random_state
            Seed of the choice of their number.

        Returns
        -------
        A scorer whose ``feature_names`` are the model's genes, in the model's order.

        Raises
        ------
        RuntimeError
            If the model is not trained.
        KeyError
            If the column does not exist.
        ValueError
            If the grouping has missing values or fewer than two groups.
        """
        self._require_trained()
        if adata is not None:
            self._reader(adata)  # checks the values even if they are not read
        outputs = np.arange(len(self.labels))
        if groupby is not None:
            values = self._column(adata, groupby)
            own = self._own_outputs(adata, groupby, values, batch_size)
            if own is None:
                return self._prototype_scorer(
                    adata,
                    values,
                    n_prototypes=n_prototypes,
                    batch_size=batch_size,
                    random_state=random_state,
                )
            outputs = own
        network = copy.deepcopy(self.module).eval().requires_grad_(False)
        return ClassifierScorer(
            Part(network, "classify", outputs),
            [str(label) for label in self.labels[outputs]],
            self._feature_names,
        ).eval()

    def _own_outputs(
        self,
        adata: AnnData | MuData | None,
        groupby: str,
        values: pd.Series,
        batch_size: int | None,
    ) -> np.ndarray | None:
        """Outputs of the network that score a grouping, ``None`` if it is not its own.

        Its own are the labels that it learned, and a column of its predictions: of nothing but
        its classes, not necessarily all of them, and the same as it says itself of nearly every
        cell. The names alone would not do: those of any two clusterings are "0", "1", ….
        """
        place = f"adata.obs[{groupby!r}]"
        codes = _columns.codes_of(values, self.labels, place)
        unlabelled = _columns.codes_of(values, [self.unlabeled_category], place) >= 0
        present = np.unique(codes[codes >= 0])
        if ((codes < 0) & ~unlabelled).any() or len(present) < 2:
            return None
        if groupby == self.labels_key and len(present) == len(self.labels):
            return present
        rows = np.flatnonzero(codes >= 0)
        rows = rows[:: -(-len(rows) // N_CELLS_COMPARED)]
        predicted = self._logits(self._reader(adata), rows, batch_size).argmax(dim=1).numpy()
        return present if (predicted == codes[rows]).mean() >= OWN_AGREEMENT else None
