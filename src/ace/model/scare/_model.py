"""SCARE: a variational autoencoder whose latent space depends on chosen genes."""

from __future__ import annotations

import functools
import warnings
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
from scvi.model.base import ArchesMixin, BaseMinifiedModeModelClass, RNASeqMixin, VAEMixin

from ace import _checks, _compat
from ace._checks._objects import annotated
from ace._docs import doc_params
from ace._threads import seeded
from ace.explain import EmbeddingScorer, fit_clustering
from ace.model.adapter import LatentSpaceAdapter
from ace.model.base._gene_model import GeneModel
from ace.model.base._obs import grouping_of, obs_of
from ace.model.base._outputs import groups_of, network_outputs
from ace.model.base._reader import row_numbers
from ace.model.base._texts import BATCH_SIZE
from ace.model.saving._document import encode
from ace.model.scare import _attribution, _texts
from ace.model.scare._cell_attributions import attribute_cells, mean_shares
from ace.model.scare._copied_cells import attach, in_gene_order
from ace.model.scare._covariates import ENCODER_FIELDS, check_columns, fields_of, read_covariates
from ace.model.scare._ground_truth import check_terms, has_truth_by_cell, named
from ace.model.scare._loss import latent_blocks, settings_of, terms_of
from ace.model.scare._module import ScareModule, check_options, sizes_of
from ace.model.scare._plan import ScareTrainingPlan, prepare
from ace.model.training._run import Training, run_training
from ace.model.training._split import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    import torch
    from anndata import AnnData
    from mudata import MuData

    from ace.explain import GroupScorer
    from ace.model.scare._ground_truth import GroundTruth
    from ace.model.training._run import Prepared


