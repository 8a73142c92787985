"""Save models as data without code, and load them."""

from __future__ import annotations

import re
import secrets
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import anndata as ad
from mudata import MuData

from ace import _compat
from ace._checks._objects import annotated, is_mudata
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
    read_pickle,
    require_model,
    saved_cells,
)
from ace.model.training._fit import state_in_training
from ace.model.training._split import is_split_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import torch
    from anndata import AnnData

    from ace.model.base._gene_model import GeneModel

    Model = TypeVar("Model", bound=GeneModel)

_SETUP_METHODS = ("setup_anndata", "setup_mudata")
#: Names of attributes that are saved: as in scvi-tools, those that end in an underscore.
_ATTRIBUTE = re.compile(r"_?[a-zA-Z]\w*_")


def save_model(
    model: GeneModel,
    dir_path: Any,
    prefix: str | None,
    *,
    overwrite: bool,
    save_anndata: bool,
    write_kwargs: dict[str, Any],
) -> None:
    """Save a model; see :meth:`ace.model.KRATOS.save`."""
    folder, prefix = as_folder(dir_path), as_prefix(prefix)
    if folder.exists() and not (overwrite and folder.is_dir()):
        raise ValueError(
            f"{folder} already exists: choose another folder"
            + (", or pass overwrite=True." if folder.is_dir() else ".")
        )
    if save_anndata and model.adata is None:
        raise ValueError("the model has no AnnData to save: leave save_anndata out.")
    trainer = _compat.running_trainer(model)
    if trainer is None or trainer.is_global_zero:
        _write(model, folder, prefix, save_anndata, write_kwargs, trainer)
    if trainer is not None:
        trainer.strategy.barrier()


def _write(
    model: GeneModel,
    folder: Path,
    prefix: str,
    save_anndata: bool,
    write_kwargs: dict[str, Any],
    trainer: Any,
) -> None:
    attributes = {
        name: value for name, value in model._get_user_attributes() if _ATTRIBUTE.fullmatch(name)
    }
    network = model.module
    if trainer is not None:
        network, attributes["history_"] = state_in_training(trainer)
        attributes["_is_unfinished_"] = True
    stage = f".saving-{secrets.token_hex(4)}"
    content = _model_file.to_file(
        SavedModel(
            type(model).__name__,
            attributes,
            network.state_dict(),
            {"stage": stage if save_anndata else None},
        )
    )
    with _model_file.staging(folder, stage):
        cells = prefix + (MDATA if isinstance(model.adata, MuData) else ADATA)
        if save_anndata:
            path = folder / stage / cells
            if cells.endswith(MDATA):
                _compat.write_mudata(model.adata, path, **write_kwargs)
            else:
                ad.io.write_h5ad(path, model.adata, **write_kwargs)
            _model_file.sync(path)
        name = prefix + FILE_NAME
        _model_file.write(folder / stage / name, content)
        # From here on, load() reads the new model, with the cells in the staging folder until
        # they are moved.
        _model_file.move(folder / stage / name, folder / name)
        if save_anndata:
            _model_file.move(folder / stage / cells, folder / cells)


# -- loading -----------------------------------------------------------------------------------


def load_model(
    cls: type[Model],
    dir_path: Any,
    adata: AnnData | MuData | bool | None,
    prefix: str | None,
    *,
    hardware: tuple[str, int | str],
    allow_pickle: bool,
    class_names: tuple[str, ...],
) -> Model:
    """Load a model; see :meth:`ace.model.KRATOS.load`."""
    folder, prefix = as_folder(dir_path), as_prefix(prefix)
    is_pickle = not require_model(cls.__name__, folder, prefix, allow_pickle)
    if not (adata is None or adata is False or is_mudata(adata)):
        annotated(adata)
    given = None if adata is False else adata
    with _compat.unchanged_on_error(cls, given), _expected_warnings():
        if is_pickle:
            saved = read_pickle(folder, prefix, cls.__name__)
        else:
            saved = _model_file.from_file(folder / (prefix + FILE_NAME))
        if saved.class_name not in class_names:
            raise other_class(folder, saved.class_name, cls.__name__)
        cells = saved_cells(folder, prefix, saved) if adata is None else given
        model = _restore(cls, saved, cells, _compat.torch_device(*hardware))
        if is_pickle:  # pickles written during training lack everything except the weights
            model._is_unfinished_ = model.is_trained_ and model.train_indices_ is None
        _finish(model)
    return model


def read_registry(dir_path: Any, prefix: str | None) -> dict[str, Any]:
    """Return the registry of a saved model; see :meth:`ace.model.KRATOS.load_registry`."""
    folder, prefix = as_folder(dir_path), as_prefix(prefix)
    require_model("the model", folder, prefix, allow_pickle=False)
    return _model_file.from_file(folder / (prefix + FILE_NAME)).attributes["registry_"]


def _restore(
    cls: type[Model], saved: SavedModel, adata: AnnData | MuData | None, device: torch.device
) -> Model:
    """Build a model from the content of a file."""
    attributes = {cls._renamed.get(name, name): v for name, v in saved.attributes.items()}
    try:
        registry, init = attributes.pop("registry_"), attributes["init_params_"]
        # Models with minified cells do not store the name of the method.
        method = registry.get("setup_method_name", _SETUP_METHODS[0])
        setup = registry["setup_args"]
        own = {cls._renamed.get(name, name): v for name, v in init["non_kwargs"].items()}
        attributes["init_params_"] = init | {"non_kwargs": own}
        arguments = dict(own)
        for further in init["kwargs"].values():
            arguments |= further
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the saved {cls.__name__} is incomplete: no {error}.") from error
    if method not in _SETUP_METHODS or not all(map(_ATTRIBUTE.fullmatch, attributes)):
        raise ValueError(f"the file was not written by {cls.__name__}.save().")
    if adata is not None:
        getattr(cls, method)(adata, source_registry=registry, **setup)
    model = cls(adata, registry=registry, **arguments)
    for name, value in attributes.items():
        setattr(model, name, value)
    check_weights(model.module, saved.weights)
    model.module.load_state_dict(saved.weights)
    model.to_device(device)
    model.module.eval()
    if adata is not None:
        model._validate_anndata(adata)
    return model


def _finish(model: GeneModel) -> None:
    """Run the final fits of training, if the model was saved before them."""
    if not model._is_unfinished_:
        return
    if model._final_fits is not None:
        if not is_split_of(model, model.adata):
            warn(
                f"this {type(model).__name__} was saved during training, before its "
                f"{model._final_fits} were fitted. Load it with the cells that it was trained "
                "on, adata=..., to fit them."
            )
            return
        model._run_final_fits()
    model._is_unfinished_ = False


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
