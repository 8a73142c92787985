"""The folder of a saved model: find, check and read its files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import mudata
import torch

from ace._warn import warn
from ace.model.saving._model_file import FILE_NAME, SavedModel, require_finite

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

#: File name used by earlier versions and by scvi-tools.
PICKLE = "model.pt"
ADATA, MDATA = "adata.h5ad", "mdata.h5mu"


def as_folder(dir_path: Any) -> Path:
    """Return the path of a folder; raise if it is not a path."""
    if not isinstance(dir_path, str | os.PathLike) or isinstance(os.fspath(dir_path), bytes):
        raise TypeError(f"dir_path must be the path of a folder, got {dir_path!r}.")
    if not str(dir_path) or "\0" in str(dir_path):
        raise ValueError(f"dir_path must be the path of a folder, got {dir_path!r}.")
    return Path(dir_path)


def as_prefix(prefix: Any) -> str:
    """Return the prefix of the file names; raise if it contains a folder."""
    if prefix is None:
        return ""
    if not isinstance(prefix, str):
        raise TypeError(f"prefix must be a string, got {prefix!r}.")
    if re.search(r"[/\\:\x00-\x1f]", prefix) or prefix.startswith("."):
        raise ValueError(
            f"prefix must be the beginning of a file name, such as 'first_', got {prefix!r}. To "
            "save to another folder, pass that folder as dir_path."
        )
    return prefix


def require_model(name: str, folder: Path, prefix: str, allow_pickle: bool) -> bool:
    """Raise if there is no file to load; return whether it is in this package's format."""
    if (folder / (prefix + FILE_NAME)).is_file():
        return True
    if not (folder / (prefix + PICKLE)).is_file():
        found = sorted(p.name for p in folder.glob(f"*{FILE_NAME}")) if folder.is_dir() else []
        hint = f" There is {found}: pass its prefix." if found else ""
        raise ValueError(f"there is no {prefix + FILE_NAME} in {folder}.{hint}")
    if not allow_pickle:
        raise ValueError(
            f"{folder} holds {name} as a pickle only, {prefix + PICKLE}, as earlier versions and "
            "scvi-tools save it. Loading a pickle can run any code. If you trust its "
            f"author, pass allow_pickle=True to load(), and save the model again."
        )
    return False


def read_pickle(folder: Path, prefix: str, default_name: str) -> SavedModel:
    """Read the pickle of an earlier version, which can run code.

    ``default_name`` is the class of a model that does not store it.
    """
    content = torch.load(folder / (prefix + PICKLE), map_location="cpu", weights_only=False)
    attributes = {k: v for k, v in content["attr_dict"].items() if k.endswith("_")}
    name = attributes.get("registry_", {}).get("model_name", default_name)
    weights = content["model_state_dict"]
    weights.pop("pyro_param_store", None)
    return SavedModel(name, attributes, weights)


def other_class(folder: Path, found: str, wanted: str) -> ValueError:
    """Return the error for a model of another class."""
    return ValueError(
        f"{folder} holds a model of the class {found}, not {wanted}: load it with {found}.load()."
    )


def saved_cells(folder: Path, prefix: str, saved: SavedModel) -> AnnData | MuData | None:
    """Read the AnnData or MuData that was saved with a model."""
    method = saved.attributes.get("registry_", {}).get("setup_method_name")
    name = prefix + (MDATA if method == "setup_mudata" else ADATA)
    stage = saved.facts.get("stage")
    folders = [folder]
    if isinstance(stage, str) and re.fullmatch(r"\.saving-\w+", stage):
        folders.insert(0, folder / stage)  # the process was killed before they were moved
    for where in folders:
        if (where / name).is_file():
            read = mudata.read if name.endswith(MDATA) else ad.read_h5ad
            return read(where / name)
    warn(
        f"{folder} holds no saved anndata and adata was not given: the model is loaded without "
        "cells. Pass the cells, adata=..., or adata=False."
    )
    return None


def check_weights(network: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Raise unless the weights are those of the network.

    Raises
    ------
    ValueError
        If some are missing, unexpected, of another shape or not finite.
    """
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    got = {name: tuple(value.shape) for name, value in weights.items()}
    missing, unexpected = sorted(expected.keys() - got), sorted(got.keys() - expected)
    if missing or unexpected:
        raise ValueError(
            "the saved weights do not fit the network: "
            + "; ".join(
                f"{len(names)} {what}, such as {names[0]!r}"
                for names, what in ((missing, "missing"), (unexpected, "unexpected"))
                if names
            )
            + "."
        )
    for name, shape in expected.items():
        if got[name] != shape:
            raise ValueError(
                f"the saved weights {name!r} have the shape {got[name]}, the network {shape}."
            )
    require_finite(weights)
