"""The base of all models: genes matched by name, a latent space, training and saving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scvi import REGISTRY_KEYS
from scvi.data import AnnDataManager
from scvi.model.base import BaseModelClass
from scvi.train import TrainRunner

from ace import _compat
from ace._checks._objects import annotated, is_mudata
from ace._docs import doc_params
from ace.explain import fit_clustering
from ace.model.base import _texts
from ace.model.base._obs import grouping_of
from ace.model.base._outputs import BATCH_CHECKED, embedding_scorer, groups_of, network_outputs
from ace.model.base._reader import row_numbers
from ace.model.base._reading import cells_of, reader_of
from ace.model.base._setup import set_up
from ace.model.saving._saving import load_model, read_registry, save_model
from ace.model.training._training import resolve_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike
    from typing import Self

    import pandas as pd
    from anndata import AnnData
    from mudata import MuData
    from scvi.data.fields import AnnDataField

    from ace.explain import GroupScorer
    from ace.model.base._reader import MatrixReader
    from ace.model.training._run import Prepared, Training


class GeneModel(BaseModelClass):
    """Base of the models, which matches genes by name.

    Methods read any AnnData that has the genes of the model, in any order and format.
    A model implements ``_fields``, ``_prepare_training`` and ``_own_scorer``; its module has
    ``embed``, from unscaled expression to the latent space, and ``n_latent``.

    Parameters
    ----------
    adata, registry
        AnnData or MuData that was set up, or the registry of a saved model.
    random_state
        Seed; ``None`` for ``scvi.settings.seed``, or 0 if that is not set.
    """

    #: Increased whenever results for the same data and seed change.
    revision: ClassVar[int]
    #: Whether the model reads counts; other models warn about counts.
    _expects_counts: ClassVar[bool] = False
    #: Argument of the set-up with the batches in which the values are checked.
    _batch_argument: ClassVar[str | None] = None
    #: Default fractions of training and validation cells.
    _default_split: ClassVar[tuple[float, float]] = (0.9, 0.1)
    #: What is fitted to the trained network at the end of training, for messages.
    _final_fits: str | None = None
    #: Current names of arguments and attributes in the files of earlier versions.
    _renamed: ClassVar[dict[str, str]] = {
        "split_fingerprint_": "_split_fingerprint_",
        "split_eligible_": "_split_eligible_",
        "is_unfinished_": "_is_unfinished_",
    }
    _train_runner_cls = TrainRunner

    module: Any
    registry_: dict[str, Any]
    #: Identifies the cells that the rows of the split refer to; ``None`` before training.
    _split_fingerprint_: str | None = None
    #: Identifies the cells that could be split: those with labels.
    _split_eligible_: str | None = None
    #: Whether the model was saved during training, before the final fits.
    _is_unfinished_: bool = False

    def __init__(
        self,
        adata: AnnData | MuData | None = None,
        registry: dict[str, Any] | None = None,
        *,
        random_state: int | None = None,
    ) -> None:
        if adata is not None and not is_mudata(adata):
            annotated(adata)
        if adata is not None and _compat.is_copy_of_registered(type(self), adata):
            raise ValueError(
                "this AnnData is a copy of the one that was set up. Set up the copy too: "
                f"{type(self).__name__}.setup_anndata(adata, ...)."
            )
        super().__init__(adata, registry)
        self.random_state_ = resolve_seed(random_state)

    # -- set-up --------------------------------------------------------------------------------

    @classmethod
    def _fields(cls, *args: Any, **arguments: Any) -> list[tuple[str, AnnDataField]]:
        """Return the fields to register, each with the argument of the set-up that names it."""
        raise NotImplementedError

    @classmethod
    def _check_columns(
        cls, obs_of: Callable[[str], pd.DataFrame], arguments: dict[str, Any], **kwargs: Any
    ) -> None:
        """Check columns before anything is written; ``obs_of`` an argument is its ``obs``."""

    @classmethod
    def _set_up(cls, *args: Any) -> None:
        """Register the fields: the body of ``setup_anndata`` and ``setup_mudata``."""
        set_up(cls, *args)

    # -- genes and cells -----------------------------------------------------------------------

    @property
    def _x_field(self) -> dict[str, Any]:
        return self.registry_["field_registries"][REGISTRY_KEYS.X_KEY]

    @property
    def var_names(self) -> np.ndarray:
        """Genes of the model, in its order."""
        return self._x_field["state_registry"]["column_names"]

    @property
    def _feature_names(self) -> tuple[str, ...]:
        return tuple(str(gene) for gene in self.var_names)

    def get_var_names(self, legacy_mudata_format: bool = False) -> Any:
        """Genes of the model as they are saved: by modality if it was set up with a MuData."""
        if self._modality is None or legacy_mudata_format:
            return self.var_names
        return {self._modality: self.var_names}

    @property
    def input_layer(self) -> str | None:
        """Layer that the model reads, ``None`` for ``X``."""
        return self._x_field["data_registry"].get("attr_key")

    @property
    def _modality(self) -> str | None:
        return self._x_field["data_registry"].get("mod_key")

    def _cells(self, adata: AnnData | MuData | None) -> AnnData:
        """Return the AnnData that is read: that of a modality, or the model's own."""
        return cells_of(self, adata)

    def _reader(self, adata: AnnData | MuData | None = None) -> MatrixReader:
        """Return a reader of the cells in the model's gene order, after checking their values."""
        return reader_of(self, adata)

    def _require_trained(self) -> None:
        if not self.is_trained_:
            raise RuntimeError(f"this {type(self).__name__} is not trained: call train() first.")

    @property
    def unlabeled_category(self) -> Any:
        """Value of cells without a label, ``None`` if every cell has one."""
        return None

    # -- training ------------------------------------------------------------------------------

    def _classes_to_split(self) -> np.ndarray:
        """Return the class of each cell to stratify the split by; negative to leave it out."""
        return np.zeros(self._cells(None).n_obs, dtype=np.int64)

    def _prepare_training(self, training: Training, *args: Any, **options: Any) -> Prepared:
        """Return the training plan and the minibatches; scale the input at the first training."""
        raise NotImplementedError

    def _finish_training(self, training: Training, plan: Any) -> None:
        """Fit what depends on the trained network."""

    def _run_final_fits(self) -> None:
        """Fit the same for a model that was saved during training."""

    @property
    def _n_epochs_trained(self) -> int:
        history = self.history_ if isinstance(self.history_, dict) else {}
        return len(history.get("train_loss", ()))

    def _sample_outputs(self, rows: np.ndarray) -> None:
        """Compute the outputs that the model's methods return, for some cells."""
        self.get_latent_representation(indices=rows, batch_size=BATCH_CHECKED)

    # -- latent space and scorers --------------------------------------------------------------

    @doc_params(
        cells=_texts.CELLS,
        batch_size=_texts.BATCH_SIZE,
        errors=_texts.READING_ERRORS,
        warnings=_texts.READING_WARNINGS,
    )
    def get_latent_representation(
        self,
        adata: AnnData | MuData | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
        *,
        batch_size: int | None = None,
    ) -> np.ndarray:
        """Embed cells.

        Parameters
        ----------
        {cells}
        {batch_size}

        Returns
        -------
        Latent representation, float32, shape ``(n_cells, n_latent)``: the latent space of an
        autoencoder, the activations of the last hidden layer of a classifier.

        Raises
        ------
        {errors}

        Warns
        -----
        {warnings}
        """
        self._require_trained()
        reader = self._reader(adata)
        return self._embed(reader, row_numbers(indices, len(reader)), batch_size)

    def _embed(
        self, reader: MatrixReader, rows: np.ndarray, batch_size: int | None = None
    ) -> np.ndarray:
        network = self.module
        return network_outputs(
            network, network.embed, network.n_latent, reader, rows, batch_size
        ).numpy()

    @doc_params(scorer=_texts.GROUP_SCORER)
    def group_scorer(
        self,
        adata: AnnData | MuData | None = None,
        groupby: str | None = None,
        *,
        n_prototypes: int | None = None,
        batch_size: int | None = None,
        random_state: int = 0,
    ) -> GroupScorer:
        """Return a differentiable score of each group, which :func:`ace.tl.explain` explains.

        {scorer}
        """
        self._require_trained()
        own = self._own_scorer(adata, groupby, batch_size)
        if own is not None:
            return own
        if groupby is None:
            raise ValueError("this model has no groups of its own: pass groupby, a column of obs.")
        codes, names = groups_of(grouping_of(self, adata, groupby))
        clustering = fit_clustering(
            self.get_latent_representation(adata, batch_size=batch_size),
            codes,
            n_prototypes=n_prototypes,
            random_state=random_state,
        )
        return embedding_scorer(self, clustering, names, refits=True)

    def _own_scorer(
        self, adata: AnnData | MuData | None, groupby: str | None, batch_size: int | None
    ) -> GroupScorer | None:
        """Return the scorer of the model's own groups, ``None`` if the grouping is another one."""
        raise NotImplementedError

    # -- saving --------------------------------------------------------------------------------

    @doc_params(save=_texts.SAVE)
    def save(
        self,
        dir_path: str | PathLike[str],
        prefix: str | None = None,
        overwrite: bool = False,
        save_anndata: bool = False,
        save_kwargs: dict[str, Any] | None = None,
        legacy_mudata_format: bool = False,
        datamodule: None = None,
        **anndata_write_kwargs: Any,
    ) -> None:
        """Save the model.

        {save}
        """
        if save_kwargs or datamodule is not None:
            raise ValueError(
                "save_kwargs and datamodule must be left out: the model is not written by "
                "torch.save, and was not made from a datamodule."
            )
        save_model(
            self,
            dir_path,
            prefix,
            overwrite=overwrite,
            save_anndata=save_anndata,
            write_kwargs=anndata_write_kwargs,
        )

    @classmethod
    @doc_params(load=_texts.LOAD)
    def load(
        cls,
        dir_path: str | PathLike[str],
        adata: AnnData | MuData | bool | None = None,
        accelerator: str = "auto",
        device: int | str = "auto",
        prefix: str | None = None,
        *,
        allow_pickle: bool = False,
        **kwargs: Any,
    ) -> Self:
        """Load a saved model; no code in its files is executed, unless ``allow_pickle`` is set.

        {load}
        """
        further = kwargs.pop("allowed_classes_names_list", None) or ()
        for name, value in kwargs.items():
            if name not in ("backup_url", "datamodule"):
                raise TypeError(f"load() has no argument {name!r}.")
            if value is not None:
                raise ValueError(f"{name} must be left out: pass the folder of a saved model.")
        return load_model(
            cls,
            dir_path,
            adata,
            prefix,
            hardware=(accelerator, device),
            allow_pickle=allow_pickle,
            class_names=(cls.__name__, *further),
        )

    @staticmethod
    def load_registry(dir_path: str | PathLike[str], prefix: str | None = None) -> dict[str, Any]:
        """Return the registry of a saved model; ``dir_path`` and ``prefix`` as in :meth:`load`."""
        return read_registry(dir_path, prefix)

    @staticmethod
    def view_setup_args(dir_path: str | PathLike[str], prefix: str | None = None) -> None:
        """Print the arguments that a saved model was set up with; see :meth:`load`."""
        AnnDataManager.view_setup_method_args(read_registry(dir_path, prefix))

    @classmethod
    def convert_legacy_save(cls, *args: Any, **kwargs: Any) -> None:
        """Not supported: all models of this package are newer than scvi-tools 0.15."""
        raise NotImplementedError(
            "no model of ace was saved in the format of scvi-tools before 0.15. To convert a "
            f"model.pt, load it with {cls.__name__}.load(path, allow_pickle=True) and save it."
        )
