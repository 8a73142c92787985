"""The user's side of Kratos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scvi import REGISTRY_KEYS
from scvi.train import TrainRunner
from scvi.utils import setup_anndata_dsp

from ace import _checks, _compat
from ace._threads import seeded
from ace.model.base._classifier import ClassifierModel
from ace.model.base._fields import GenesField, LabelsField, MuDataGenesField, MuDataLabelsField
from ace.model.base._scaling import SCALES, learn_scale
from ace.model.kratos._module import LOSSES, KratosModule
from ace.model.kratos._plan import KratosTrainingPlan
from ace.model.training._fit import check_training, plan_options
from ace.model.training._loaders import SplitCells
from ace.model.training._training import BestWeights, resolve_seed
from ace.model.training._transaction import all_or_nothing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from mudata import MuData


MONITORS = {"validation_loss": "min", "validation_accuracy": "max"}
PUBLISHED_EPOCHS = 100


class KRATOS(ClassifierModel):
    """A small classifier of cells, made to be explained :cite:p:`zhou2022kratos`.

    A fully connected network (genes – 256 – 64 – classes, ReLU) on log-normalised expression
    learns the labels; its last hidden layer is an embedding, and any method of
    :func:`ace.explain.methods` explains it through :meth:`group_scorer`.

    Parameters
    ----------
    adata
        AnnData set up with :meth:`setup_anndata`, or MuData set up with :meth:`setup_mudata`.
    registry
        Registry of a saved model; used by :meth:`load`.
    n_hidden
        Units of each hidden layer; the last is the embedding. A number is one layer.
    dropout_rate
        Fraction of hidden units dropped in training.
    loss
        ``"bce"``, the paper's Eq. 11 (binary cross-entropy of each softmax output), or
        ``"cross_entropy"``.
    scale
        Scaling of each gene, learned from the training cells and saved with the weights:
        ``"minmax"`` to [0, 1] as published, ``"zscore"``, or ``None``. Without, the classifier was
        as accurate on blood cells, and its panels were no worse there and better on the pancreas.
        A gene that is constant in the training cells is ignored afterwards, with any scaling.
    random_state
        Seed of the initial weights, and of :meth:`train` unless it is given its own. ``None``
        takes ``scvi.settings.seed``, or 0 if that is not set.

    Raises
    ------
    ValueError
        If an argument is not one of the choices, or ``adata`` was not set up.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k()
    >>> ace.model.KRATOS.setup_anndata(adata, labels_key="bulk_labels")
    >>> model = ace.model.KRATOS(adata)
    >>> model.train(max_epochs=5, enable_progress_bar=False)
    >>> model.predict().shape
    (700,)
    """

    _module_cls = KratosModule
    _training_plan_cls = KratosTrainingPlan
    _train_runner_cls = TrainRunner

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
        _checks.whole(random_state, "random_state", 0, _checks.LARGEST_SEED, optional=True)
        super().__init__(adata, registry)
        self.scale_ = scale
        self.random_state_ = resolve_seed(random_state)
        self.split_fingerprint_: str | None = None
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
    def _setup_call(cls) -> str:
        return f"{cls.__name__}.setup_anndata(adata, labels_key=...)"

    @classmethod
    @setup_anndata_dsp.dedent
    def setup_anndata(
        cls,
        adata: AnnData,
        labels_key: str,
        *,
        layer: str | None = None,
        unlabeled_category: str | int | float | None = None,
        **kwargs: Any,
    ) -> None:
        """%(summary)s.

        Parameters
        ----------
        %(param_adata)s
        labels_key
            Column of ``adata.obs`` with the class of each cell.
        layer
            Layer with log-normalised expression, ``None`` for ``X``.
        unlabeled_category
            Value of ``labels_key`` in cells without a label; they are not trained on.
        **kwargs
            Used when a saved model is loaded.

        Raises
        ------
        KeyError
            If the column or the layer does not exist.
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
        cls._check_matrix(adata, layer, **kwargs)
        fields = [
            GenesField(REGISTRY_KEYS.X_KEY, layer),
            LabelsField(REGISTRY_KEYS.LABELS_KEY, labels_key, unlabeled_category),
        ]
        cls._register(adata, fields, setup_method_args, **kwargs)

    @classmethod
    @setup_anndata_dsp.dedent
    def setup_mudata(
        cls,
        mdata: MuData,
        labels_key: str,
        *,
        modalities: dict[str, str],
        layer: str | None = None,
        unlabeled_category: str | int | float | None = None,
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
            read; add ``"labels_key": "rna"`` if the labels are in that modality's ``obs`` rather
            than in ``mdata.obs``.
        layer
            Layer with log-normalised expression, ``None`` for ``X``.
        unlabeled_category
            Value of ``labels_key`` in cells without a label; they are not trained on.
        **kwargs
            Used when a saved model is loaded.

        Raises
        ------
        ValueError
            If ``modalities`` does not name the modality of ``layer``, if a modality does not have
            the same cells as ``mdata`` in the same order, or as in :meth:`setup_anndata`.

        Examples
        --------
        >>> KRATOS.setup_mudata(mdata, "cell_type", modalities={"layer": "rna"})  # doctest: +SKIP
        """
        setup_method_args = cls._get_setup_method_args(**locals())
        location = cls._modalities(mdata, modalities, setup_method_args)
        cls._check_matrix(mdata.mod[location.layer], layer, **kwargs)
        fields = [
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
        cls._register(mdata, fields, setup_method_args, **kwargs)

    # -- training ------------------------------------------------------------------------------

    @all_or_nothing
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
        """Train the classifier; the weights of the best validation epoch are kept.

        Called again, it continues with the same scaling and, unless another split is asked for,
        with the same split: test cells stay unseen.

        Parameters
        ----------
        max_epochs
            Passes over the training cells. ``None``: 100 as published, fewer above 20 000 cells
            (100 · 20 000 / n).
        accelerator
            Lightning's name of the hardware.
        devices
            Devices to train on, as in Lightning. With several (``devices=2, strategy="ddp"``),
            each minibatch is split between them; see :ref:`several-processes`.
        train_size
            Fraction of the labelled cells to train on; ``None`` for 0.63 (70 % of the cells, of
            which a tenth is for validation, as published). Each class is split by itself.
        validation_size
            Fraction to validate on; ``None`` for 0.07, or for the rest if ``train_size`` is given.
            What is left is the test split.
        external_indexing
            A split of your own: rows of the training, validation and test cells. Cells may be
            left out of it.
        batch_size
            Cells in a minibatch.
        lr
            Learning rate of Adam.
        weight_decay
            Weight decay of Adam.
        early_stopping
            Stop when the monitored metric no longer improves.
        early_stopping_monitor
            ``"validation_loss"`` or ``"validation_accuracy"``; also decides which epoch is best.
        early_stopping_patience
            Epochs without improvement to wait for.
        random_state
            Seed of the split, the order of the cells and dropout; ``None`` for that of the model.
        plan_kwargs
            Further arguments of :class:`~ace.model.kratos.KratosTrainingPlan`.
        **trainer_kwargs
            Passed on to :class:`scvi.train.Trainer`: ``enable_progress_bar``, ``callbacks``,
            ``early_stopping_min_delta``, ``logger``, ``strategy``, ``ckpt_path`` (a Lightning
            checkpoint to resume from), …

        Raises
        ------
        RuntimeError
            If the training diverges. After any error, and after Ctrl-C, the model is restored to
            its state before the call.
        ValueError
            If an argument is out of range, the matrix holds NaN or infinite values, or early
            stopping is asked for without validation cells.
        """
        if early_stopping_monitor not in MONITORS:
            raise ValueError(
                f"early_stopping_monitor must be one of {tuple(MONITORS)}, "
                f"got {early_stopping_monitor!r}."
            )
        check_training(
            max_epochs=max_epochs,
            batch_size=batch_size,
            random_state=random_state,
            lr=lr,
            weight_decay=weight_decay,
        )
        reader = self._reader()
        codes = self._codes(self._labelled(None))
        seed = self.random_state_ if random_state is None else int(random_state)
        # A second training goes on with other numbers, not with the same ones again.
        rng = np.random.default_rng([seed, self._n_epochs_trained])
        split = self._split(codes, train_size, validation_size, external_indexing, rng)
        if not self.is_trained_:
            self.module.set_scale(*learn_scale(reader, split[0], self.scale_))
        if max_epochs is None:
            max_epochs = _compat.get_max_epochs_heuristic(
                len(split[0]), epochs_cap=PUBLISHED_EPOCHS
            )

        data = SplitCells(reader, {REGISTRY_KEYS.LABELS_KEY: codes}, split, batch_size, rng)
        plan = self._training_plan_cls(
            self.module,
            **plan_options(self._training_plan_cls, plan_kwargs, lr=lr, weight_decay=weight_decay),
        )
        self._fit(
            plan,
            data,
            seed=int(rng.integers(2**31)),
            max_epochs=max_epochs,
            early_stopping=early_stopping,
            monitor=early_stopping_monitor,
            mode=MONITORS[early_stopping_monitor],
            best=BestWeights(early_stopping_monitor, MONITORS[early_stopping_monitor]),
            trainer_kwargs={
                "accelerator": accelerator,
                "devices": devices,
                "early_stopping_patience": early_stopping_patience,
                **trainer_kwargs,
            },
        )
