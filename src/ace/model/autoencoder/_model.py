"""The user's side of ACE: what it is made of and how it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scvi import REGISTRY_KEYS
from scvi.train import TrainRunner

from ace import _checks, _compat
from ace._threads import seeded
from ace.model.autoencoder._clusters import Clusters
from ace.model.autoencoder._module import AceModule
from ace.model.autoencoder._plan import AceTrainingPlan
from ace.model.autoencoder._recluster import Recluster
from ace.model.autoencoder._using import TrainedAce
from ace.model.base._scaling import SCALES, learn_scale, scaled_moments
from ace.model.training._fit import check_training, plan_options
from ace.model.training._loaders import SplitCells
from ace.model.training._training import resolve_seed
from ace.model.training._transaction import all_or_nothing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from mudata import MuData

    from ace.model.base._reader import MatrixReader

#: Passes over the cells, up to 20 000 of them, and the least number of steps.
MAX_EPOCHS = 30
MIN_STEPS = 600


class ACE(TrainedAce):
    r"""An autoencoder whose latent space is clustered, and explained :cite:p:`lu2021ace`.

    SAUCIE's autoencoder :cite:p:`amodio2019saucie` embeds log-normalised expression,
    :math:`z = f(x)`; k-means divides the latent space, and joins in the training. Rewritten as a
    network (:class:`ace.nn.NeuralizedClustering`), the clusters are a differentiable function of
    the genes, which any method of :func:`ace.explain.methods` explains through
    :meth:`group_scorer`. With :math:`\Lambda` for the weights below, training minimises

    .. math::
        \frac{\sum_i \lVert x_i - g(f(x_i)) \rVert^2}{\sum_i \lVert x_i - \bar x \rVert^2}
        + \Lambda_\mathrm{batch}\, \mathrm{MMD}^2
        + \Lambda_\mathrm{cluster}\,
          \frac{\sum_{ic} \delta_{ic} \lVert z_i - \mu_c \rVert^2}
               {\sum_i \lVert z_i - \bar z \rVert^2}
        + \dots

    (Eq. 1 to 3). No term depends on the number of genes or on units, so that a weight means the
    same for all data.

    Parameters
    ----------
    adata
        AnnData set up with :meth:`setup_anndata`, or MuData set up with :meth:`setup_mudata`.
    registry
        Registry of a saved model; used by :meth:`load`.
    n_latent
        Dimensions of the latent space.
    n_clusters
        Number of clusters. ``None``: the labels, if ``labels_key`` was set up, else none.
        ``"auto"``: of largest silhouette from 2 to 20.
    hidden
        Units of the encoder's hidden layers; the decoder mirrors them. A number is one layer.
    n_selected
        Read only so many genes, chosen in the first half of the training by a concrete selection
        layer (:class:`ace.nn.ConcreteSelector`); the published runs chose 256. ``None``: all.
    dropout_rate
        Fraction of the (scaled) values of a cell that the encoder does not get to see in
        training: it must learn what genes have in common, not each cell by heart. Without, as
        SAUCIE has it, the reconstruction of cells that were not trained on soon gets worse.
    batch_weight
        Pull of the batches towards each other, where ``batch_key`` was set up. More mixes them
        better, and at last types that differ between batches too. 0: no correction.
    cluster_weight
        Pull of the cells towards the centroid of their cluster (or label), once the first half
        of the training (``warmup_epochs``) is over. More makes clusters tighter, and holds on to
        those that were found at its start, right or wrong. 0: k-means on the finished embedding
        (or the mean of each label), which agreed at least as well with the known types on the
        sets of the benchmarks; 0.1 is a good first value to try.
    id_weight
        SAUCIE's information dimension: entropy of the units of the decoder's first layer, as a
        share of the largest that there can be. More makes the cells share fewer active units.
    distance_weight
        SAUCIE's intracluster distance: between reconstructions of cells with the same active
        units. Has an effect only with ``id_weight``, which makes them the same.
    scale
        Scaling of each gene, learned from the training cells and saved with the weights:
        ``"zscore"``, ``"minmax"`` to [0, 1] as SAUCIE has it, or ``None``: genes that vary much
        then count more than genes that are mostly noise. A gene that is constant in the training
        cells is ignored afterwards.
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
    >>> ace.model.ACE.setup_anndata(adata)
    >>> model = ace.model.ACE(adata, n_clusters=5, hidden=(64, 32))
    >>> model.train(max_epochs=5, enable_progress_bar=False)
    >>> model.get_latent_representation().shape
    (700, 10)
    >>> adata.obs["ace"] = model.predict()
    >>> ace.tl.explain(adata, groupby="ace", model=model, n_prototypes=1)
    """

    _module_cls = AceModule
    _training_plan_cls = AceTrainingPlan
    _train_runner_cls = TrainRunner

    def __init__(
        self,
        adata: AnnData | MuData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        n_latent: int = 10,
        n_clusters: int | Literal["auto"] | None = None,
        hidden: int | Sequence[int] = (512, 256, 128),
        n_selected: int | None = None,
        dropout_rate: float = 0.5,
        batch_weight: float = 1.0,
        cluster_weight: float = 0.0,
        id_weight: float = 0.0,
        distance_weight: float = 0.0,
        scale: Literal["minmax", "zscore"] | None = None,
        random_state: int | None = None,
    ) -> None:
        _checks.one_of(scale, "scale", SCALES)
        hidden = _checks.layers(hidden, "hidden")
        _checks.whole(n_latent, "n_latent", 1)
        _checks.whole(n_selected, "n_selected", 1, optional=True)
        if not (n_clusters is None or (isinstance(n_clusters, str) and n_clusters == "auto")):
            _checks.whole(n_clusters, "n_clusters", 2)
        _checks.number(dropout_rate, "dropout_rate", 0, 1, below=True)
        _checks.whole(random_state, "random_state", 0, _checks.LARGEST_SEED, optional=True)
        weights = {
            "batch": batch_weight,
            "cluster": cluster_weight,
            "id": id_weight,
            "distance": distance_weight,
        }
        for name, weight in weights.items():
            _checks.number(weight, f"{name}_weight")
        super().__init__(adata, registry)
        self.scale_ = scale
        self.weights_ = weights
        self._n_clusters = n_clusters
        self.random_state_ = resolve_seed(random_state)
        self.split_fingerprint_: str | None = None
        self.centroids_: np.ndarray | None = None
        self.cluster_names_: tuple[Any, ...] | None = None
        self.beta_: float | None = None
        with seeded(self.random_state_):
            self.module = self._module_cls(
                n_input=len(self.var_names),
                n_latent=n_latent,
                hidden=hidden,
                n_selected=n_selected,
                dropout_rate=dropout_rate,
                n_batches=self._n_batches if batch_weight else 1,
            )
        units = "-".join(str(n) for n in (len(self.var_names), *hidden, n_latent))
        self._model_summary_string = (
            f"ACE model: {units} units and back, n_selected {n_selected}, "
            f"n_clusters {n_clusters}, weights {weights}, scale {scale}"
        )
        self.init_params_ = self._get_init_params(locals())

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
        batch_size: int = 128,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        warmup_epochs: int | None = None,
        early_stopping: bool = False,
        early_stopping_patience: int = 20,
        random_state: int | None = None,
        plan_kwargs: dict[str, Any] | None = None,
        **trainer_kwargs: Any,
    ) -> None:
        """Train the autoencoder, then cluster its latent space.

        Called again, it continues with the same scaling, genes and, unless another split is asked
        for, the same split; k-means goes on from the clusters found before.

        Parameters
        ----------
        max_epochs
            Passes over the training cells. ``None``: 30, fewer above 20 000 cells
            (30 · 20 000 / n), more where these would be less than 600 minibatches.
        accelerator
            Lightning's name of the hardware.
        devices
            Devices to train on, as in Lightning. With several (``devices=2, strategy="ddp"``),
            each minibatch is split between them; see :ref:`several-processes`.
        train_size
            Fraction of the cells to train on; ``None`` for 0.9.
        validation_size
            Fraction to validate on; ``None`` for the rest.
        external_indexing
            A split of your own: rows of the training, validation and test cells. Cells may be
            left out of it.
        batch_size
            Cells in a minibatch.
        lr
            Learning rate of Adam.
        weight_decay
            Weight decay of Adam.
        warmup_epochs
            Epochs before the clusters join in, with a ``cluster_weight``; ``None`` for half.
        early_stopping
            Stop when the validation loss no longer improves. Off by default: the loss changes
            its meaning when the clusters join in.
        early_stopping_patience
            Epochs without improvement to wait for.
        random_state
            Seed of the split, the order of the cells and the choice of genes; ``None`` for that of
            the model.
        plan_kwargs
            Further arguments of :class:`~ace.model.autoencoder.AceTrainingPlan`.
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
            If an argument is out of range, the matrix holds NaN or infinite values, batches are
            unknown, labels are without training cells, or early stopping is asked for without
            validation cells or while genes are being chosen.
        """
        check_training(
            max_epochs=max_epochs,
            batch_size=batch_size,
            random_state=random_state,
            lr=lr,
            weight_decay=weight_decay,
        )
        if warmup_epochs is not None and warmup_epochs < 0:
            raise ValueError(f"warmup_epochs must not be negative, got {warmup_epochs}.")
        reader = self._reader()
        batches, labels = (
            self._registered_codes(key)
            for key in (REGISTRY_KEYS.BATCH_KEY, REGISTRY_KEYS.LABELS_KEY)
        )
        seed = self.random_state_ if random_state is None else int(random_state)
        # A second training goes on with other numbers, not with the same ones again.
        rng = np.random.default_rng([seed, self._n_epochs_trained])
        if train_size is None and validation_size is not None:
            train_size = 1 - validation_size
        split = self._split(
            # With labels each of them is split by itself, so that none is without training cells.
            labels if self._is_supervised else np.zeros(len(reader), np.int64),
            train_size,
            validation_size,
            external_indexing,
            rng,
            default=(0.9, 0.1),
        )
        # Without a correction all cells are of one batch.
        corrects = self.batch_key is not None and self.weights_["batch"] > 0
        batches = batches if corrects else np.zeros_like(batches)
        weights = self.weights_ | ({} if corrects else {"batch": 0.0})
        self._check_cells(split, batches, labels if self._is_supervised else None)
        if early_stopping and self.module.selects:
            raise ValueError(
                "early stopping would end the training while genes are still being chosen: pass "
                "early_stopping=False, or train again with it afterwards."
            )
        if not self.is_trained_:
            offset, factor = learn_scale(reader, split[0], self.scale_)
            n_batches = len(self.module.batch_offset)
            self.module.set_scale(offset, factor)
            self.module.set_moments(
                *scaled_moments(reader, split[0], offset, factor, batches, n_batches)
            )
        if max_epochs is None:
            max_epochs = _compat.get_max_epochs_heuristic(len(split[0]), epochs_cap=MAX_EPOCHS)
            max_epochs = max(max_epochs, -(-MIN_STEPS // -(-len(split[0]) // batch_size)))
        codes = {REGISTRY_KEYS.BATCH_KEY: batches, REGISTRY_KEYS.LABELS_KEY: labels}
        recluster = None
        if self._is_supervised or self._n_clusters is not None:
            n_clusters = None if self._is_supervised else self._n_clusters
            recluster = Recluster(self, reader, split[0], labels, n_clusters, batch_size, rng)
        plan = self._training_plan_cls(
            self.module,
            weights,
            recluster=recluster,
            warmup_epochs=max_epochs // 2 if warmup_epochs is None else warmup_epochs,
            **plan_options(self._training_plan_cls, plan_kwargs, lr=lr, weight_decay=weight_decay),
        )
        if self.is_trained_ and not self._is_supervised:
            plan.centroids = self.centroids_  # where the clusters were
        self._fit(
            plan,
            SplitCells(reader, codes, split, batch_size, rng),
            seed=int(rng.integers(2**31)),
            max_epochs=max_epochs,
            early_stopping=early_stopping,
            monitor="validation_loss",
            best=None,  # the first epochs, without clusters, would win
            trainer_kwargs={
                "accelerator": accelerator,
                "devices": devices,
                "early_stopping_patience": early_stopping_patience,
                **trainer_kwargs,
            },
        )
        if recluster is not None:
            self._settle(recluster, plan.centroids, reader, batch_size)

    def _settle(
        self,
        recluster: Recluster,
        centroids: np.ndarray | None,
        reader: MatrixReader,
        batch_size: int | None,
    ) -> None:
        """Fix the clusters in the finished latent space."""
        centroids, codes = recluster(centroids)
        cells = self.train_indices
        z = self._embed(reader, cells, batch_size)
        if self._is_supervised:
            clusters = Clusters.of(z, centroids, self._label_names(), codes[cells])
        else:
            clusters = Clusters.by_size(z, centroids, codes[cells])
        # Plain attributes: a saved model does not depend on a class of ours.
        self.centroids_, self.cluster_names_ = clusters.centroids, clusters.names
        self.beta_ = clusters.beta
        self.is_unfinished_ = False

    @property
    def _fitted_at_end(self) -> str | None:
        has_clusters = self._is_supervised or self._n_clusters is not None
        return "its clusters were" if has_clusters else None

    def _finish(self) -> None:
        reader, labels = self._reader(), self._registered_codes(REGISTRY_KEYS.LABELS_KEY)
        rng = np.random.default_rng(self.random_state_)
        n_clusters = None if self._is_supervised else self._n_clusters
        recluster = Recluster(self, reader, self.train_indices, labels, n_clusters, None, rng)
        self._settle(recluster, self.centroids_, reader, None)
