"""Kratos: a small classifier of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from scvi import REGISTRY_KEYS

from ace import _checks
from ace._docs import doc_params
from ace._threads import seeded
from ace.model.base import _texts
from ace.model.base._classifier import LABELS_KEY, ClassifierMixin
from ace.model.base._fields import GenesField, LabelsField
from ace.model.base._gene_model import GeneModel
from ace.model.base._scaling import SCALES, learn_scale
from ace.model.kratos._module import LOSSES, KratosModule
from ace.model.kratos._plan import KratosTrainingPlan
from ace.model.training._loaders import SplitCells
from ace.model.training._run import Prepared, Training, run_training
from ace.model.training._training import BestWeights

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from anndata import AnnData
    from mudata import MuData
    from scvi.data.fields import AnnDataField

#: Whether each metric for early stopping is minimised or maximised.
MONITORS = {"validation_loss": "min", "validation_accuracy": "max"}
PUBLISHED_EPOCHS = 100

SETUP = LABELS_KEY + _texts.LAYER + _texts.UNLABELED_CATEGORY


@doc_params(data=_texts.INIT_DATA, random_state=_texts.INIT_RANDOM_STATE)
class KRATOS(ClassifierMixin, GeneModel):
    """A small classifier of cells, made to be explained :cite:p:`zhou2022kratos`.

    A fully connected network (genes – 256 – 64 – classes, ReLU) on log-normalised expression
    learns the labels; its last hidden layer is an embedding. Any method of
    :func:`ace.explain.methods` explains the classifier through :meth:`group_scorer`.

    Parameters
    ----------
    {data}
    n_hidden
        Width of each hidden layer; the last one is the embedding. A number is one layer.
    dropout_rate
        Fraction of hidden units dropped in training.
    loss
        ``"bce"``, the paper's Eq. 11 (binary cross-entropy of each softmax output), or
        ``"cross_entropy"``.
    scale
        Scaling of each gene, learned from the training cells and saved with the weights:
        ``"minmax"`` to [0, 1] as published, ``"zscore"``, or ``None``. Without scaling, the
        classifier was as accurate on blood cells, and its panels were as good there and better on
        the pancreas. A gene that is constant in the training cells is ignored.
    {random_state}

    Raises
    ------
    ValueError
        If an argument is out of range, or ``adata`` was not set up.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.model.KRATOS.setup_anndata(adata, labels_key="bulk_labels")
    >>> model = ace.model.KRATOS(adata)
    >>> model.train(max_epochs=5, enable_progress_bar=False)
    >>> model.predict().shape
    (700,)
    """

    revision = 1
    _module_cls = KratosModule
    _training_plan_cls = KratosTrainingPlan
    _default_split = (0.63, 0.07)

    def __init__(
        self,
        adata: AnnData | MuData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        n_hidden: int | Sequence[int] = (256, 64),
        dropout_rate: float = 0.0,
        loss: Literal["bce", "cross_entropy"] = "bce",
        scale: Literal["minmax", "zscore"] | None = None,
        random_state: int | None = None,
    ) -> None:
        _checks.one_of(loss, "loss", LOSSES)
        _checks.one_of(scale, "scale", SCALES)
        n_hidden = _checks.layers(n_hidden, "n_hidden")
        _checks.number(dropout_rate, "dropout_rate", 0, 1, below=True)
        super().__init__(adata, registry, random_state=random_state)
        self.scale_ = scale
        with seeded(self.random_state_):
            self.module = self._module_cls(
                n_input=len(self.var_names),
                n_labels=len(self.labels),
                n_hidden=n_hidden,
                dropout_rate=dropout_rate,
                loss=loss,
            )
        units = "-".join(str(n) for n in (len(self.var_names), *n_hidden, len(self.labels)))
        self._model_summary_string = (
            f"KRATOS model: {units} units, dropout_rate {dropout_rate}, loss {loss}, "
            f"scale {scale}, labels {self.labels_key!r}"
        )
        self.init_params_ = self._get_init_params(locals())

    # -- set-up --------------------------------------------------------------------------------

    @classmethod
    @doc_params(setup=_texts.setup_text(SETUP))
    def setup_anndata(
        cls,
        adata: AnnData,
        labels_key: str,
        *,
        layer: str | None = None,
        unlabeled_category: str | int | float | None = "Unknown",
        **kwargs: Any,
    ) -> None:
        """Register the cells that a model is made for.

        Parameters
        ----------
        {setup}
        """
        cls._set_up(adata, cls._get_setup_method_args(**locals()), kwargs)

    @classmethod
    @doc_params(setup=_texts.setup_mudata_text(SETUP))
    def setup_mudata(
        cls,
        mdata: MuData,
        labels_key: str,
        *,
        modalities: dict[str, str],
        layer: str | None = None,
        unlabeled_category: str | int | float | None = "Unknown",
        **kwargs: Any,
    ) -> None:
        """Register the cells of a MuData.

        Parameters
        ----------
        {setup}

        Examples
        --------
        >>> KRATOS.setup_mudata(mdata, "cell_type", modalities={"layer": "rna"})  # doctest: +SKIP
        """
        cls._set_up(mdata, cls._get_setup_method_args(**locals()), kwargs)

    @classmethod
    def _fields(
        cls, *, layer: str | None, labels_key: str, unlabeled_category: str | int | float | None
    ) -> list[tuple[str, AnnDataField]]:
        labels = LabelsField(REGISTRY_KEYS.LABELS_KEY, labels_key, unlabeled_category)
        return [("layer", GenesField(layer)), ("labels_key", labels)]

    # -- training ------------------------------------------------------------------------------

    @doc_params(
        hardware=_texts.HARDWARE,
        external_indexing=_texts.EXTERNAL_INDEXING,
        adam=_texts.ADAM,
        patience=_texts.PATIENCE,
        trainer=_texts.TRAINER,
        errors=_texts.TRAIN_ERRORS,
    )
    def train(
        self,
        max_epochs: int | None = None,
        *,
        accelerator: str = "auto",
        devices: int | list[int] | str = "auto",
        train_size: float | None = None,
        validation_size: float | None = None,
        external_indexing: Sequence[Sequence[int] | np.ndarray | None] | None = None,
        batch_size: int = 64,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        early_stopping: bool = True,
        early_stopping_monitor: Literal[
            "validation_loss", "validation_accuracy"
        ] = "validation_loss",
        early_stopping_patience: int = 20,
        random_state: int | None = None,
        plan_kwargs: dict[str, Any] | None = None,
        **trainer_kwargs: Any,
    ) -> None:
        """Train the classifier, and keep the weights of the best validation epoch.

        A further call continues training, with the same scaling and, unless another split is
        given, the same split, so that test cells stay unseen.

        Parameters
        ----------
        max_epochs
            Passes over the training cells. ``None``: 100 as published, fewer above 20 000 cells
            (100 · 20 000 / n).
        {hardware}
        train_size
            Fraction of the labelled cells to train on; ``None`` for 0.63 (70 % of the cells, of
            which a tenth is for validation, as published). The split is stratified by class.
        validation_size
            Fraction to validate on; ``None`` for 0.07, or for the rest if ``train_size`` is given.
            The remaining cells are test cells.
        {external_indexing}
        batch_size
            Cells in a minibatch.
        {adam}
        early_stopping
            Stop when the monitored metric no longer improves.
        early_stopping_monitor
            ``"validation_loss"`` or ``"validation_accuracy"``; also decides which epoch is best.
        {patience}
        random_state
            Seed of the split, the order of the cells and dropout; ``None`` for that of the model.
        plan_kwargs
            Further arguments of :class:`~ace.model.kratos.KratosTrainingPlan`.
        {trainer}

        Raises
        ------
        {errors}
        ValueError
            If an argument is out of range, the matrix holds NaN or infinite values, or early
            stopping is enabled without validation cells.
        """
        _checks.one_of(early_stopping_monitor, "early_stopping_monitor", MONITORS)
        run_training(self, Training.of(locals()), monitor=early_stopping_monitor)

    def _classes_to_split(self) -> np.ndarray:
        return self._label_codes(None)

    def _prepare_training(self, training: Training, *, monitor: str) -> Prepared:
        reader, split = training.reader, training.split
        if not self.is_trained_:
            self.module.set_scale(*learn_scale(reader, split[0], self.scale_))
        codes = {REGISTRY_KEYS.LABELS_KEY: training.codes}
        plan_cls = self._training_plan_cls
        return Prepared(
            plan_cls(self.module, **training.plan_options(plan_cls)),
            SplitCells(reader, codes, split, training.batch_size, training.rng),
            max_epochs=training.epochs(PUBLISHED_EPOCHS),
            monitor=monitor,
            mode=MONITORS[monitor],
            best=BestWeights(monitor, MONITORS[monitor]),
        )
