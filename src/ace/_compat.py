"""The only place that knows versions of scvi-tools and names it does not promise to keep."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from scvi.data._utils import _get_adata_minify_type as minified_type
from scvi.model._utils import _init_library_size as init_library_size
from scvi.model._utils import get_max_epochs_heuristic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData
    from mudata import MuData
    from scvi.model.base import BaseModelClass

__all__ = [
    "forget",
    "get_max_epochs_heuristic",
    "init_library_size",
    "is_copy_of_registered",
    "minified_type",
    "own_identity",
    "small_category_warning",
    "var_names_warning",
]

#: Where scvi-tools keeps the identity of an object that was set up.
_UUID_KEY = "_scvi_uuid"

#: How the warning of ``load`` about gene order begins (it compares positions; we go by name).
var_names_warning = "`var_names` for the loaded `model` does not match"
#: The warning of a category of few cells.
small_category_warning = "Category .* has fewer than 3 cells"


def is_copy_of_registered(model_cls: type[BaseModelClass], adata: AnnData | MuData) -> bool:
    """Whether ``adata`` carries the identity of another object that was set up for the model.

    ``AnnData.copy`` copies ``uns`` and the identity in it, and the registrations of a model class
    are looked up by identity: two objects with one identity overwrite each other's registration.
    """
    manager: Any = model_cls._setup_adata_manager_store.get(adata.uns.get(_UUID_KEY))
    return manager is not None and manager.adata is not adata


@contextmanager
def own_identity(model_cls: type[BaseModelClass], adata: AnnData | MuData) -> Iterator[None]:
    """Set ``adata`` up inside: a copy gets an identity of its own, unless the set-up fails."""
    if not is_copy_of_registered(model_cls, adata):
        yield
        return
    identity = adata.uns[_UUID_KEY]
    adata.uns[_UUID_KEY] = str(uuid4())
    try:
        yield
    except Exception:
        adata.uns[_UUID_KEY] = identity
        raise


def forget(model: BaseModelClass, adata: AnnData | MuData) -> None:
    """Free an object that scvi-tools would keep for as long as the process."""
    identity = adata.uns.get(_UUID_KEY)
    type(model)._per_instance_manager_store.get(model.id, {}).pop(identity, None)
    type(model)._setup_adata_manager_store.pop(identity, None)
