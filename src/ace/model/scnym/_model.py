"""scNym: transfer of labels to unlabelled cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import torch
from scvi import REGISTRY_KEYS

from ace import _checks
from ace._docs import doc_params
from ace._threads import seeded
from ace.model.base._classifier import ClassifierMixin
from ace.model.base._fields import GenesField, LabelsField
from ace.model.base._gene_model import GeneModel
from ace.model.base._outputs import network_outputs
from ace.model.base._reader import row_numbers
from ace.model.base._texts import BATCH_SIZE, CELLS
from ace.model.scnym import _texts
from ace.model.scnym._calibration import MIN_HELD_OUT, calibrate
from ace.model.scnym._domains import column_of, domain_columns, domain_names, registry_key
from ace.model.scnym._module import NORMALIZATIONS, ScnymModule
from ace.model.scnym._novelty import NOVELTY, novelty_of
from ace.model.scnym._plan import ScnymTrainingPlan
from ace.model.scnym._query import model_of_query
from ace.model.scnym._recipe import Preset, Recipe, recipe_of
from ace.model.scnym._training import prepare_training
from ace.model.training._fit import restores_best
from ace.model.training._run import Prepared, Training, run_training

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike
    from typing import Self

    from anndata import AnnData
    from mudata import MuData
    from scvi.data.fields import AnnDataField


@doc_params(parameters=_texts.INIT)
class SCNYM(ClassifierMixin, GeneModel):
    r"""Semi-supervised label transfer with a novelty score :cite:p:`kimmel2021scnym`.

    A classifier of log-normalised expression is trained on labelled and unlabelled cells together.
    Unlabelled cells get pseudolabels, and the classifier learns from mixtures of both (MixMatch,
    :cite:p:`berthelot2019mixmatch`); domain-adversarial training makes its last hidden layer
    independent of the domains :cite:p:`ganin2016domain`. The 2000 to 4000 most variable genes work
    best.

    Parameters
    ----------
    {parameters}

    Raises
    ------
    ValueError
        If an argument is out of range, or ``adata`` was not set up.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> adata.obs["known"] = adata.obs["bulk_labels"].astype(str)
    >>> adata.obs.loc[adata.obs_names[:350], "known"] = "Unknown"
    >>> ace.model.SCNYM.setup_anndata(adata, labels_key="known")
    >>> model = ace.model.SCNYM(adata, n_hidden=64)
    >>> model.train(max_epochs=5, enable_progress_bar=False)
    >>> model.predict().shape
    (700,)
    """

    revision = 1
    _batch_argument = "domain_key"
    _evaluated_split = "validation"
    _final_fits = "temperature and novelty"
    _module_cls = ScnymModule
    _training_plan_cls = ScnymTrainingPlan

    def __init__(
        self,
        adata: AnnData | MuData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        n_hidden: int = 256,
        n_layers: int = 2,
        dropout_rate: float = 0.5,
        residual: bool = False,
        normalization: Literal["batch", "layer"] = "batch",
        random_state: int | None = None,
    ) -> None:
        _checks.whole(n_hidden, "n_hidden", 1)
        _checks.whole(n_layers, "n_layers", 1)
        _checks.one_of(normalization, "normalization", NORMALIZATIONS)
        _checks.number(dropout_rate, "dropout_rate", 0, 1, below=True)
        super().__init__(adata, registry, random_state=random_state)
        self.temperature_ = 1.0
        self.novelty_threshold_: float | None = None
        with seeded(self.random_state_):
            self.module = self._module_cls(
                n_input=len(self.var_names),
                n_labels=len(self.labels),
                n_domains=[len(names) for names in domain_names(self)],
                n_hidden=n_hidden,
                n_layers=n_layers,
                dropout_rate=dropout_rate,
                residual=residual,
                normalization=normalization,
            )
        units = "-".join(map(str, [len(self.var_names), *[n_hidden] * n_layers, len(self.labels)]))
        self._model_summary_string = (
            f"SCNYM model: {units} units, dropout_rate {dropout_rate}, residual {residual}, "
            f"normalization {normalization}, labels {self.labels_key!r}, "
            f"domains {list(self.domain_keys) or 'labelled and unlabelled'}"
        )
        self.init_params_ = self._get_init_params(locals())

    # -- set-up --------------------------------------------------------------------------------

    @classmethod
    @doc_params(setup=_texts.SETUP_ANNDATA)
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
        """Register the cells that a model is made for, labelled and unlabelled ones.

        Parameters
        ----------
        {setup}
        """
        cls._set_up(adata, cls._get_setup_method_args(**locals()), kwargs)

    @classmethod
    @doc_params(setup=_texts.SETUP_MUDATA)
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
        """Register the cells of a MuData.

        Parameters
        ----------
        {setup}

        Examples
        --------
        >>> SCNYM.setup_mudata(mdata, "cell_type", modalities={"layer": "rna"})  # doctest: +SKIP
        """
        cls._set_up(mdata, cls._get_setup_method_args(**locals()), kwargs)

    @classmethod
    def _fields(
        cls,
        *,
        layer: str | None,
        labels_key: str,
        unlabeled_category: str | int | float | None,
        domain_key: str | Sequence[str] | None,
    ) -> list[tuple[str, AnnDataField]]:
        labels = LabelsField(REGISTRY_KEYS.LABELS_KEY, labels_key, unlabeled_category)
        fields: list[tuple[str, AnnDataField]] = [
            ("layer", GenesField(layer)),
            ("labels_key", labels),
        ]
        for i, column in enumerate(domain_columns(domain_key)):
            fields.append(("domain_key", LabelsField(registry_key(i), column, min_classes=1)))
        return fields

    @property
    def domain_keys(self) -> tuple[str, ...]:
        """Columns of ``obs`` with domains; empty if these are labelled and unlabelled cells."""
        fields = self.registry_["field_registries"]
        n = sum(key.startswith("domain_") for key in fields)
        return tuple(fields[registry_key(i)]["state_registry"]["original_key"] for i in range(n))

    @classmethod
    def load_query_data(
        cls, adata: AnnData | MuData, reference_model: str | PathLike[str] | Self
    ) -> Self:
        """Attach new cells to a trained model, to continue training on them alone.

        :meth:`train` then adapts the network to the new cells with its own pseudolabels, without
        the cells of the reference; new cells with known labels are used as labelled cells. Unless
        enough of these are held out, temperature and novelty stay those of the reference and
        become less accurate with every epoch: get the novelty from the reference instead.

        Parameters
        ----------
        adata
            The new cells. They need the model's genes, in any order; labels are optional.
        reference_model
            A trained model, or the folder that it was saved in. It is not changed.

        Returns
        -------
        A new model, attached to ``adata``.

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
        return model_of_query(cls, adata, reference_model)

    # -- training ------------------------------------------------------------------------------

    @doc_params(parameters=_texts.TRAIN)
    def train(
        self,
        max_epochs: int | None = None,
        *,
        preset: Preset = "default",
        accelerator: str = "auto",
        devices: int | list[int] | str = "auto",
        train_size: float | None = None,
        validation_size: float | None = None,
        external_indexing: Sequence[Sequence[int] | np.ndarray | None] | None = None,
        batch_size: int = 256,
        lr: float | None = None,
        weight_decay: float | None = None,
        early_stopping: bool = False,
        early_stopping_patience: int = 20,
        random_state: int | None = None,
        plan_kwargs: dict[str, Any] | None = None,
        **trainer_kwargs: Any,
    ) -> None:
        """Train on labelled and unlabelled cells, then calibrate on labelled cells held out.

        A further call continues training with the same split, unless another one is given.

        Parameters
        ----------
        {parameters}
        """
        recipe = recipe_of(preset, plan_kwargs or {}, lr=lr, weight_decay=weight_decay)
        run_training(self, Training.of(locals()), recipe=recipe)

    def _classes_to_split(self) -> np.ndarray:
        return self._given_labels()

    def _prepare_training(self, training: Training, *, recipe: Recipe) -> Prepared:
        return prepare_training(self, training, recipe)

    def _finish_training(self, training: Training, plan: ScnymTrainingPlan) -> None:
        if not restores_best(training.trainer_kwargs.get("callbacks")):
            self.module.load_state_dict(plan.teacher.state_dict())
        labels, split = training.codes, training.split
        complete = np.isin(np.arange(len(self.labels)), labels[split[0]]).all()
        if not training.continues or (complete and len(split[1]) >= MIN_HELD_OUT):
            calibrate(self, training.reader, labels, training.batch_size)

    def _run_final_fits(self) -> None:
        calibrate(self, self._reader(), self._given_labels(), None)

    # -- predictions ---------------------------------------------------------------------------

    @doc_params(cells=CELLS, batch_size=BATCH_SIZE)
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
        {cells}
        soft
            Return the probabilities of the network, for every cell, instead of labels.
        keep_labels
            Return the given labels of the model's own cells, and predict only the unlabelled
            ones. Labels of other cells are never read.
        {batch_size}

        Returns
        -------
        Labels, shape ``(n_cells,)``, or with ``soft=True`` a data frame cells × classes of
        calibrated probabilities.

        Raises
        ------
        RuntimeError
            If the model is not trained.
        ValueError
            If genes are missing, the matrix holds NaN or infinite values or values of another
            kind than those of the training, or kept labels were renamed after the
            set-up.
        """
        predicted = super().predict(adata, indices, soft=soft, batch_size=batch_size)
        if soft or not keep_labels or (adata is not None and adata is not self.adata):
            return predicted
        given = self._given_labels()
        given = given[row_numbers(indices, len(given))]
        return np.where(given >= 0, self.labels[given], predicted)

    @doc_params(cells=CELLS, batch_size=BATCH_SIZE)
    def predict_domain(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        domain_key: str | None = None,
        soft: bool = False,
        batch_size: int | None = None,
    ) -> np.ndarray | pd.DataFrame:
        """Predict the domain of each cell with an adversary; chance level means mixed domains.

        Parameters
        ----------
        {cells}
        domain_key
            Column of domains, if the model has several.
        soft
            Return probabilities instead of names.
        {batch_size}

        Returns
        -------
        Domains, shape ``(n_cells,)`` (``"labelled"`` or ``"unlabelled"`` without columns of
        domains), or with ``soft=True`` a data frame cells × domains of probabilities.

        Raises
        ------
        RuntimeError
            If the model is not trained.
        ValueError
            If the column is not one of the model's, or the model has several and none is given.
        """
        self._require_trained()
        column = column_of(self, domain_key)
        cells = self._cells(adata)
        rows = row_numbers(indices, cells.n_obs)
        names, network = domain_names(self)[column], self.module
        logits = network_outputs(
            network,
            lambda x: network.domain_logits(network.embed(x), column),
            len(names),
            self._reader(adata),
            rows,
            batch_size,
        )
        if not soft:
            return names[logits.argmax(dim=1).numpy()]
        p = torch.softmax(logits, dim=1).numpy()
        return pd.DataFrame(p, index=cells.obs_names[rows], columns=names)

    @doc_params(formula=NOVELTY)
    def novelty(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        batch_size: int | None = None,
    ) -> np.ndarray:
        r"""Score how unlikely it is that a cell belongs to a known type.

        {formula}
        """
        self._require_trained()
        if self._is_unfinished_:
            raise RuntimeError(
                "this SCNYM was saved during training, before the novelty was "
                "fitted: load it with the cells that it was trained on, adata=..., to fit it."
            )
        reader = self._reader(adata)
        return novelty_of(self.module, reader, row_numbers(indices, len(reader)), batch_size)
