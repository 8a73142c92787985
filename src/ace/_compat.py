"""All code that depends on the version or on private names of scvi-tools."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lightning.pytorch.trainer.states import TrainerStatus
from scvi.data._utils import _get_adata_minify_type as minified_type
from scvi.model._utils import _init_library_size as init_library_size
from scvi.model._utils import get_max_epochs_heuristic, parse_device_args
from scvi.train import _callbacks

try:
    from scvi.model.base._base_model import _write_adata as write_mudata
except ImportError:  # scvi-tools 1.4 with older versions of mudata

    def write_mudata(mdata: MuData, path: Any, **kwargs: Any) -> None:
        """Write a MuData to a file."""
        mdata.write(path, **kwargs)


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
    from anndata import AnnData
    from mudata import MuData
    from scvi.model.base import BaseModelClass

__all__ = [
    "checkpoints_read_by",
    "ensure_own_identity",
    "forget",
    "get_max_epochs_heuristic",
    "init_library_size",
    "is_copy_of_registered",
    "minified_type",
    "running_trainer",
    "small_category_warning",
    "torch_device",
    "unchanged_on_error",
    "var_names_warning",
    "write_mudata",
]

#: Key under which scvi-tools stores the identity of an object that was set up.
_UUID_KEY = "_scvi_uuid"

#: Start of the warning of ``load`` about the order of genes (ace aligns genes by name).
var_names_warning = "`var_names` for the loaded `model` does not match"
#: Pattern of the warning about categories with few cells.
small_category_warning = "Category .* has fewer than 3 cells"


def is_copy_of_registered(model_cls: type[BaseModelClass], adata: AnnData | MuData) -> bool:
    """Whether ``adata`` carries the identity of another object that was set up for the model.

    ``AnnData.copy`` copies ``uns`` and the identity in it, and the registrations of a model class
    are looked up by identity: two objects with one identity overwrite each other's registration.
    """
    manager: Any = model_cls._setup_adata_manager_store.get(adata.uns.get(_UUID_KEY))
    return manager is not None and manager.adata is not adata


def ensure_own_identity(model_cls: type[BaseModelClass], adata: AnnData | MuData) -> None:
    """Give a copy of an object that was set up a new identity."""
    if is_copy_of_registered(model_cls, adata):
        adata.uns[_UUID_KEY] = str(uuid4())


def forget(model: BaseModelClass, adata: AnnData | MuData) -> None:
    """Remove references of scvi-tools to an object, so that its memory can be freed."""
    identity = adata.uns.get(_UUID_KEY)
    type(model)._per_instance_manager_store.get(model.id, {}).pop(identity, None)
    type(model)._setup_adata_manager_store.pop(identity, None)


@contextmanager
def unchanged_on_error(
    model_cls: type[BaseModelClass], adata: AnnData | MuData | None
) -> Iterator[None]:
    """Undo the registration of an object if the block raises."""
    parts = [] if adata is None else [adata, *getattr(adata, "mod", {}).values()]
    holders = [holder for part in parts for holder in (part.obs, part.obsm, part.uns)]
    before = [_registered(holder) for holder in holders]
    managers = _managers(model_cls, adata)
    try:
        yield
    except BaseException:
        for holder, old in zip(holders, before, strict=True):
            for key in _registered(holder):
                del holder[key]
            for key, value in old.items():
                holder[key] = value
        for identity in _managers(model_cls, adata):
            del model_cls._setup_adata_manager_store[identity]
        model_cls._setup_adata_manager_store.update(managers)
        raise


def _managers(model_cls: type[BaseModelClass], adata: AnnData | MuData | None) -> dict[str, Any]:
    managers: dict[str, Any] = model_cls._setup_adata_manager_store
    return {key: each for key, each in managers.items() if each.adata is adata}


def _registered(holder: Any) -> dict[str, Any]:
    """Entries written by a set-up, which replaces values and never modifies them in place."""
    return {key: holder[key] for key in list(holder) if str(key).startswith("_scvi_")}


def torch_device(accelerator: str, device: int | str) -> torch.device:
    """Return the device that scvi-tools would choose."""
    return parse_device_args(
        accelerator=accelerator,
        devices=device,
        return_device="torch",
        validate_single_device=True,
    )[2]


# -- checkpoints -------------------------------------------------------------------------------


def running_trainer(model: BaseModelClass) -> Any:
    """Return the trainer if the model is being trained (a checkpoint saves it), else ``None``."""
    trainer = getattr(model, "trainer", None)
    if trainer is None or trainer.state.status != TrainerStatus.RUNNING:
        return None
    return trainer


@contextmanager
def checkpoints_read_by(
    read_weights: Callable[[str], dict[str, torch.Tensor] | None],
) -> Iterator[None]:
    """Let scvi-tools' ``SaveCheckpoint`` read models that are not pickles inside the block.

    Parameters
    ----------
    read_weights
        Returns the weights of the model in a folder, or ``None`` if it cannot.
    """
    original = _callbacks._load_saved_files

    def load(dir_path: str, *args: Any, **kwargs: Any) -> Any:
        weights = read_weights(dir_path)
        return (
            original(dir_path, *args, **kwargs) if weights is None else (None, None, weights, None)
        )

    _callbacks._load_saved_files = load
    try:
        yield
    finally:
        _callbacks._load_saved_files = original