@doc_params(**_texts.INIT)
class SCARE(RNASeqMixin, VAEMixin, ArchesMixin, GeneModel, BaseMinifiedModeModelClass):
    r"""A variational autoencoder whose latent space depends on chosen genes.

    scARE :cite:p:`inecik2023scare` adds to the loss of scVI :cite:p:`lopez2018scvi` a term for the
    genes that the latent space depends on (Eq. 4),

    .. math:: L = w_R L_R + w_D L_D + w_A L_A .

    For the attribution loss :math:`L_A`, a scalar :math:`F` of the latent representation of each
    cell is attributed to the genes, :math:`x_i = \log(1 + k_i)` with counts :math:`k_i`, along the
    path from a reference cell :math:`x'` (Eq. 6),

    .. math:: a_i = (x_i - x'_i) \, \frac{\partial F(x' + \alpha (x - x'))}{\partial x_i},
              \quad \alpha \sim U(0, 1).

    The attributions are scaled to [0, 1] and compared with the *ground truth*
    :math:`g_i \in \{0, 1\}`, the genes that the latent space should depend on. The
    :doc:`user guide </user_guide/scare>` compares the choices.

    Parameters
    ----------
    {data}
    {choices}
    {random_state}
    **vae_kwargs
        Further arguments of :class:`scvi.module.VAE`, such as ``dispersion``.

    Raises
    ------
    KeyError, TypeError, ValueError
        If the ground truth or an argument is invalid, or ``adata`` was not set up.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.model.SCARE.setup_anndata(adata, layer="counts")
    >>> model = ace.model.SCARE(adata, ground_truth=["CD74", "HLA-DRA", "CD79A"])
    >>> model.train(max_epochs=3, enable_progress_bar=False)
    >>> model.get_latent_representation().shape
    (700, 20)
    """

    revision: ClassVar[int] = 1
    _module_cls = ScareModule
    _training_plan_cls = ScareTrainingPlan
    _expects_counts: ClassVar[bool] = True
    _batch_argument: ClassVar[str | None] = "batch_key"
    _renamed: ClassVar[dict[str, str]] = GeneModel._renamed | {"weight_decay_": "_weight_decay_"}
    _LATENT_QZM_KEY = "scare_latent_qzm"
    _LATENT_QZV_KEY = "scare_latent_qzv"

    module: ScareModule
    #: Last copy of other cells that a method of scvi-tools has read.
    _copied: AnnData | MuData | None = None
    #: Default weight decay; 0 for a query, as it would change the weights of the reference.
    _weight_decay_: float = 1e-6

    def __init__(
        self,
        adata: AnnData | MuData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        ground_truth: Any = None,
        disjoint: bool = False,
        attribution: _attribution.Attribution = "expected_gradients",
        target: _attribution.Target | Callable[[torch.Tensor], torch.Tensor] = "distance",
        transform: _attribution.Transform | None = None,
        loss: _attribution.Loss = "share",
        reference: _attribution.Reference | None = None,
        combine: _attribution.Combine = "sum",
        n_latent: int = 20,
        n_hidden: int = 128,
        n_layers: int = 1,
        dropout_rate: float = 0.1,
        gene_likelihood: Literal["nb", "zinb", "poisson"] = "nb",
        use_observed_lib_size: bool = True,
        random_state: int | None = None,
        **vae_kwargs: Any,
    ) -> None:
        _attribution.check_choices(attribution, target, transform, loss, reference, combine)
        network = {
            "n_latent": n_latent,
            "n_hidden": n_hidden,
            "n_layers": n_layers,
            "dropout_rate": dropout_rate,
            "gene_likelihood": gene_likelihood,
        }
        check_options(**network, **vae_kwargs)
        super().__init__(adata, registry, random_state=random_state)
        if ground_truth is not None:
            # A saved ground truth holds names of genes, and ``adata`` may hold other cells.
            cells = None if self.adata is None or registry is not None else self._cells(None)
            has_labels = self.labels_key is not None
            ground_truth = named(ground_truth, cells, self.var_names, has_labels=has_labels)
        self._ground_truth: list[GroundTruth] = ground_truth or []
        self._disjoint, self._combine = disjoint, combine
        #: Loss of ground truths without a loss of their own, and all losses in use.
        self.loss_ = loss
        self.losses_ = sorted({truth.loss or loss for truth in self._ground_truth} or {loss})
        self._settings = settings_of(
            attribution,
            target,
            transform,
            reference,
            loss=loss,
            losses=self.losses_,
            has_labels=self.labels_key is not None,
        )
        # The model is saved with the resolved choices, not with ``None``.
        transform, reference = self._settings.transform, self._settings.reference
        check_terms(
            self._ground_truth,
            loss=loss,
            transform=transform,
            target=target,
            n_divided=n_latent if disjoint else None,
        )
        #: Identifies the cells of a ground truth by cell.
        self.ground_truth_cells_: str | None = None
        if has_truth_by_cell(self._ground_truth) and self.adata is not None:
            self.ground_truth_cells_ = fingerprint(self.adata)
        with seeded(self.random_state_):
            sizes = sizes_of(self, use_observed_lib_size)
            self.module = self._module_cls(
                **sizes, **network, **{"encode_covariates": True} | vae_kwargs
            )
        self.module.minified_data_type = self.minified_data_type
        if registry is None:
            terms_of(self)  # raises if a category is not one of the labels
        self._model_summary_string = (
            f"SCARE model: {', '.join(f'{k} {v}' for k, v in network.items())}, "
            f"{len(self._ground_truth)} ground truths ({attribution} of "
            f"{getattr(target, '__name__', target)}, {transform}, {loss})"
        )
        self.init_params_ = self._get_init_params(locals())
        encode(vae_kwargs, "vae_kwargs", {})  # raises if the model could not be saved

    # -- set-up --------------------------------------------------------------------------------

    _fields = staticmethod(fields_of)
    _check_columns = staticmethod(check_columns)

    @classmethod
    @doc_params(**_texts.SETUP_ANNDATA)
    def setup_anndata(
        cls,
        adata: AnnData,
        *,
        layer: str | None = None,
        batch_key: str | None = None,
        labels_key: str | None = None,
        size_factor_key: str | None = None,
        categorical_covariate_keys: list[str] | None = None,
        continuous_covariate_keys: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Register the cells that a model is made for.

        Parameters
        ----------
        adata
            AnnData; codes of its categories are added to ``obs``, and the matrix is not changed.
        {columns}
        {kwargs}

        Raises
        ------
        {errors}

        Warns
        -----
        UserWarning
            If the values are not whole numbers.
        """
        setup_method_args = cls._get_setup_method_args(**locals())
        kind = _compat.minified_type(annotated(adata))
        latent = [] if kind is None else cls._get_fields_for_adata_minification(kind)
        cls._set_up(adata, setup_method_args, kwargs, latent)

    @classmethod
    @doc_params(**_texts.SETUP_MUDATA)
    def setup_mudata(
        cls,
        mdata: MuData,
        *,
        modalities: dict[str, str],
        layer: str | None = None,
        batch_key: str | None = None,
        labels_key: str | None = None,
        size_factor_key: str | None = None,
        categorical_covariate_keys: list[str] | None = None,
        continuous_covariate_keys: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        """Register the cells of a MuData.

        Parameters
        ----------
        mdata
            MuData.
        {modalities}
        {columns}
        {kwargs}

        Raises
        ------
        {errors}

        Examples
        --------
        >>> SCARE.setup_mudata(mdata, modalities={"layer": "rna"})  # doctest: +SKIP
        """
        cls._set_up(mdata, cls._get_setup_method_args(**locals()), kwargs)

    @property
    def labels_key(self) -> str | None:
        """Column of ``obs`` with the type of each cell, if one was set up."""
        return self.registry_["setup_args"].get("labels_key")

    @property
    def batch_key(self) -> str | None:
        """Column of ``obs`` with the batch of each cell, if one was set up."""
        return self.registry_["setup_args"].get("batch_key")

    # -- reading cells -------------------------------------------------------------------------

    def _covariates(self, adata: AnnData | MuData | None) -> dict[str, np.ndarray]:
        """Return the registered columns of cells by registry key."""
        registries = self.registry_["field_registries"]
        return read_covariates(
            registries, lambda key: obs_of(self, adata, key), type(self).__name__
        )

    @property
    def adata(self) -> AnnData | MuData | None:
        """Cells of the model."""
        return self._adata

    @adata.setter
    def adata(self, adata: AnnData | MuData) -> None:
        attach(self, adata)

    def _validate_anndata(
        self, adata: AnnData | MuData | None = None, copy_if_view: bool = True
    ) -> AnnData | MuData:
        """Return cells in the gene order of the model, for methods that read by position."""
        validate = functools.partial(super()._validate_anndata, copy_if_view=copy_if_view)
        return in_gene_order(self, adata, validate)

    def _require_genes(self, adata: AnnData | MuData | None) -> None:
        """Raise if the model's own cells are used, and these are minified."""
        if self.minified_data_type is not None and (adata is None or adata is self.adata):
            raise ValueError(
                "the model's AnnData is minified and holds no counts: pass the full AnnData, "
                "`adata=...`."
            )

    @property
    def latent_blocks(self) -> dict[str, slice]:
        """Latent dimensions of each ground truth by its name: all of them unless ``disjoint``."""
        names = [str(truth.name) for truth in self._ground_truth]
        return latent_blocks(names, self.module.n_latent, self._disjoint)

    # -- training ------------------------------------------------------------------------------

    @doc_params(**_texts.TRAIN)
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

        A second call continues the training, on the same split unless another one is given.

        Parameters
        ----------
        max_epochs
            Passes over the training cells. ``None``: 50 for up to 20 000 cells, 50 · 20 000 / n
            for more, and at least 1000 minibatches.
        {hardware}
        {sizes}
        {external_indexing}
        batch_size
            Cells in a minibatch.
        {adam}
        early_stopping
            Stop when the evidence lower bound of the validation cells no longer improves, once
            all terms of the loss have their full weight.
        {patience}
        random_state
            Seed; ``None`` for that of the model.
        {plan}
        {trainer}

        Raises
        ------
        {errors}
        ValueError
            If an argument is out of range, or the cells cannot be read.
        """
        self._require_genes(None)
        run_training(self, Training.of(locals()))

    def _prepare_training(self, training: Training, **options: Any) -> Prepared:
        return prepare(self, training)

    # -- latent space and genes ----------------------------------------------------------------

    @doc_params(**_texts.READING)
    def get_latent_representation(  # type: ignore[override]
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        give_mean: bool = True,
        mc_samples: int = 5000,
        batch_size: int | None = None,
        return_dist: bool = False,
        **kwargs: Any,
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Embed cells.

        Parameters
        ----------
        {cells}
        give_mean
            Return the mean of the posterior; ``False`` for a sample.
        mc_samples
            Not used; exists for compatibility with :class:`scvi.model.SCVI`.
        {batch_size}
        return_dist
            Return mean and variance of the posterior.
        **kwargs
            ``dataloader``, as in scvi-tools.

        Returns
        -------
        Array of shape ``(n_cells, n_latent)``, or two of them.

        Raises
        ------
        {errors}
        """
        self._require_trained()
        own = adata is None or adata is self.adata
        minified = own and self.minified_data_type is not None
        if give_mean and not (return_dist or kwargs or minified):
            return self._means(adata, indices, batch_size)
        kwargs |= {"give_mean": give_mean, "batch_size": batch_size, "return_dist": return_dist}
        with seeded(self.random_state_):
            return VAEMixin.get_latent_representation(self, adata, indices, **kwargs)

    def _means(
        self,
        adata: AnnData | MuData | None,
        indices: Sequence[int] | np.ndarray | None = None,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Return the means of the posterior, ``(n_cells, n_latent)``."""
        reader, covariates = self._reader(adata), self._covariates(adata)
        return network_outputs(
            self.module,
            self.module.embed,
            self.module.n_latent,
            reader,
            row_numbers(indices, len(reader)),
            batch_size,
            [covariates.get(key) for key in ENCODER_FIELDS],
        ).numpy()

    @doc_params(cells=_texts.ATTRIBUTED, batch_size=BATCH_SIZE)
    def get_attributions(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        dimension: int | None = None,
        absolute: bool = True,
        n_samples: int = 10,
        batch_size: int | None = None,
        random_state: int | None = None,
    ) -> pd.DataFrame:
        r"""Attribute the latent space to the genes in each cell (Eq. 5 and 6).

        Uses the attribution, the target and the references of the model. The attributions have
        the unit of :math:`F`, per unit of :math:`x = \log(1 + \text{counts})`.

        Parameters
        ----------
        {cells}
        dimension
            Latent dimension to attribute instead of the model's target.
        absolute
            Average absolute attributions. ``False`` for signed ones, for a single dimension.
        n_samples
            Number of random draws to average.
        {batch_size}
        random_state
            Seed of the draws; ``None`` for that of the model.

        Returns
        -------
        Dense data frame, cells × genes, float32.

        Raises
        ------
        RuntimeError
            If the model is not trained.
        ValueError
            If an argument is out of range, or the cells cannot be read.
        """
        self._require_trained()
        self._require_genes(adata)
        values, names = attribute_cells(
            self,
            adata,
            indices,
            dimension=dimension,
            absolute=absolute,
            n_samples=n_samples,
            batch_size=batch_size,
            seed=self.random_state_ if random_state is None else random_state,
        )
        return pd.DataFrame(values, index=names, columns=list(self._feature_names))

    def top_attributed_genes(self, n: int, **kwargs: Any) -> pd.Index:
        """Return the genes that the latent space depends on most, most important first.

        Genes are ranked by their share of the absolute attribution of a cell, averaged over the
        cells. With ``ground_truth=[]`` and ``loss="excess"``, they are a selection of probes.

        Parameters
        ----------
        n
            Number of genes.
        **kwargs
            Passed to :meth:`get_attributions`: ``adata``, ``indices``, ``n_samples``,
            ``batch_size``, ``random_state``.

        Raises
        ------
        RuntimeError, ValueError
            As in :meth:`get_attributions`, or if ``n`` is larger than the number of genes.
        """
        _checks.whole(n, "n", 1, len(self.var_names))
        values = self.get_attributions(**kwargs | {"absolute": True, "dimension": None})
        shares = mean_shares(values.to_numpy())
        return pd.Index(self.var_names[np.argsort(-shares, kind="stable")[:n]])

    @doc_params(batch_size=BATCH_SIZE)
    def group_scorer(
        self,
        adata: AnnData | MuData | None = None,
        groupby: str | None = None,
        *,
        n_prototypes: int | None = None,
        batch_size: int | None = None,
        random_state: int = 0,
    ) -> GroupScorer:
        r"""Return a differentiable score of each group, which :func:`ace.tl.explain` explains.

        The scorer takes log-normalised expression, :math:`x = \log(1 + 10^4 k / n)` of counts
        :math:`k` with total :math:`n`, and the *context* of each cell: its total, batch and
        covariates. It has its own copy of the weights and is in evaluation mode.

        Parameters
        ----------
        adata
            Cells with the grouping; ``None`` for those of the model.
        groupby
            Column of ``obs``, described by prototypes in the latent space; ``None`` for the
            labels that were set up.
        n_prototypes
            Prototypes per group, see :func:`ace.explain.fit_clustering`.
        {batch_size}
        random_state
            Seed of the choice of ``n_prototypes``.

        Returns
        -------
        A scorer whose ``feature_names`` are the model's genes, in the model's order.

        Raises
        ------
        RuntimeError
            If the model is not trained.
        KeyError, ValueError
            If there is no such column, or it has missing values or fewer than two groups.
        """
        self._require_trained()
        self._require_genes(adata)
        groupby = self.labels_key if groupby is None else groupby
        if groupby is None:
            raise ValueError("no labels were set up (labels_key): name the groups, groupby=....")
        codes, names = groups_of(grouping_of(self, adata, groupby))
        means = self._means(adata, batch_size=batch_size)
        clustering = fit_clustering(
            means, codes, n_prototypes=n_prototypes, random_state=random_state
        )
        embedding = LatentSpaceAdapter(self, self.adata if adata is None else adata).embedding
        scorer = EmbeddingScorer(embedding, clustering, names, self._feature_names, refits=True)
        return scorer.to(self.device).eval().requires_grad_(False)

    # -- saved models and queries --------------------------------------------------------------

    @classmethod
    def load(
        cls,
        dir_path: str | PathLike[str],
        adata: AnnData | MuData | bool | None = None,
        *args: Any,
        target: Callable[[torch.Tensor], torch.Tensor] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Load a saved model; see :meth:`ace.model.KRATOS.load`.

        Parameters
        ----------
        dir_path
            Folder that :meth:`save` wrote.
        adata
            AnnData to attach to the model; ``None`` for the one saved with it, ``False`` for none.
        *args, **kwargs
            As in :meth:`ace.model.KRATOS.load`: ``accelerator``, ``device``, ``prefix``, …
        target
            The ``target`` of the model if it is a function, which is not saved. It is needed to
            train the model and to compute attributions.

        Raises
        ------
        TypeError, ValueError
            If ``target``, or that of the model, is not a function; or as in
            :meth:`ace.model.KRATOS.load`.
        """
        if target is not None and not callable(target):
            raise TypeError(f"target must be the function of the model, got {target!r}.")
        with _compat.unchanged_on_error(cls, None if isinstance(adata, bool) else adata):
            model = super().load(dir_path, adata, *args, **kwargs)
            if target is None:
                return model
            if not callable(model._settings.target):
                raise ValueError(
                    f"the model was created with target={model._settings.target!r}: leave "
                    "target out."
                )
            model._settings = replace(model._settings, target=target)
            model.init_params_["non_kwargs"]["target"] = target
        return model

    @classmethod
    def load_query_data(cls, adata: AnnData | MuData, reference_model: Any, **kwargs: Any) -> Self:
        """Continue from a trained model with cells of new batches (scArches).

        By default, only the weights of the new batches are trained, without weight decay. If
        types are unknown, the references of attributions are neighbours.

        Parameters
        ----------
        adata
            The new cells, with the genes and columns that the model reads; types may be missing.
            Unchanged if loading fails.
        reference_model
            Trained model, or the folder it was saved to.
        **kwargs
            Passed to :meth:`scvi.model.base.ArchesMixin.load_query_data`: ``unfrozen``, …

        Returns
        -------
        A model of the new cells, to be trained.

        Raises
        ------
        KeyError, ValueError
            If columns or genes are missing, or values or batches are of another kind than in the
            reference.
        """
        with warnings.catch_warnings(), _compat.unchanged_on_error(cls, adata):
            # It compares positions of genes, while this model matches names.
            warnings.filterwarnings("ignore", message=_compat.var_names_warning)
            model = super().load_query_data(adata, cls._as_model(reference_model), **kwargs)
        model._weight_decay_ = 0.0
        return model

    @classmethod
    def prepare_query_anndata(cls, adata: AnnData, reference_model: Any, **kwargs: Any) -> Any:
        """Reorder genes; see :meth:`scvi.model.base.ArchesMixin.prepare_query_anndata`."""
        return super().prepare_query_anndata(adata, cls._as_model(reference_model), **kwargs)

    @classmethod
    def prepare_query_mudata(cls, mdata: MuData, reference_model: Any, **kwargs: Any) -> Any:
        """Reorder genes; see :meth:`scvi.model.base.ArchesMixin.prepare_query_mudata`."""
        return super().prepare_query_mudata(mdata, cls._as_model(reference_model), **kwargs)

    @classmethod
    def _as_model(cls, model: Any) -> Any:
        return cls.load(model, adata=False) if isinstance(model, str | PathLike) else model

    def minify_adata(self, *args: Any, **kwargs: Any) -> None:
        """Replace counts by latent values, as in :class:`scvi.model.SCVI`.

        Raises
        ------
        ValueError
            If the model was set up with a MuData, or learns the totals of cells.
        """
        if self._modality is not None:
            raise ValueError("only a model that was set up with an AnnData can be minified.")
        super().minify_adata(*args, **kwargs)
