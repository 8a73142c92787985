"""The only place that decides what h5ad and Zarr files can hold, for everything that is written.

What a file cannot hold is refused before any work: ``write_h5ad`` fails only half-way, when the
user's file has already been truncated.
"""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

#: Bytes of a key or column. Zarr makes a file of it, and most file systems allow 255, which have
#: to do for the affixes of :mod:`ace._keys` and Zarr's own.
MAX_NAME = 200
#: Columns of a frame. anndata lists them in one HDF5 attribute, which holds 4095.
MAX_COLUMNS = 4000
#: Bytes of the type of a structured array. HDF5 keeps it in one header message of 64 KiB.
MAX_RECORD_TYPE = 64_000
#: Bytes that HDF5 takes for one field of a structured array besides its name, at most: that of a
#: Boolean, an enumeration of two names. (A number or string takes 52.)
FIELD_SIZE = 70
#: Names that anndata or Zarr keep for themselves beside columns and keys.
RESERVED = {"_index", "zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"}


def text(values: Iterable[Any], what: str, fix: str) -> None:
    """Raise if one of ``values`` is not text that every file can hold.

    Raises
    ------
    ValueError
        If one is no text, holds a NUL character or cannot be encoded as UTF-8.
    """
    values = list(values)
    if all(isinstance(value, str) for value in values) and _flaw("".join(values)) is None:
        return  # one look at the tens of thousands of genes
    value, flaw = next((v, flaw) for v in values if (flaw := _flaw(v)) is not None)
    raise ValueError(f"{what} cannot be stored in a file: {value!r:.80} {flaw}. {fix}")


def key(key_added: Any) -> str:
    """Give a name that a result can be stored under, as plain text.

    Raises
    ------
    TypeError
        If it is no text.
    ValueError
        If no file can hold it as a key.
    """
    if not isinstance(key_added, str):
        raise TypeError(
            f"key_added must be a name, such as 'ace', got {key_added!r:.80} "
            f"({type(key_added).__name__})."
        )
    name = str.__str__(key_added)
    if not _is_name(name) or "/" in name or name.startswith("_scvi_"):
        raise ValueError(
            f"key_added must be a name without a '/', '\\' or NUL, of 1 to {MAX_NAME} bytes, that "
            f"anndata, Zarr and scvi-tools do not reserve, got {name!r:.80}."
        )
    # anndata takes such a key apart when it reads the file.
    if name.endswith("_keys_multicol"):
        raise ValueError(f"key_added={name!r} is reserved by anndata: choose another name.")
    return name


def groups(names: Sequence[str], groupby: str, name: str = "adata") -> None:
    """Raise if names of groups cannot be stored as names of fields and columns."""
    where = f"{name}.obs[{groupby!r}]"
    renamed = f"{where} = {where}.astype('category').cat.rename_categories"
    bad = next((group for group in names if _flaw(group) is not None), "")
    text(names, f"groups of {where}", f"Rename it: {renamed}({{{bad!r:.80}: ...}}).")
    if "" in names:
        raise ValueError(
            f"a group of {where} has no name (''), and no file holds results under such a name. "
            "If these cells have no group, leave them out: "
            f"{name}[{where} != ''].copy(). Else name it: {renamed}({{'': 'unnamed'}})."
        )


def labels(categories: pd.Index, key: str, name: str) -> None:
    """Raise if categories that are to be written as such are neither all text nor all numbers."""
    groups([str(category) for category in categories], key, name)
    numbers = categories.dtype.kind in "iufb"
    if numbers or all(isinstance(category, str) for category in categories):
        return
    where = f"{name}.obs[{key!r}]"
    kinds = sorted({type(category).__name__ for category in categories})
    raise ValueError(
        f"{where} holds labels of the type {' and '.join(kinds)}, which no h5ad file holds. Make "
        f"text of them: {where} = {where}.astype('category').cat.rename_categories(str)."
    )


def frame(values: pd.DataFrame, index: pd.Index | None = None) -> pd.DataFrame | np.ndarray:
    """Give a frame with a column for each group where files can hold it, else its plain values.

    Parameters
    ----------
    values
        The frame; its columns are :func:`ace._keys.storable` names.
    index
        Names of the cells or genes, where anndata gives their index to the frame.
    """
    columns = list(values.columns)
    held = len(columns) <= MAX_COLUMNS and all(map(_is_name, columns))
    # An index is written as a column of its name.
    name = values.index.name if index is None else index.name
    return values if held and name not in columns else values.to_numpy()


def holds_records(fields: Sequence[str]) -> bool:
    """Whether structured arrays with these fields, such as scanpy's rankings, can be written."""
    # HDF5 pads the name of a field, and the NUL that ends it, to a multiple of eight bytes.
    size = sum(FIELD_SIZE + 8 * (len(field.encode()) // 8 + 1) for field in fields)
    # NumPy hands no field with a colon to the compressors of Zarr's format 2.
    colon = _writes_zarr_2() and any(":" in field for field in fields)
    return size <= MAX_RECORD_TYPE and not colon


def _writes_zarr_2() -> bool:
    with warnings.catch_warnings():
        # anndata 0.13 announces that it will write format 3 only.
        warnings.simplefilter("ignore", DeprecationWarning)
        return getattr(ad.settings, "zarr_write_format", 3) == 2


def plain(value: Any, name: str) -> Any:
    """Give an argument as what files hold: None, text, numbers, lists and dictionaries of these.

    Raises
    ------
    TypeError
        If it is something else.
    ValueError
        If text or a number is one that no file holds.
    """
    if value is None:
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, str):
        text([value], name, "Choose another value.")
        return str.__str__(value)
    if isinstance(value, Integral):
        if abs(int(value)) >= 2**63:
            raise ValueError(f"{name}={value!r:.80} is too large a number to be stored.")
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "iufb":
        return value
    if isinstance(value, list | tuple):
        items = [plain(item, name) for item in value]
        if len({isinstance(item, str) for item in items}) < 2 and None not in items:
            return items
    if isinstance(value, dict) and all(isinstance(k, str) and _is_name(k) for k in value):
        return {k: plain(item, name) for k, item in value.items()}
    raise TypeError(
        f"{name} must be a number, text, None or a list of one of them, as it is stored with the "
        f"result, got {value!r:.80}."
    )


def _flaw(value: Any) -> str | None:
    """What keeps text out of files."""
    if not isinstance(value, str):
        return f"is no text but a value of the type {type(value).__name__}"
    if "\0" in value:
        return "holds a NUL character"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "holds half a character (a lone surrogate), which is no valid Unicode"
    return None


def _is_name(name: str) -> bool:
    """Whether HDF5 and Zarr hold something of that name; its slashes are judged elsewhere."""
    return (
        _flaw(name) is None
        and 0 < len(name.encode()) <= MAX_NAME
        and name not in RESERVED | {".", ".."}
        and "\\" not in name  # a slash for Zarr
    )
