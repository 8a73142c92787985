"""Save models as data without code, and load them."""

from __future__ import annotations

import re
import secrets
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anndata as ad
from anndata import AnnData
from mudata import MuData
from scvi.data import AnnDataManager
from scvi.model.base import BaseModelClass

from ace import _compat
from ace._objects import annotated, is_mudata
from ace._warn import warn
from ace.model.saving import _model_file
from ace.model.saving._model_file import FILE_NAME, SavedModel
from ace.model.saving._model_folder import (
    ADATA,
    MDATA,
    as_folder,
    as_prefix,
    check_weights,
    other_class,
    require_model,
    saved_cells,
)
from ace.model.training._fit import state_in_training

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike
    from pathlib import Path
    from typing import Self

    import torch

_SETUP_METHODS = ("setup_anndata", "setup_mudata")
#: Names of attributes that are saved, as in scvi-tools.
_ATTRIBUTE = re.compile(r"[a-zA-Z]\w*_")


class SavableModel(BaseModelClass):
    """A :class:`~scvi.model.base.BaseModelClass` whose files hold no code."""

    #: Whether the model was saved during training, before the final fits.
    is_unfinished_: bool = False

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

        The file ``model.safetensors`` holds weights and arrays, and everything else as JSON. It
        is written completely before it replaces an earlier one: if the disk is full, or the
        process is killed, the earlier model stays intact.

        Parameters
        ----------
        dir_path
            Folder to save to.
        prefix
            Prefix of the file names.
        overwrite
            Replace a model in an existing folder; other files in it are kept.
        save_anndata
            Save the model's AnnData or MuData too.
        save_kwargs
            Must be empty, as :func:`torch.save` is not used.
        legacy_mudata_format
            Ignored; for compatibility with scvi-tools.
        datamodule
            Must be ``None``.
        **anndata_write_kwargs
            Passed to :func:`anndata.io.write_h5ad`, or to the method ``write`` of the MuData.

        Raises
        ------
        ValueError
            If the folder exists and ``overwrite`` is not set, ``prefix`` is not the beginning of
            a file name, or the weights are not finite.
        TypeError
            If the model holds values of types that cannot be saved, or ``dir_path`` is not a path.
        OSError
            If the files cannot be written.
        """
        folder, prefix = as_folder(dir_path), as_prefix(prefix)
        if save_kwargs or datamodule is not None:
            raise ValueError(
                "save_kwargs and datamodule must be left out: the model is not written by "
                "torch.save, and was not made from a datamodule."
            )
        if folder.exists() and not (overwrite and folder.is_dir()):
            raise ValueError(
                f"{folder} already exists: choose another folder"
                + (", or pass overwrite=True." if folder.is_dir() else ".")
            )
        if save_anndata and self.adata is None:
            raise ValueError("the model has no AnnData to save: leave save_anndata out.")
        trainer = _compat.running_trainer(self)
        if trainer is None:
            self._write(folder, prefix, save_anndata, anndata_write_kwargs)
            return
        if trainer.is_global_zero:
            self._write(folder, prefix, save_anndata, anndata_write_kwargs, trainer)
        trainer.strategy.barrier()

    def _write(
        self,
        folder: Path,
        prefix: str,
        save_anndata: bool,
        anndata_write_kwargs: dict[str, Any],
        trainer: Any = None,
    ) -> None:
        attributes = {
            name: value
            for name, value in self._get_user_attributes()
            if _ATTRIBUTE.fullmatch(name)
        }
        network = self.module
        if trainer is not None:
            network, attributes["history_"] = state_in_training(trainer)
            attributes["is_unfinished_"] = True
        stage = f".saving-{secrets.token_hex(4)}"
        content = _model_file.to_file(
            SavedModel(
                type(self).__name__,
                attributes,
                network.state_dict(),
                {"stage": stage if save_anndata else None},
            )
        )
        with _model_file.staging(folder, stage):
            cells = prefix + (MDATA if isinstance(self.adata, MuData) else ADATA)
            if save_anndata:
                path = folder / stage / cells
                if cells.endswith(MDATA):
                    _compat.write_mudata(self.adata, path, **anndata_write_kwargs)
                else:
                    ad.io.write_h5ad(path, self.adata, **anndata_write_kwargs)
                _model_file.sync(path)
            name = prefix + FILE_NAME
            _model_file.write(folder / stage / name, content)
            # From here on, load() reads the new model, with the cells in the staging folder
            # until they are moved.
            _model_file.move(folder / stage / name, folder / name)
            if save_anndata:
                _model_file.move(folder / stage / cells, folder / cells)

    # -- loading -------------------------------------------------------------------------------

    @classmethod
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
        """Load a saved model.

        Nothing in its files is executed, unless ``allow_pickle`` is set.

        Parameters
        ----------
        dir_path
            Folder that :meth:`save` wrote.
        adata
            AnnData to attach to the model: it needs the model's genes, in any order; labels are
            optional. ``None`` takes the one saved with the model; ``False`` attaches none. If
            loading fails, it is left as it was.
        accelerator, device
            Hardware to put the model on, as in scvi-tools.
        prefix
            Prefix of the file names.
        allow_pickle
            Load the pickle ``model.pt``, the format of earlier versions and of scvi-tools, if
            there is no other file. **Loading a pickle can run arbitrary code**: allow it only for
            files that you trust, and save the model again.
        **kwargs
            ``allowed_classes_names_list``: names of further classes whose models may be loaded
            as this one.

        Returns
        -------
        The model, in evaluation mode.

        Raises
        ------
        ValueError
            If the folder has no model of this class, its files are damaged, in a newer format or
            pickles, weights are missing or not finite, or ``adata`` lacks genes of the model.
        TypeError
            If an argument is unknown, or ``dir_path`` is not a path.

        Warns
        -----
        UserWarning
            If ``adata`` is ``None`` and none was saved, or if the model was saved during training
            and the final fits (such as the calibration) need the training cells.
        """
        allowed = (cls.__name__, *(kwargs.pop("allowed_classes_names_list", None) or ()))
        for name, value in kwargs.items():
            if name not in ("backup_url", "datamodule"):
                raise TypeError(f"load() has no argument {name!r}.")
            if value is not None:
                raise ValueError(f"{name} must be left out: give the folder of a saved model.")
        folder, prefix = as_folder(dir_path), as_prefix(prefix)
        hardware: dict[str, Any] = {"accelerator": accelerator, "device": device}
        is_ours = require_model(cls.__name__, folder, prefix, allow_pickle)
        if not (adata is None or adata is False or is_mudata(adata)):
            annotated(adata)
        given = None if adata is False else adata
        with _compat.unchanged_on_error(cls, given), _expected_warnings():
            if is_ours:
                saved = _model_file.from_file(folder / (prefix + FILE_NAME))
                if saved.class_name not in allowed:
                    raise other_class(folder, saved.class_name, cls.__name__)
                cells = saved_cells(folder, prefix, saved) if adata is None else given
                model = cls._restore(saved, cells, _compat.torch_device(**hardware))
            else:
                model = super().load(
                    str(folder),
                    adata,
                    prefix=prefix,
                    allowed_classes_names_list=list(allowed),
                    **hardware,
                )
                _model_file.require_finite(model.module.state_dict())
                # Checkpoints of earlier versions lack everything except the weights.
                model.is_unfinished_ = model.is_trained_ and model.train_indices_ is None
            model._after_load()
        return model

    @classmethod
    def _restore(
        cls, saved: SavedModel, adata: AnnData | MuData | None, device: torch.device
    ) -> Self:
        """Build a model from the content of a file."""
        attributes = dict(saved.attributes)
        try:
            registry, init = attributes.pop("registry_"), attributes["init_params_"]
            # Models with minified cells do not store the name of the method.
            method = registry.get("setup_method_name", _SETUP_METHODS[0])
            setup = registry["setup_args"]
            arguments = dict(init["non_kwargs"])
            for more in init["kwargs"].values():
                arguments |= more
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"the saved {cls.__name__} is incomplete: no {error}.") from error
        if method not in _SETUP_METHODS or not all(map(_ATTRIBUTE.fullmatch, attributes)):
            raise ValueError(f"the file is none that {cls.__name__}.save() wrote.")
        if adata is not None:
            getattr(cls, method)(adata, source_registry=registry, **setup)
        model: Self = cls(adata, registry=registry, **arguments)
        for name, value in attributes.items():
            setattr(model, name, value)
        check_weights(model.module, saved.weights)
        model.module.load_state_dict(saved.weights)
        model.to_device(device)
        model.module.eval()
        if adata is not None:
            model._validate_anndata(adata)
        return model

    def _after_load(self) -> None:
        """Do the final fits of training, if the model was saved before them."""
        if not self.is_unfinished_:
            return
        if self._fitted_at_end is not None:
            if not self._split_is_of(self.adata):
                warn(
                    f"this {type(self).__name__} was saved in the middle of its training, before "
                    f"{self._fitted_at_end} fitted. Load it with the cells that it was trained "
                    "on, adata=..., to fit them."
                )
                return
            self._finish()
        self.is_unfinished_ = False

    @property
    def _fitted_at_end(self) -> str | None:
        """What the final fits determine, with a verb, for messages."""
        return None

    def _split_is_of(self, adata: AnnData | MuData | None) -> bool:
        """Whether the rows of the split are rows of ``adata``."""
        raise NotImplementedError

    def _finish(self) -> None:
        """Do the final fits of training."""

    # -- reading other parts of the file -----------------------------------------------------

    @staticmethod
    def load_registry(dir_path: str | PathLike[str], prefix: str | None = None) -> dict[str, Any]:
        """Return the registry of a saved model, with the arguments of its set-up.

        Parameters
        ----------
        dir_path
            Folder that :meth:`save` wrote.
        prefix
            Prefix of the file names.

        Raises
        ------
        ValueError
            If the folder has no model, or only a pickle.
        """
        folder, prefix = as_folder(dir_path), as_prefix(prefix)
        require_model("the model", folder, prefix, allow_pickle=False)
        return _model_file.from_file(folder / (prefix + FILE_NAME)).attributes["registry_"]

    @staticmethod
    def view_setup_args(dir_path: str | PathLike[str], prefix: str | None = None) -> None:
        """Print the arguments that a saved model was set up with.

        Parameters
        ----------
        dir_path
            Folder that :meth:`save` wrote.
        prefix
            Prefix of the file names.
        """
        AnnDataManager.view_setup_method_args(SavableModel.load_registry(dir_path, prefix))

    @classmethod
    def convert_legacy_save(cls, *args: Any, **kwargs: Any) -> None:
        """Not supported: all models of this package are newer than scvi-tools 0.15."""
        raise NotImplementedError(
            "no model of ace was saved as scvi-tools before 0.15 did. To convert a model.pt, load "
            f"it with {cls.__name__}.load(path, allow_pickle=True) and save it."
        )


@contextmanager
def _expected_warnings() -> Iterator[None]:
    """Silence scvi-tools' warnings on attaching cells to an existing model."""
    with warnings.catch_warnings():
        # It compares genes by position, while this package matches them by name.
        warnings.filterwarnings("ignore", message=_compat.var_names_warning)
        # This advice is about training, and these cells may never be trained on.
        warnings.filterwarnings("ignore", message=_compat.small_category_warning)
        # scvi-tools uses a name that mudata has deprecated.
        warnings.filterwarnings("ignore", message=".*mod_names", category=FutureWarning)
        yield
