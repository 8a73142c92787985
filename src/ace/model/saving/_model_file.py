"""The file of a saved model: weights, arrays, and a JSON document that describes them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from ace.model.saving._document import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np

FILE_NAME = "model.safetensors"
#: Increase this if the latest release cannot read the files that this code writes.
FORMAT_VERSION = 2
#: Key of the JSON document in the metadata.
_KEY = "ace"
_WEIGHTS, _ARRAYS = "weights/", "arrays/"


@dataclass
class SavedModel:
    """Content of a model file."""

    class_name: str
    attributes: dict[str, Any]
    weights: dict[str, torch.Tensor]
    #: Further information about the file: strings and numbers only.
    facts: dict[str, Any] = field(default_factory=dict)


def to_file(model: SavedModel) -> bytes:
    """Return the content of a model file.

    The file is in the safetensors format, with the JSON document as metadata, so that a single
    ``os.replace`` replaces weights and document together.

    Raises
    ------
    ace.model.saving._document.Unsavable
        If the type of an attribute cannot be saved.
    ValueError
        If a weight is not finite.
    """
    require_finite(model.weights)
    arrays: dict[str, np.ndarray] = {}
    document = {
        "format_version": FORMAT_VERSION,
        "ace_version": version("ace-sc"),
        "class": model.class_name,
        "facts": model.facts,
        "attributes": {k: encode(v, k, arrays) for k, v in model.attributes.items()},
    }
    tensors = {
        _WEIGHTS + name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in model.weights.items()
    }
    tensors |= {_ARRAYS + name: torch.from_numpy(value.copy()) for name, value in arrays.items()}
    document["sha256"] = _digest(document, tensors)
    # A single entry, because safetensors writes several in random order.
    return to_bytes(tensors, {_KEY: json.dumps(document, allow_nan=False)})


def from_file(path: Path) -> SavedModel:
    """Read a file written by :func:`to_file`.

    Raises
    ------
    ValueError
        If it is damaged, in a newer format, or not a model file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            document = _document_of(path, file.metadata())
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(f"{path} is truncated or damaged ({error}).") from error
    if document.pop("sha256", None) != _digest(document, tensors):
        raise ValueError(f"{path} is damaged: its checksum does not match its content.")
    try:
        arrays = {k: v.numpy() for k, v in _part(tensors, _ARRAYS).items()}
        return SavedModel(
            class_name=document["class"],
            attributes={k: decode(v, arrays) for k, v in document["attributes"].items()},
            weights=_part(tensors, _WEIGHTS),
            facts=document["facts"],
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not hold a model that can be read: {error}") from error


def saved_weights(folder: str | Path) -> dict[str, torch.Tensor] | None:
    """Weights of the model in a folder; ``None`` if there is no model file."""
    path = Path(folder) / FILE_NAME
    return from_file(path).weights if path.is_file() else None


def require_finite(weights: Mapping[str, torch.Tensor]) -> None:
    """Raise a ``ValueError`` if a weight is NaN or infinite."""
    bad = [k for k, v in weights.items() if v.is_floating_point() and not v.isfinite().all()]
    if bad:
        raise ValueError(
            f"the weights {bad[0]!r} of the model are NaN or infinite, so it cannot be used: "
            "train a new one."
        )


def _document_of(path: Path, metadata: dict[str, str] | None) -> dict[str, Any]:
    """Return the document; raise if this version cannot read its format."""
    try:
        document = json.loads((metadata or {})[_KEY])
        newest = int(document["format_version"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} was not written by the save() of a model of ace.") from error
    if newest > FORMAT_VERSION:
        raise ValueError(
            f"{path} is of format {newest}, written by version {document.get('ace_version')} of "
            f"ace; this is version {version('ace-sc')}, which reads formats up to "
            f"{FORMAT_VERSION}. Update ace: `pip install -U ace-sc`."
        )
    return document


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _digest(document: dict[str, Any], tensors: dict[str, torch.Tensor]) -> str:
    """Checksum of the document and the tensors."""
    digest = hashlib.sha256(json.dumps(document, allow_nan=False).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        if value.numel():
            digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


# -- writing -----------------------------------------------------------------------------------


@contextmanager
def staging(folder: Path, name: str) -> Iterator[None]:
    """Create a temporary folder inside ``folder``, and delete it at the end."""
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    stage = folder / name
    stage.mkdir()
    try:
        yield
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        if is_new and not any(folder.iterdir()):
            folder.rmdir()
        raise
    shutil.rmtree(stage, ignore_errors=True)


def write(path: Path, content: bytes) -> None:
    """Write a file and flush it to disk."""
    path.write_bytes(content)
    sync(path)


def sync(path: Path) -> None:
    """Flush a file or the entries of a folder to disk."""
    if path.is_dir() and os.name != "posix":
        return  # folders cannot be opened there
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move(source: Path, target: Path) -> None:
    """Atomically replace a file with a complete one."""
    source.replace(target)
    sync(target.parent)
