"""The user's side of SCARE: what it is made of and how it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.sparse as sp

from ace import _checks
from ace._threads import seeded
from ace.model.saving._document import encode
from ace.model.scare._attribution import (
    ATTRIBUTIONS,
    COMBINES,
    LOSSES,
    REFERENCES,
    TRANSFORMS,
)
from ace.model.scare._choices import (
    check_choices,
    check_network,
    check_target,
    default_weight,
)
from ace.model.scare._ground_truth import named
from ace.model.scare._loss import AttributionSettings
from ace.model.scare._module import ScareModule
from ace.model.scare._plan import ScareTrainingPlan
from ace.model.scare._using import TrainedScare
from ace.model.training._loaders import SplitCells
from ace.model.training._run import Prepared, Training, run_training
from ace.model.training._split import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anndata import AnnData
    from mudata import MuData
    from torch import Tensor

    from ace.model.scare._attribution import (
        Attribution,
        Combine,
        Loss,
        Reference,
        Target,
        Transform,
    )
    from ace.model.scare._ground_truth import GroundTruth

#: Passes over the cells, up to 20 000 of them, and the least number of steps.
MAX_EPOCHS = 50
MIN_STEPS = 1000
#: Share of the epochs before the attribution loss joins in.
WARMUP = 0.2


class SCARE(TrainedScare):
    r"""A variational autoencoder that listens to the genes you choose :cite:p:`inecik2023scare`.

    scVI's model :cite:p:`lopez2018scvi`, a negative binomial variational autoencoder that is told
    the batch of each cell in encoder and decoder, with a further loss on what its latent space
    depends on,

    .. math:: L = w_R L_R + w_D L_D + w_A L_A

    (Eq. 4). For :math:`L_A` a scalar :math:`F` of each cell's latent representation is attributed
    to the genes, :math:`x_i = \log(1 + k_i)` of counts, along the way from a reference cell
    :math:`x'` (Eq. 6),

    .. math:: a_i = (x_i - x'_i) \, \frac{\partial F(x' + \alpha (x - x'))}{\partial x_i},
              \quad \alpha \sim U(0, 1),

    brought into [0, 1], and compared with the *ground truth* :math:`g_i \in \{0, 1\}`: the genes
    that the latent space should depend on. Within each cell type, cells then lie by the chosen
    genes (:func:`ace.tl.fssf`).

    Parameters
    ----------
    adata
        AnnData set up with :meth:`setup_anndata`, or MuData set up with :meth:`setup_mudata`.
    registry
        Registry of a saved model; used by :meth:`load`.
    ground_truth
        Genes to listen to: names; a Boolean column of ``adata.var``; a dict from categories of
        ``labels_key`` to names, so that each type has its own; a Boolean array or sparse matrix
        cells × genes; a :class:`~ace.model.GroundTruth` or several. ``None``: scVI's model.
    disjoint
        Keep several ground truths apart: each gets latent dimensions of its own, which its genes
        alone are to fill, and the rest is free. See :attr:`latent_blocks`.
    attribution
        ``"expected_gradients"`` (Eq. 6) or ``"integrated_gradients"`` (Eq. 5, from the zero cell,
        which costs many times as much).
    target
        The scalar :math:`F`. ``"distance"``: the latent mean in the direction from the reference
        to the cell, :math:`F(x) = z(x)^\top u` with :math:`u` the unit vector along
        :math:`z(x) - z(x')`, held fixed, so that the attributions divide the distance of the two
        among the genes. ``"random_projection"``: the latent means
        with random signs, new for each cell and step, so that all directions are constrained. As
        published: ``"encoder_sum"``, the sum of the latent means, which constrains one direction;
        ``"encoder_norm"``, their squared norm; ``"decoder_sum"``, the sum over the genes of
        :math:`\log(1 + \mu)` of the decoder's means (which themselves add up to the cell's
        total). Or a function from latent means ``(n_cells, n_latent)`` to ``(n_cells,)``; it is
        not saved with the model, so pass it again to :meth:`load`.
    transform
        How attributions are brought into [0, 1]: their squares or absolute values as shares of
        the cell's sum, ``"square_share"`` or ``"abs_share"``, or as published ``"abs_minmax"`` or
        ``"sigmoid"``. ``None``: ``"square_share"`` for ``loss="share"``, else ``"abs_minmax"``.
    loss
        ``"share"`` (the part of the attribution on other genes), or as published ``"mse"`` or
        ``"mae"``; ``"excess"`` punishes attribution where the ground truth is 0 and nothing
        else: with no genes as the ground truth, ``[]``, it selects few genes
        (:meth:`selected_genes`).
    reference
        Where references of expected gradients are drawn from: ``"minibatch"``, as published;
        ``"label"``, the cells of the same type, so that what separates the types may be any
        gene; ``"neighbor"``, the nearest in the latent space. ``None``: by label if ``labels_key``
        was set up, else neighbours; any cell for ``loss="excess"``.
    combine
        Several ground truths: ``"sum"`` or ``"square_sum"`` of their losses.
    n_latent
        Dimensions of the latent space.
    n_hidden
        Units of a hidden layer.
    n_layers
        Hidden layers of encoder and decoder.
    dropout_rate
        Dropout in the encoder.
    gene_likelihood
        ``"nb"``, ``"zinb"`` or ``"poisson"``.
    use_observed_lib_size
        Take each cell's total as its size factor; ``False``: an encoder of its own learns it.
    random_state
        Seed of the initial weights, and of :meth:`train` unless it is given its own. ``None``
        takes ``scvi.settings.seed``, or 0 if that is not set.
    **vae_kwargs
        Further arguments of :class:`scvi.module.VAE`, such as ``dispersion`` (by gene, batch or
        cell). The encoder reads ``log1p`` of counts and one-hot batches, and the latent space is
        normal: these cannot be chosen.

    Raises
    ------
    ValueError
        If an argument is out of range, genes are unknown, or ``adata`` was not set up.
    KeyError
        If a column of ``var`` does not exist.
    TypeError
        If the type of the ground truth is not supported, or an argument cannot be saved.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k()
    >>> ace.model.SCARE.setup_anndata(adata, layer="counts")
    >>> model = ace.model.SCARE(adata, ground_truth=["CD74", "HLA-DRA", "CD79A"])
    >>> model.train(max_epochs=3, enable_progress_bar=False)
    >>> adata.obsm["X_scare"] = model.get_latent_representation()
    >>> adata.obsm["X_scare"].shape
    (700, 20)
    """

    _module_cls = ScareModule
    _training_plan_cls = ScareTrainingPlan
    revision = 1

    def __init__(
        self,
        adata: AnnData | MuData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        ground_truth: Any = None,
        disjoint: bool = False,
        attribution: Attribution = "expected_gradients",
        target: Target | Callable[[Tensor], Tensor] = "distance",
        transform: Transform | None = None,
        loss: Loss = "share",
        reference: Reference | None = None,
        combine: Combine = "sum",
        n_latent: int = 20,
        n_hidden: int = 128,
        n_layers: int = 1,
        dropout_rate: float = 0.1,
        gene_likelihood: Literal["nb", "zinb", "poisson"] = "nb",
        use_observed_lib_size: bool = True,
        random_state: int | None = None,
        **vae_kwargs: Any,
    ) -> None:
        for value, name, allowed in (
            (attribution, "attribution", ATTRIBUTIONS),
            (transform, "transform", (None, *TRANSFORMS)),
            (loss, "loss", LOSSES),
            (reference, "reference", (None, *REFERENCES)),
            (combine, "combine", COMBINES),
            (gene_likelihood, "gene_likelihood", ("nb", "zinb", "poisson")),
        ):
            _checks.one_of(value, name, allowed)
        check_target(target)
        check_network(vae_kwargs)
        sizes = {"n_latent": n_latent, "n_hidden": n_hidden, "n_layers": n_layers}
        for name, number in sizes.items():
            _checks.whole(number, name, 1)
        _checks.number(dropout_rate, "dropout_rate", 0, 1, below=True)
        super().__init__(adata, registry, random_state=random_state)
        if reference is None:
            reference = self._default_reference(loss)
        if ground_truth is not None:
            # Of a saved model it is known already, and these may be other cells.
            cells = None if self.adata is None or registry is not None else self._cells(None)
            ground_truth = named(
                ground_truth, cells, self.var_names, has_labels=self.labels_key is not None
            )
        #: Losses of the ground truths, each once.
        self.losses_ = sorted({truth.loss or loss for truth in ground_truth or []} or {loss})
        if transform is None:
            transform = "square_share" if self.losses_ == ["share"] else "abs_minmax"
        check_choices(
            ground_truth or [],
            loss=loss,
            transform=transform,
            target=target,
            n_blocks=n_latent if disjoint else None,
        )
        if reference == "label" and self.labels_key is None:
            raise ValueError(
                'reference="label" needs the type of each cell: set up labels_key, or take '
                'reference="neighbor".'
            )
        self.loss_, self._combine = loss, combine
        self._ground_truth: list[GroundTruth] = ground_truth or []
        self._disjoint = disjoint
        #: Which cells a ground truth by cell is of.
        self.ground_truth_cells_: str | None = None
        if (
            any(sp.issparse(truth.genes) for truth in self._ground_truth)
            and self.adata is not None
        ):
            self.ground_truth_cells_ = fingerprint(self.adata)
        self._settings = AttributionSettings(attribution, target, transform, reference)
        with seeded(self.random_state_):
            self.module = self._module_cls(
                **self._sizes(use_observed_lib_size),
                **sizes,
                dropout_rate=dropout_rate,
                gene_likelihood=gene_likelihood,
                use_observed_lib_size=use_observed_lib_size,
                **{"encode_covariates": True} | vae_kwargs,
            )
        self.module.minified_data_type = self.minified_data_type
        if registry is None:
            self._attribution_terms()  # raises if a category is none of the labels
        self._model_summary_string = (
            f"SCARE model: {', '.join(f'{k} {n}' for k, n in sizes.items())}, "
            f"gene_likelihood {gene_likelihood}, {len(self._ground_truth)} ground truths "
            f"({attribution} of {getattr(target, '__name__', target)}, {transform}, {loss})"
        )
        self.init_params_ = self._get_init_params(locals())
        encode(vae_kwargs, "vae_kwargs", {})  # raises if the model could not be saved

    def _default_reference(self, loss: Loss) -> Reference:
        if loss == "excess":  # a panel of genes is to tell the types apart as well
            return "minibatch"
        return "neighbor" if self.labels_key is None else "label"

    # -- training ------------------------------------------------------------------------------

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
        lr: float | None = None,
        weight_decay: float | None = None,
        early_stopping: bool = False,
        early_stopping_patience: int = 20,
        random_state: int | None = None,
        plan_kwargs: dict[str, Any] | None = None,
        **trainer_kwargs: Any,
    ) -> None:
        """Train the model.

        Called again, it continues, with the same split unless another one is asked for.

        Parameters
        ----------
        max_epochs
            Passes over the training cells. ``None``: 50, fewer above 20 000 cells
            (50 · 20 000 / n), more where these would be less than 1000 minibatches.
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
        lr, weight_decay
            Learning rate and weight decay of Adam; ``None`` for 0.001 and 1e-6 (0 for a query).
        early_stopping
            Stop when the evidence lower bound of the validation cells no longer improves, once
            all terms of the loss have joined in and have their weight: in the first half, unless
            ``plan_kwargs`` say otherwise.
        early_stopping_patience
            Epochs without improvement to wait for.
        random_state
            Seed of the split, the order of the cells and all that is drawn; ``None`` for that of
            the model.
        plan_kwargs
            Arguments of :class:`~ace.model.scare.ScareTrainingPlan`: ``attribution_weight``
            (``None`` or absent: for ``loss="share"`` 200 with references by label and 60 with
            others; 20 000 for the other losses, which are means over all genes; 0 is the plain
            model), ``attribution_warmup_epochs`` (a fifth of the epochs),
            ``reconstruction_weight``, ``kl_weight``, ``kl_warmup_epochs`` (all epochs, half of
            them with early stopping), …
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
            If an argument is out of range, the matrix holds negative, NaN or infinite values, a
            category is unknown, or early stopping is asked for without validation cells.
        """
        self._require_genes(None)
        run_training(self, Training.of(locals()))

    def _prepare_training(self, training: Training) -> Prepared:
        reader, split = training.reader, training.split
        covariates = self._covariates(None)
        reader.require_finite(np.concatenate(split))
        max_epochs = training.epochs(MAX_EPOCHS, MIN_STEPS)
        settings = training.plan_options(
            self._training_plan_cls,
            attribution_weight=None,
            weight_decay=self.weight_decay_,
            attribution_warmup_epochs=0 if self.is_trained_ else int(WARMUP * max_epochs),
            kl_warmup_epochs=0
            if self.is_trained_
            else max_epochs // (1 + training.early_stopping),
        )
        if settings["attribution_weight"] is None:
            settings["attribution_weight"] = (
                default_weight(self.losses_, self._settings.reference)
                if self._ground_truth
                else 0.0
            )
        if settings["attribution_weight"] and not self._ground_truth:
            raise ValueError(
                "an attribution_weight is of no use without a ground truth: make the model with "
                f"{type(self).__name__}(adata, ground_truth=[...])."
            )
        plan = self._training_plan_cls(
            self.module, self._attribution_loss() if self._ground_truth else None, **settings
        )
        data = SplitCells(reader, covariates, split, training.batch_size, training.rng)
        warmup = max(settings["attribution_warmup_epochs"], settings["kl_warmup_epochs"])
        # The weights of the last epoch are kept: the terms reach their weights only then.
        return Prepared(plan, data, max_epochs, monitor="validation_elbo", warmup_epochs=warmup)

    def _finish_training(self, training: Training, plan: ScareTrainingPlan) -> None:
        self.module.eval()
