"""Labels, predictions and evaluation of the models that classify cells."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from scvi import REGISTRY_KEYS

from ace import _checks
from ace._checks import _columns
from ace._docs import doc_params
from ace._listed import listed
from ace.explain import ClassifierScorer
from ace.model.base import _texts
from ace.model.base._evaluation import N_CALIBRATION_BINS, calibration, evaluate_classifier
from ace.model.base._obs import grouping_of, obs_of, registered_codes
from ace.model.base._outputs import BATCH_CHECKED, Part, network_outputs
from ace.model.base._reader import row_numbers
from ace.model.training._split import is_split_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from mudata import MuData

    from ace.explain import GroupScorer
    from ace.model.base._gene_model import GeneModel
    from ace.model.base._reader import MatrixReader

    Base = GeneModel
else:
    Base = object

Split = Literal["train", "validation", "test"]
SPLITS = ("train", "validation", "test")

#: Share of sampled cells on which a column must agree with the model to be its prediction.
OWN_AGREEMENT = 0.9
N_CELLS_COMPARED = 2000

LABELS_KEY = """
labels_key
    Column of ``obs`` with the class of each cell.
"""
SPLIT_TEXT = """
adata
    Labelled cells; ``None`` for those of the model.
split
    Split of the model's cells: ``"train"``, ``"validation"`` or ``"test"``. ``None`` for all
    labelled cells of ``adata``; without ``adata`` for the test split, or for the validation split
    of a model without test cells (:class:`~ace.model.SCNYM`, whose temperature was fitted on it).
"""
SPLIT_ERRORS = """
RuntimeError
    If the model is not trained.
ValueError
    If the split is empty or belongs to other cells, or labels are unknown to the model.
