"""The user's side of scNym."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scvi import REGISTRY_KEYS
from scvi.train import TrainRunner
from torch import nn

from ace import _checks
from ace._listed import listed
from ace._threads import seeded
from ace.model.base._scaling import learn_scale
from ace.model.scnym._loader import LabelledAndUnlabelled
from ace.model.scnym._module import NORMALIZATIONS, ScnymModule
from ace.model.scnym._plan import DOMAINS_KEY, ScnymTrainingPlan
from ace.model.scnym._recipe import recipe_of
from ace.model.scnym._using import UsingScnym
from ace.model.training._fit import check_training, restores_best
from ace.model.training._training import BestWeights, resolve_seed
from ace.model.training._transaction import all_or_nothing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from mudata import MuData

#: A first training takes as many epochs as make this many minibatches, within these bounds.
N_STEPS = 400
FEWEST_EPOCHS, MOST_EPOCHS = 10, 100

MONITOR = "validation_accuracy"


def _differ(domains: np.ndarray) -> bool:
    """Whether a column has cells of two domains."""
    return any(len(np.unique(column[column >= 0])) > 1 for column in domains.T)


class SCNYM(UsingScnym):
    r"""Transfer of labels to other cells, and a measure of when not to :cite:p:`kimmel2021scnym`.

    A classifier of log-normalised expression learns from labelled cells and from cells without a
    label at once. It gives the latter pseudolabels and learns from mixtures of both (MixMatch,
    :cite:p:`berthelot2019mixmatch`), while adversaries keep its last hidden layer from telling the
    domains apart :cite:p:`ganin2016domain`.

    Parameters
    ----------
    adata
        AnnData set up with :meth:`setup_anndata`, or MuData set up with :meth:`setup_mudata`. It
        holds labelled and unlabelled cells, with the 2000 to 4000 most variable genes at best.
    registry
        Registry of a saved model; used by :meth:`load`.
    n_hidden
        Units of each hidden layer; the last one is the embedding.
    n_layers
        Number of hidden layers: 4 in the paper, 2 in the code that was published with it.
    dropout_rate
        Fraction of hidden units dropped in training.
    residual
        Add what hidden layers after the first compute to what they get.
    normalization
        ``"batch"`` or ``"layer"`` normalisation of the hidden layers.
    random_state
        Seed of the initial weights, and of :meth:`train` unless it is given its own. ``None``
        takes ``scvi.settings.seed``, or 0 if that is not set.

    Raises
    ------
    ValueError
        If an argument is out of range, or ``adata`` was not set up.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k()
    >>> adata.obs["known"] = adata.obs["bulk_labels"].astype(str)
    >>> adata.obs.loc[adata.obs_names[:350], "known"] = "Unknown"
    >>> ace.model.SCNYM.setup_anndata(adata, labels_key="known")
    >>> model = ace.model.SCNYM(adata, n_hidden=64)
    >>> model.train(max_epochs=5, enable_progress_bar=False)
    >>> model.predict().shape
    (700,)
    """

    _module_cls = ScnymModule
    _training_plan_cls = ScnymTrainingPlan
    _train_runner_cls = TrainRunner

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
        _checks.whole(random_state, "random_state", 0, _checks.LARGEST_SEED, optional=True)
        super().__init__(adata, registry)
        self.random_state_ = resolve_seed(random_state)
        self.split_fingerprint_: str | None = None
        self.temperature_ = 1.0
        self.novelty_threshold_: float | None = None
        #: Whether temperature and novelty belong to the current weights.
        n_columns = max(1, len(self.domain_keys))
        with seeded(self.random_state_):
            self.module = self._module_cls(
                n_input=len(self.var_names),
                n_labels=len(self.labels),
                n_domains=[len(self._domains_of(i)) for i in range(n_columns)],
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

    @all_or_nothing
    def train(
        self,
        max_epochs: int | None = None,
        *,
        preset: Literal[
            "default",
            "new_identity",
            "supervised",
            "published",
            "no_adversary",
            "no_mixmatch",
            "no_teacher",
        ] = "default",
        accelerator: str = "auto",
        devices: int | list[int] | str = "auto",
        train_size: float | None = None,
        validation_size: float | None = None,
        external_indexing: Sequence[Sequence[int] | np.ndarray | None] | None = None,
        batch_size: int = 256,
        early_stopping: bool = False,
        early_stopping_patience: int = 20,
        random_state: int | None = None,
        plan_kwargs: dict[str, Any] | None = None,
        **trainer_kwargs: Any,
    ) -> None:
        """Train on labelled and unlabelled cells, then calibrate on labelled ones held out.

        Called again, it goes on with the same split, unless another one is asked for.

        Parameters
        ----------
        max_epochs
            Passes over the larger of the two parts, labelled and unlabelled cells. ``None``: what
            the preset says, or as many as make 400 minibatches, but at least 10 and at most 100;
            10 where there are no labelled cells (see :meth:`load_query_data`).
        preset
            What is known of the unlabelled cells, or which experiment is meant:

            - ``"default"``: all are of the types that occur among the labelled ones;
            - ``"new_identity"``: some may be of none of them; pseudolabels and adversary leave
              out cells that the network is not sure of, see :meth:`novelty`;
            - ``"supervised"``: nothing is learned from them;
            - ``"published"``: settings of the paper (for its four layers and its early stopping,
              pass ``n_layers=4`` and ``early_stopping=True``);
            - ``"no_adversary"``, ``"no_mixmatch"``, ``"no_teacher"``: the default without a part.
        accelerator
            Lightning's name of the hardware.
        devices
            Devices to train on, as in Lightning. With several (``devices=2, strategy="ddp"``),
            each minibatch is split between them; see :ref:`several-processes`.
        train_size
            Fraction of the labelled cells to train on; ``None`` for 0.9. Each class is split by
            itself.
        validation_size
            Fraction to validate and calibrate on; ``None`` for the rest.
        external_indexing
            A split of your own: rows of the training, validation and test cells. It is about
            labelled cells; all unlabelled ones are trained on.
        batch_size
            Labelled cells in a minibatch, and unlabelled ones.
        early_stopping
            Stop when the accuracy on validation cells no longer improves, once the weights of all
            terms have risen. By default they rise to the very end: with early stopping they do
            in the first half of the epochs, unless ``plan_kwargs`` say otherwise. In any case the
            weights of the network are those of the most accurate epoch after the rise.
        early_stopping_patience
            Epochs without improvement to wait for.
        random_state
            Seed of the split, the order of the cells, MixUp and dropout; ``None`` for that of the
            model.
        plan_kwargs
            Settings of :class:`~ace.model.scnym.Recipe` that replace the preset's.
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
            If an argument is out of range, the matrix holds NaN or infinite values, a class has
            no training cell, labels were renamed after the set-up, a minibatch has one labelled
            cell where batch normalisation needs two, or early stopping is enabled without
            validation cells.
        TypeError
            If ``plan_kwargs`` has unknown settings.
        """
        check_training(
            max_epochs=max_epochs,
            batch_size=batch_size,
            random_state=random_state,
        )
        recipe = recipe_of(preset, plan_kwargs or {})
        reader = self._reader()
        labels = self._given_labels()
        unlabelled = np.flatnonzero(labels < 0)
        seed = self.random_state_ if random_state is None else int(random_state)
        # A second training goes on with other numbers, not with the same ones again.
        rng = np.random.default_rng([seed, self._n_epochs_trained])
        if train_size is None and validation_size is not None:
            train_size = 1 - validation_size
        split = self._split(
            labels, train_size, validation_size, external_indexing, rng, default=(0.9, 0.1)
        )
        domains = self._domain_codes(labels)
        if not _differ(domains[np.union1d(split[0], unlabelled)]):
            recipe = replace(recipe, adversary_weight=0.0)  # nothing to tell apart
        if not (recipe.mixmatch or recipe.adversary_weight):
            unlabelled = unlabelled[:0]  # nothing is learned from them
        self._check_cells(labels, split, unlabelled)
        # Without a teacher, the network itself, in training mode, labels the unlabelled cells.
        asked = recipe.teacher_decay is None and (
            recipe.mixmatch or recipe.adversary_confident_only
        )
        self._check_minibatches(
            {"labelled": len(split[0]), "unlabelled": len(unlabelled) if asked else 0}, batch_size
        )
        self._require_finite(reader, np.concatenate([*split, unlabelled]))
        if not self.is_trained_:
            seen = np.union1d(split[0], unlabelled)
            self.module.set_scale(*learn_scale(reader, seen, None))
        data = LabelledAndUnlabelled(
            reader,
            {REGISTRY_KEYS.LABELS_KEY: labels, DOMAINS_KEY: domains},
            split,
            labels,
            unlabelled,
            recipe.balance,
            batch_size,
            rng,
        )
        n_steps = len(data.train_dataloader())
        n_epochs = max_epochs or recipe.max_epochs
        if n_epochs is None:
            # Without labels there is nothing to hold on to: go a short way.
            wanted = -(-N_STEPS // n_steps) if len(split[0]) else FEWEST_EPOCHS
            n_epochs = min(max(wanted, FEWEST_EPOCHS), MOST_EPOCHS)
        if early_stopping:
            recipe = recipe.rising_within(max(1, n_epochs // 2))
        plan = self._training_plan_cls(
            self.module,
            recipe,
            n_epochs=n_epochs,
            n_steps=n_steps,
            is_trained=self.is_trained_,
        )
        # Before its ramps are over, the training has not come to the unlabelled cells.
        settled = min(recipe.ramp_epochs(n_epochs, unlabelled=bool(len(unlabelled))), n_epochs - 1)
        was_trained = self.is_trained_
        self._fit(
            plan,
            data,
            seed=int(rng.integers(2**31)),
            max_epochs=n_epochs,
            early_stopping=early_stopping,
            monitor=MONITOR,
            mode="max",
            best=BestWeights(MONITOR, "max", first_epoch=settled, latest=True),
            trainer_kwargs={
                "accelerator": accelerator,
                "devices": devices,
                "early_stopping_patience": early_stopping_patience,
                "early_stopping_warmup_epochs": settled,
                **trainer_kwargs,
            },
        )
        if not restores_best(trainer_kwargs.get("callbacks")):
            self.module.load_state_dict(plan.teacher.state_dict())
        complete = np.isin(np.arange(len(self.labels)), labels[split[0]]).all()
        if not was_trained or (complete and len(split[1]) >= self.fewest_held_out):
            self._calibrate(reader, labels, batch_size)

    def _check_minibatches(self, sizes: dict[str, int], batch_size: int) -> None:
        """Raise if a minibatch would have a single cell, which batch normalisation cannot use."""
        if not any(isinstance(part, nn.BatchNorm1d) for part in self.module.modules()):
            return
        for kind, size in sizes.items():
            if min(size, batch_size) == 1:
                mend = "take batch_size=2 or more" if batch_size == 1 else f"add {kind} cells"
                raise ValueError(
                    f"each minibatch would hold one {kind} cell (batch_size={batch_size}, {size} "
                    f"{kind} cells to train on), and batch normalisation needs two: {mend}, or "
                    'build the model with normalization="layer".'
                )

    def _check_cells(
        self, labels: np.ndarray, split: tuple[np.ndarray, ...], unlabelled: np.ndarray
    ) -> None:
        """Raise before training if there is nothing to learn from."""
        if not len(split[0]) and not len(unlabelled):
            raise ValueError(
                "no cell has a label, and this preset learns nothing from cells without: train "
                'with preset="default".'
            )
        lost = np.setdiff1d(np.arange(len(self.labels)), labels[split[0]])
        if len(lost) and not self.is_trained_:
            raise ValueError(
                f"no training cell has the labels {listed(self.labels[lost])}: choose another "
                "split."
            )
