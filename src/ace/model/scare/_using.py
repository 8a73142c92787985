"""What a trained SCARE is asked for as scvi-tools' models are."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from mudata import MuData
from scvi.model.base import ArchesMixin, RNASeqMixin, VAEMixin

from ace import _compat
from ace.model._training import seeded
from ace.model.scare._explaining import ExplainedScare

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    import numpy as np
    from anndata import AnnData


class TrainedScare(RNASeqMixin, VAEMixin, ArchesMixin, ExplainedScare):
    """The side of :class:`~ace.model.SCARE` that needs no training of its own."""

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
        """Embed cells: mean of the posterior, or its mean and variance.

        Parameters
        ----------
        adata
            Cells to embed; ``None`` for those of the model. Genes are matched by name.
        indices
            Rows (or a Boolean mask) to embed; ``None`` for all.
        give_mean
            Give the mean of the posterior, not a sample of it.
        mc_samples
            Unused; for the likes of :class:`scvi.model.SCVI`.
        batch_size
            Cells in a minibatch; ``None`` for ``scvi.settings.batch_size``.
        return_dist
            Give mean and variance.
        **kwargs
            ``dataloader``, as in scvi-tools.

        Returns
        -------
        Array of shape ``(n_cells, n_latent)``, or two of them.

        Raises
        ------
        RuntimeError
            If the model is not trained.
        KeyError
            If a column that the model reads is missing.
        ValueError
            If genes are missing, categories unknown, or the matrix holds NaN or infinite values.
        """
        self._require_trained()
        own = adata is None or adata is self.adata
        minified = own and self.minified_data_type is not None
        if not give_mean or return_dist or kwargs or minified:
            with seeded(self.random_state_):
                return VAEMixin.get_latent_representation(
                    self,
                    adata,
                    indices,
                    give_mean=give_mean,
                    batch_size=batch_size,
                    return_dist=return_dist,
                    **kwargs,
                )
        return self._means(adata, indices, batch_size)

    def minify_adata(self, *args: Any, **kwargs: Any) -> None:
        """Replace the counts of the model's AnnData by its latent space.

        See :meth:`scvi.model.base.BaseMinifiedModeModelClass.minify_adata`.

        Raises
        ------
        ValueError
            If the model was set up with a MuData, or learns the totals of cells.
        """
        if isinstance(self.adata, MuData):
            raise ValueError("only a model that was set up with an AnnData can be minified.")
        super().minify_adata(*args, **kwargs)

    @classmethod
    def load_query_data(cls, adata: AnnData | MuData, reference_model: Any, **kwargs: Any) -> Self:
        """Go on from a trained model with cells of new batches (scArches).

        Only what belongs to the new batches is trained by default, without weight decay, which
        would move the rest as well. The ground truth is that of the reference; where types are
        unknown, references of attributions are neighbours.

        Parameters
        ----------
        adata
            The new cells, with the genes of the model in any order and the columns that it
            reads; types may be missing.
        reference_model
            Trained model, or the folder it was saved to.
        **kwargs
            Passed on to :meth:`scvi.model.base.ArchesMixin.load_query_data`: ``unfrozen``, …

        Returns
        -------
        A model of the new cells, to be trained.

        Raises
        ------
        ValueError
            If genes are missing, or values are of another kind than those of the reference.
        """
        with warnings.catch_warnings():
            # It compares positions, while registration and reading go by name.
            warnings.filterwarnings("ignore", message=_compat.var_names_warning)
            model = super().load_query_data(adata, reference_model, **kwargs)
        model.weight_decay_ = 0.0
        return model