"""


class ClassifierMixin(Base):
    """Methods of a :class:`GeneModel` that learns the labels of cells.

    The model registers a :class:`~ace.model.base._fields.LabelsField` under ``"labels"``; its
    module has ``classify``, from unscaled expression to softmax logits.
    """

    #: Split that :meth:`evaluate` uses by default.
    _evaluated_split: ClassVar[Split] = "test"

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
        """Value of cells without a label, ``None`` if every cell has one."""
        return self._labels_state["unlabeled_category"]

    @property
    def labels(self) -> np.ndarray:
        """Classes, in the order of the network's outputs; without the unlabelled category."""
        mapping = self._labels_state["categorical_mapping"].tolist()
        classes = mapping if self.unlabeled_category is None else mapping[:-1]
        plain = pd.Index(classes)
        # Numeric labels stay numeric; all others have dtype object.
        return plain.to_numpy(dtype=None if plain.dtype.kind in "iufb" else object)

    def _label_codes(self, adata: AnnData | MuData | None) -> np.ndarray:
        """Class of each cell, -1 for cells that have none; raises if a label is unknown."""
        return self._codes_in(obs_of(self, adata, REGISTRY_KEYS.LABELS_KEY))

    def _codes_in(self, obs: pd.DataFrame) -> np.ndarray:
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

        Only cells attached to a trained model later may have unknown labels: those of the set-up
        and of the split had known ones.
        """
        obs = obs_of(self, None, REGISTRY_KEYS.LABELS_KEY)
        if self.labels_key in obs:
            had_labels = np.arange(0 if self.is_trained_ else len(obs))
            if is_split_of(self, self.adata):
                split = (self.train_indices_, self.validation_indices_, self.test_indices_)
                had_labels = np.concatenate(split).astype(int)
            self._codes_in(obs.iloc[had_labels])
        codes = registered_codes(self, REGISTRY_KEYS.LABELS_KEY)
        return np.where(codes < len(self.labels), codes, -1)  # the unlabelled category is last

    # -- predictions ---------------------------------------------------------------------------

    def _logits(
        self, reader: MatrixReader, rows: np.ndarray, batch_size: int | None
    ) -> torch.Tensor:
        network = self.module
        return network_outputs(
            network, network.classify, len(self.labels), reader, rows, batch_size
        )

    def _sample_outputs(self, rows: np.ndarray) -> None:
        super()._sample_outputs(rows)
        self._logits(self._reader(), rows, BATCH_CHECKED)

    @doc_params(
        cells=_texts.CELLS,
        batch_size=_texts.BATCH_SIZE,
        errors=_texts.READING_ERRORS,
        warnings=_texts.READING_WARNINGS,
    )
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
        {cells}
        soft
            Return probabilities instead of labels.
        {batch_size}

        Returns
        -------
        Labels, shape ``(n_cells,)``, or with ``soft=True`` a data frame cells × classes of softmax
        probabilities.

        Raises
        ------
        {errors}

        Warns
        -----
        {warnings}
        """
        self._require_trained()
        cells = self._cells(adata)
        rows = row_numbers(indices, cells.n_obs)
        logits = self._logits(self._reader(adata), rows, batch_size)
        if soft:
            return pd.DataFrame(
                torch.softmax(logits, dim=1).numpy(),
                index=cells.obs_names[rows],
                columns=self.labels,
            )
        return self.labels[logits.argmax(dim=1).numpy()]

    @doc_params(split=SPLIT_TEXT, batch_size=_texts.BATCH_SIZE, errors=SPLIT_ERRORS)
    def evaluate(
        self,
        adata: AnnData | MuData | None = None,
        *,
        split: Split | None = None,
        batch_size: int | None = None,
    ) -> dict[str, Any]:
        """Compare predictions with the given labels.

        Parameters
        ----------
        {split}
        {batch_size}

        Returns
        -------
        ``accuracy``, ``balanced_accuracy`` (mean recall of the classes that occur), ``macro_f1``
        (over the classes that occur or are predicted), ``ece`` (expected calibration error, 10
        bins), ``n_cells``, and ``confusion``, a data frame of cell counts (rows: given labels,
        columns: predicted labels).

        Raises
        ------
        {errors}
        """
        probabilities, truth = self._evaluated(adata, split, batch_size)
        return evaluate_classifier(probabilities, truth, self.labels)

    @doc_params(split=SPLIT_TEXT, batch_size=_texts.BATCH_SIZE, errors=SPLIT_ERRORS)
    def get_calibration(
        self,
        adata: AnnData | MuData | None = None,
        *,
        split: Split | None = None,
        n_bins: int = N_CALIBRATION_BINS,
        batch_size: int | None = None,
    ) -> dict[str, Any]:
        r"""Compare the confidence of predictions with their accuracy.

        .. math::
            ECE = \sum_b \frac{n_b}{n} \lvert acc_b - conf_b \rvert

        over bins of equal width of the probability of the predicted label
        :cite:p:`guo2017calibration`.

        Parameters
        ----------
        {split}
        n_bins
            Number of bins.
        {batch_size}

        Returns
        -------
        ``ece``, the expected calibration error, and ``reliability``, a data frame with one row per
        bin: ``lower`` and ``upper`` bound, mean ``confidence``, ``accuracy`` and ``n_cells``
        (means are NaN in a bin without cells).

        Raises
        ------
        {errors}
        """
        _checks.whole(n_bins, "n_bins", 1)
        return calibration(*self._evaluated(adata, split, batch_size), n_bins)

    def _evaluated(
        self, adata: AnnData | MuData | None, split: Split | None, batch_size: int | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return probabilities and classes of the labelled cells of a split."""
        self._require_trained()
        reader = self._reader(adata)
        if adata is None and split is None:
            split = self._evaluated_split
        if split is None:
            codes = self._label_codes(adata)
            rows = np.flatnonzero(codes >= 0)
        else:
            _checks.one_of(split, "split", SPLITS)
            own = adata is None or adata is self.adata
            if not own or not is_split_of(self, self.adata):
                raise ValueError(
                    "split selects from the cells that the model was trained on, but other cells "
                    "were passed. Leave it out to use all labelled cells of adata=..."
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

    # -- scorers -------------------------------------------------------------------------------

    def _own_scorer(
        self, adata: AnnData | MuData | None, groupby: str | None, batch_size: int | None
    ) -> GroupScorer | None:
        if adata is not None:
            self._reader(adata)  # checks the values even if they are not read
        outputs: np.ndarray | None = np.arange(len(self.labels))
        if groupby is not None:
            outputs = self._outputs_of_grouping(adata, groupby, batch_size)
        if outputs is None:
            return None
        network = copy.deepcopy(self.module).eval().requires_grad_(False)
        return ClassifierScorer(
            Part(network, "classify", outputs),
            [str(label) for label in self.labels[outputs]],
            self._feature_names,
        ).eval()

    def _outputs_of_grouping(
        self, adata: AnnData | MuData | None, groupby: str, batch_size: int | None
    ) -> np.ndarray | None:
        """Return the outputs of the network that score a grouping; ``None`` if there are none.

        The labels that the model learned, and a column of its predictions, are scored. Names alone
        do not identify these, because all clusterings use "0", "1", …: the column must contain no
        other classes, and agree with the predictions for nearly every cell.
        """
        values, place = grouping_of(self, adata, groupby), f"adata.obs[{groupby!r}]"
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
