"""What a trained ACE is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from ace import _checks
from ace.model.autoencoder._clusters import Clusters
from ace.model.autoencoder._setup import SetUpAce

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from mudata import MuData

    from ace.explain import GroupScorer
    from ace.model.autoencoder._module import AceModule


class TrainedAce(SetUpAce):
    """The side of :class:`~ace.model.ACE` that needs no training of its own."""

    module: AceModule
    #: Centroids of the clusters, shape ``(n_clusters, n_latent)``; ``None`` where there are none.
    centroids_: np.ndarray | None
    cluster_names_: tuple[Any, ...] | None
    beta_: float | None

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
        adata
            Cells to assign; ``None`` for those of the model. Genes are matched by name.
        indices
            Rows (or a Boolean mask) to assign; ``None`` for all.
        soft
            Give probabilities instead of names.
        batch_size
            Cells in a minibatch; ``None`` for ``scvi.settings.batch_size``.

        Returns
        -------
        Names of the clusters (``"0"`` is the largest), or labels, shape ``(n_cells,)``; or
        with ``soft=True`` a frame cells × clusters of
        :math:`p_c = \mathrm{softmax}_c(-\beta \lVert z - \mu_c \rVert^2)` (Eq. 4), with
        :math:`\beta = 1 / 2\sigma^2` of the mean squared distance to the own centroid, per
        dimension.

        Raises
        ------
        RuntimeError
            If the model is not trained, or has no clusters.
        ValueError
            If genes are missing, or the matrix holds NaN or infinite values.
        """
        clusters = self._clusters()
        names = pd.Index(clusters.names).to_numpy()  # labels that are numbers stay numbers
        cells = self._cells(adata)
        rows = self._rows(indices, cells.n_obs)
        # In double precision: a stiff assignment would magnify the rounding of a product that
        # depends on the cells beside each cell.
        z = torch.from_numpy(self._embed(self._reader(adata), rows, batch_size)).double()
        logits = clusters.neuralized().double().group_logits(z)
        if soft:
            return pd.DataFrame(
                torch.softmax(logits, dim=1).float().numpy(),
                index=cells.obs_names[rows],
                columns=names,
            )
        return names[logits.argmax(dim=1).numpy()]

    def _clusters(self) -> Clusters:
        self._require_trained()
        if self.is_unfinished_:
            raise RuntimeError(
                "this ACE was saved in the middle of its training, before its clusters were "
                "fitted: load it with the cells that it was trained on, adata=..., to fit them."
            )
        if self.centroids_ is None or self.cluster_names_ is None or self.beta_ is None:
            raise RuntimeError(
                "this ACE has no clusters: make it with ACE(adata, n_clusters=8) or "
                "n_clusters='auto', or set up labels_key; or pass groupby to explain other groups."
            )
        return Clusters(self.centroids_, self.cluster_names_, self.beta_)

    def get_reconstruction(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        gene_list: Sequence[str] | None = None,
        batch_size: int | None = None,
    ) -> pd.DataFrame:
        """Give denoised expression: what the decoder makes of the latent representation.

        Where ``batch_key`` was set up, it is corrected as far as the latent space is.

        Parameters
        ----------
        adata
            Cells to reconstruct; ``None`` for those of the model.
        indices
            Rows (or a Boolean mask); ``None`` for all.
        gene_list
            Genes to give; ``None`` for all (a dense frame: mind its size).
        batch_size
            Cells in a minibatch; ``None`` for ``scvi.settings.batch_size``.

        Returns
        -------
        Frame cells × genes, float32, in the units of the matrix. The decoder is linear in the end:
        where there is next to no expression it may give small negative values.

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
        rows = self._rows(indices, cells.n_obs)
        network = self.module

        def reconstruct(x: torch.Tensor) -> torch.Tensor:
            return network.reconstruct(x)[:, columns]

        values = self._outputs(reconstruct, len(genes), self._reader(adata), rows, batch_size)
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
                "this ACE reads all genes: make it with ACE(adata, n_selected=256)."
            )
        return pd.Index(self.var_names[np.unique(self.module.selector.selected.cpu().numpy())])

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
            Column of ``obs``: any grouping, described by prototypes in the latent space.
            ``None``: the model's own clusters.
        n_prototypes
            Prototypes of each group of ``groupby``; 1 is the mean of its cells, as in the paper.
            See :func:`ace.explain.fit_clustering`.
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
            If the model is not trained, or has no clusters of its own and no others are given.
        KeyError
            If the column does not exist.
        ValueError
            If the grouping has missing values or fewer than two groups.
        """
        self._require_trained()
        if adata is not None:
            self._cells(adata)  # of the right kind, also where it is not read
        if groupby is None:
            clusters = self._clusters()
            names = tuple(str(name) for name in clusters.names)
            return self._embedding_scorer(clusters.neuralized(), names)
        return self._prototype_scorer(
            adata,
            self._column(adata, groupby),
            n_prototypes=n_prototypes,
            batch_size=batch_size,
            random_state=random_state,
        )
