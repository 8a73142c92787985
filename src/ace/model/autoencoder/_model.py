"""ACE: an autoencoder with clusters that are explained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import torch
from scvi import REGISTRY_KEYS

from ace import _checks
from ace._docs import doc_params
from ace._threads import seeded
from ace.model.autoencoder import _texts
from ace.model.autoencoder._clusters import clusters_of
from ace.model.autoencoder._module import AceModule
from ace.model.autoencoder._plan import AceTrainingPlan
from ace.model.autoencoder._training import fit_clusters, prepare_training
from ace.model.base._fields import GenesField, LabelsField
from ace.model.base._gene_model import GeneModel
from ace.model.base._obs import n_categories, registered_codes, state_of
from ace.model.base._outputs import embedding_scorer, network_outputs
from ace.model.base._reader import row_numbers
from ace.model.base._scaling import SCALES
from ace.model.base._texts import BATCH_SIZE, CELLS
from ace.model.training._run import Prepared, Training, run_training

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from mudata import MuData
    from scvi.data.fields import AnnDataField

    from ace.explain import GroupScorer


@doc_params(parameters=_texts.INIT)
class ACE(GeneModel):
    r"""An autoencoder with an explainable clustering of its latent space :cite:p:`lu2021ace`.

    SAUCIE's autoencoder :cite:p:`amodio2019saucie` embeds log-normalised expression,
    :math:`z = f(x)`, and k-means clusters the latent space, optionally during training. Rewritten
    as a network (:class:`ace.nn.NeuralizedClustering`), the clusters are a differentiable function
    of the genes, which any method of :func:`ace.explain.methods` explains through
    :meth:`group_scorer`. With the weights :math:`\Lambda`, training minimises

    .. math::
        \frac{\sum_i \lVert x_i - g(f(x_i)) \rVert^2}{\sum_i \lVert x_i - \bar x \rVert^2}
        + \Lambda_\mathrm{batch}\, \mathrm{MMD}^2
        + \Lambda_\mathrm{cluster}\,
          \frac{\sum_{ic} \delta_{ic} \lVert z_i - \mu_c \rVert^2}
               {\sum_i \lVert z_i - \bar z \rVert^2}
        + \dots

    (Eq. 1 to 3). No term depends on the number of genes or on their units, so that weights are
    comparable between data sets.

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
    >>> ace.model.ACE.setup_anndata(adata)
    >>> model = ace.model.ACE(adata, n_clusters=5, n_hidden=(64, 32))
    >>> model.train(max_epochs=5, enable_progress_bar=False)
    >>> model.get_latent_representation().shape
    (700, 10)
    >>> adata.obs["ace"] = model.predict()
    >>> ace.tl.explain(adata, groupby="ace", model=model, n_prototypes=1)
    """

    revision = 1
    _batch_argument = "batch_key"
    _renamed = GeneModel._renamed | {"hidden": "n_hidden"}
    _module_cls = AceModule
    _training_plan_cls = AceTrainingPlan

    def __init__(
        self,
        adata: AnnData | MuData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        n_latent: int = 10,
        n_clusters: int | Literal["auto"] | None = None,
        n_hidden: int | Sequence[int] = (512, 256, 128),
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
        n_hidden = _checks.layers(n_hidden, "n_hidden")
        _checks.whole(n_latent, "n_latent", 1)
        _checks.whole(n_selected, "n_selected", 1, optional=True)
        if not (n_clusters is None or (isinstance(n_clusters, str) and n_clusters == "auto")):
            _checks.whole(n_clusters, "n_clusters", 2)
        _checks.number(dropout_rate, "dropout_rate", 0, 1, below=True)
        weights = {
            "batch": batch_weight,
            "cluster": cluster_weight,
            "id": id_weight,
            "distance": distance_weight,
        }
        for name, weight in weights.items():
            _checks.number(weight, f"{name}_weight")
        super().__init__(adata, registry, random_state=random_state)
        self.scale_ = scale
        self.weights_ = weights
        self._n_clusters = n_clusters
        #: Shape ``(n_clusters, n_latent)``; ``None`` without clusters.
        self.centroids_: np.ndarray | None = None
        self.cluster_names_: tuple[Any, ...] | None = None
        self.beta_: float | None = None
        with seeded(self.random_state_):
            self.module = self._module_cls(
                n_input=len(self.var_names),
                n_latent=n_latent,
                n_hidden=n_hidden,
                n_selected=n_selected,
                dropout_rate=dropout_rate,
                n_batches=n_categories(self, REGISTRY_KEYS.BATCH_KEY) if batch_weight else 1,
            )
        units = "-".join(str(n) for n in (len(self.var_names), *n_hidden, n_latent))
        self._model_summary_string = (
            f"ACE model: {units} units and back, n_selected {n_selected}, "
            f"n_clusters {n_clusters}, weights {weights}, scale {scale}"
        )
        self.init_params_ = self._get_init_params(locals())

    # -- set-up --------------------------------------------------------------------------------

    @classmethod
    @doc_params(setup=_texts.SETUP_ANNDATA)
    def setup_anndata(
        cls,
        adata: AnnData,
        *,
        layer: str | None = None,
        batch_key: str | None = None,
        labels_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Register the cells that a model is made for.

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
        *,
        modalities: dict[str, str],
        layer: str | None = None,
        batch_key: str | None = None,
        labels_key: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Register the cells of a MuData.

        Parameters
        ----------
        {setup}

        Examples
        --------
        >>> ACE.setup_mudata(mdata, modalities={"layer": "rna"})  # doctest: +SKIP
        """
        cls._set_up(mdata, cls._get_setup_method_args(**locals()), kwargs)

    @classmethod
    def _fields(
        cls, *, layer: str | None, batch_key: str | None, labels_key: str | None
    ) -> list[tuple[str, AnnDataField]]:
        fields: list[tuple[str, AnnDataField]] = [("layer", GenesField(layer))]
        if batch_key is not None:
            batches = LabelsField(REGISTRY_KEYS.BATCH_KEY, batch_key, min_classes=1)
            fields.append(("batch_key", batches))
        if labels_key is not None:
            fields.append(("labels_key", LabelsField(REGISTRY_KEYS.LABELS_KEY, labels_key)))
        return fields

    @property
    def batch_key(self) -> str | None:
        """Column of ``obs`` that the embedding is corrected for, if any."""
        state = state_of(self, REGISTRY_KEYS.BATCH_KEY)
        return None if state is None else state["original_key"]

    @property
    def labels_key(self) -> str | None:
        """Column of ``obs`` with known groups, if any."""
        state = state_of(self, REGISTRY_KEYS.LABELS_KEY)
        return None if state is None else state["original_key"]

    @property
    def _is_supervised(self) -> bool:
        return self.labels_key is not None and self._n_clusters is None

    # -- training ------------------------------------------------------------------------------

    @doc_params(parameters=_texts.TRAIN)
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

        A further call continues training, with the same scaling, genes and, unless another split
        is given, the same split; k-means starts from the current clusters.

        Parameters
        ----------
        {parameters}
        """
        _checks.whole(warmup_epochs, "warmup_epochs", 0, optional=True)
        run_training(self, Training.of(locals()), warmup_epochs=warmup_epochs)

    def _classes_to_split(self) -> np.ndarray:
        if self._is_supervised:  # every label needs training cells
            return registered_codes(self, REGISTRY_KEYS.LABELS_KEY)
        return super()._classes_to_split()

    def _prepare_training(self, training: Training, *, warmup_epochs: int | None) -> Prepared:
        return prepare_training(self, training, warmup_epochs)

    def _finish_training(self, training: Training, plan: AceTrainingPlan) -> None:
        fit_clusters(self, training.reader, plan.centroids, training.batch_size, training.rng)

    @property
    def _final_fits(self) -> str | None:  # type: ignore[override]
        has_clusters = self._is_supervised or self._n_clusters is not None
        return "clusters" if has_clusters else None

    def _run_final_fits(self) -> None:
        rng = np.random.default_rng(self.random_state_)
        fit_clusters(self, self._reader(), self.centroids_, None, rng)

    # -- clusters and reconstruction -----------------------------------------------------------

    @doc_params(cells=CELLS, batch_size=BATCH_SIZE)
    def predict(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        soft: bool = False,
        batch_size: int | None = None,
    ) -> np.ndarray | pd.DataFrame:
        r"""Assign each cell to a cluster.

        Parameters
        ----------
        {cells}
        soft
            Return probabilities instead of names.
        {batch_size}

        Returns
        -------
        Names of the clusters (``"0"`` is the largest), or labels, shape ``(n_cells,)``; or
        with ``soft=True`` a data frame cells × clusters of
        :math:`p_c = \mathrm{softmax}_c(-\beta \lVert z - \mu_c \rVert^2)` (Eq. 4), with
        :math:`\beta = 1 / 2\sigma^2` of the mean squared distance of cells to their centroid, per
        dimension.

        Raises
        ------
        RuntimeError
            If the model is not trained, or has no clusters.
        ValueError
            If genes are missing, or the matrix holds NaN or infinite values.
        """
        clusters = clusters_of(self)
        names = pd.Index(clusters.names).to_numpy()  # numeric labels stay numeric
        cells = self._cells(adata)
        rows = row_numbers(indices, cells.n_obs)
        logits = clusters.logits(self._embed(self._reader(adata), rows, batch_size))
        if not soft:
            return names[logits.argmax(dim=1).numpy()]
        p = torch.softmax(logits, dim=1).float().numpy()
        return pd.DataFrame(p, index=cells.obs_names[rows], columns=names)

    @doc_params(cells=CELLS, batch_size=BATCH_SIZE)
    def get_reconstruction(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        gene_list: Sequence[str] | None = None,
        batch_size: int | None = None,
    ) -> pd.DataFrame:
        """Return denoised expression, decoded from the latent representation.

        With ``batch_key``, it is batch-corrected as far as the latent space is.

        Parameters
        ----------
        {cells}
        gene_list
            Genes to return; ``None`` for all (a large, dense data frame).
        {batch_size}

        Returns
        -------
        Data frame cells × genes, float32, in the units of the matrix. The last layer of the
        decoder is linear, so values near zero may be slightly negative.

        Raises
        ------
        RuntimeError
            If the model is not trained.
        ValueError
            If genes are unknown or missing, or the matrix holds NaN or infinite values.
        TypeError
            If ``gene_list`` is a single name.
        """
        self._require_trained()
        if isinstance(gene_list, str):
            raise TypeError(f"gene_list takes several names: gene_list=[{gene_list!r}].")
        genes = list(self._feature_names if gene_list is None else gene_list)
        columns = _checks.gene_positions(pd.Index(self._feature_names), genes, "gene_list")
        cells = self._cells(adata)
        rows = row_numbers(indices, cells.n_obs)
        network = self.module

        def reconstruct(x: torch.Tensor) -> torch.Tensor:
            return network.reconstruct(x)[:, columns]

        values = network_outputs(
            network, reconstruct, len(genes), self._reader(adata), rows, batch_size
        )
        return pd.DataFrame(values.numpy(), index=cells.obs_names[rows], columns=genes)

    def selected_genes(self) -> pd.Index:
        """Genes that the encoder reads, ``n_selected`` in the order of the matrix.

        Raises
        ------
        RuntimeError
            If the model is not trained, or reads all genes.
        """
        self._require_trained()
        if self.module.selector is None:
            raise RuntimeError(
                "this ACE reads all genes: create it with ACE(adata, n_selected=256)."
            )
        return pd.Index(self.var_names[np.unique(self.module.selector.selected.cpu().numpy())])

    def _own_scorer(
        self, adata: AnnData | MuData | None, groupby: str | None, batch_size: int | None
    ) -> GroupScorer | None:
        if adata is not None:
            self._cells(adata)  # checks the type even if the cells are not read
        if groupby is not None:
            return None
        clusters = clusters_of(self)
        names = [str(name) for name in clusters.names]
        return embedding_scorer(self, clusters.neuralized(), names)
