"""Methods of a trained SCARE that scvi-tools' models have too."""

from __future__ import annotations

import warnings
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any

from mudata import MuData
from scvi.model.base import ArchesMixin, RNASeqMixin, VAEMixin

from ace import _compat
from ace._threads import seeded
from ace.model.scare._explaining import ExplainedScare

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    import numpy as np
    import pandas as pd
    from anndata import AnnData
    from torch import Tensor


class TrainedScare(RNASeqMixin, VAEMixin, ArchesMixin, ExplainedScare):
    """Methods of :class:`~ace.model.SCARE` for trained models."""

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
            Ignored; for compatibility with :class:`scvi.model.SCVI`.
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
    def load(
        cls,
        dir_path: str | PathLike[str],
        adata: AnnData | MuData | bool | None = None,
        *args: Any,
        target: Callable[[Tensor], Tensor] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Load a saved model.

        Loading executes no code from the files, unless ``allow_pickle`` is set.

        Parameters
        ----------
        dir_path
            Folder that :meth:`save` wrote.
        adata
            AnnData to attach to the model, with its genes in any order. ``None`` takes the one
            saved with the model; ``False`` attaches none.
        *args
            As in :meth:`ace.model.KRATOS.load`: ``accelerator``, ``device``, ``prefix``.
        target
            The function that was the model's ``target``, which is not saved in files. It is
            needed to train the model and to compute attributions.
        **kwargs
            As in :meth:`ace.model.KRATOS.load`: ``allow_pickle``, …

        Returns
        -------
        The model, in evaluation mode.

        Raises
        ------
        ValueError
            If the model's ``target`` is not a function, or as in
            :meth:`ace.model.KRATOS.load`.
        TypeError
            If ``target`` is not a function.
        """
        if target is not None and not callable(target):
            raise TypeError(f"target must be the function of the model, got {target!r}.")
        with _compat.unchanged_on_error(cls, None if isinstance(adata, bool) else adata):
            model = super().load(dir_path, adata, *args, **kwargs)
            if target is not None:
                model._take_target(target)
        return model

    def _take_target(self, target: Callable[[Tensor], Tensor]) -> None:
        """Set the function used as target, which is not saved in files."""
        if not callable(self._settings.target):
            raise ValueError(
                f"the model was made with target={self._settings.target!r}: leave target out."
            )
        self._settings = replace(self._settings, target=target)
        self.init_params_["non_kwargs"]["target"] = target

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
            reads; types may be missing. If loading fails, it is left as it was.
        reference_model
            Trained model, or the folder it was saved to.
        **kwargs
            Passed on to :meth:`scvi.model.base.ArchesMixin.load_query_data`: ``unfrozen``, …

        Returns
        -------
        A model of the new cells, to be trained.

        Raises
        ------
        KeyError
            If ``adata`` lacks columns that the model reads.
        ValueError
            If genes are missing, values are of another kind than those of the reference, or
            batches are of another type than those of the model, such as strings instead of
            numbers.
        """
        with warnings.catch_warnings(), _compat.unchanged_on_error(cls, adata):
            # It compares positions, while registration and reading go by name.
            warnings.filterwarnings("ignore", message=_compat.var_names_warning)
            model = super().load_query_data(adata, cls._as_model(reference_model), **kwargs)
        model.weight_decay_ = 0.0
        return model

    @classmethod
    def prepare_query_anndata(
        cls, adata: AnnData, reference_model: Any, *args: Any, **kwargs: Any
    ) -> AnnData | pd.Index | None:
        """Reorder cells to the genes of a model, for methods that match genes by position.

        See :meth:`scvi.model.base.ArchesMixin.prepare_query_anndata`. The methods of this class
        do not need it: they find genes by name.
        """
        return ArchesMixin.prepare_query_anndata(
            adata, cls._as_model(reference_model), *args, **kwargs
        )

    @classmethod
    def prepare_query_mudata(
        cls, mdata: MuData, reference_model: Any, *args: Any, **kwargs: Any
    ) -> MuData | dict[str, pd.Index] | None:
        """Reorder cells to the genes of a model, for methods that match genes by position.

        See :meth:`scvi.model.base.ArchesMixin.prepare_query_mudata`.
        """
        return ArchesMixin.prepare_query_mudata(
            mdata, cls._as_model(reference_model), *args, **kwargs
        )

    @classmethod
    def _as_model(cls, model: Any) -> Any:
        """Load a model from a folder, if a path is given."""
        return cls.load(model, adata=False) if isinstance(model, str | PathLike) else model
