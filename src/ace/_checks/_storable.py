"""Check whether results can be stored in h5ad and Zarr files.

These checks run before any computation, because ``write_h5ad`` fails half-way, after it has
truncated the user's file.
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

#: Bytes in the name of a key or column. Zarr uses it as a file name, of which most file systems
#: allow 255 bytes; the rest is for the affixes of :mod:`ace._keys` and of Zarr.
MAX_NAME = 200
#: Columns of a data frame. anndata lists them in one HDF5 attribute, which can have 4095.
MAX_COLUMNS = 4000
#: Bytes in the type of a structured array, which HDF5 stores in one header message of 64 KiB.
MAX_RECORD_TYPE = 64_000
#: Maximum bytes that HDF5 needs for a field of a structured array, besides its name: those of a
#: Boolean, which is stored as an enumeration. (A number or string needs 52.)
FIELD_SIZE = 70
#: Names that anndata or Zarr reserve.
RESERVED = {"_index", "zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"}


def text(values: Iterable[Any], what: str, fix: str) -> None:
    """Raise if one of ``values`` is not text that can be stored.

    Raises
    ------
    ValueError
        If a value is not a string, contains a NUL character or cannot be encoded as UTF-8.
    """
    values = list(values)
    if all(isinstance(value, str) for value in values) and _flaw("".join(values)) is None:
        return  # fast path for tens of thousands of genes
    value, flaw = next((v, flaw) for v in values if (flaw := _flaw(v)) is not None)
    raise ValueError(f"{what} cannot be stored in a file: {value!r:.80} {flaw}. {fix}")


def key(key_added: Any) -> str:
    """Return ``key_added`` as a plain string; raise if it cannot be a key.

    Raises
    ------
    TypeError
        If it is not a string.
    ValueError
        If it cannot be stored as a key.
    """
    if not isinstance(key_added, str):
        raise TypeError(
            f"key_added must be a name, such as 'ace', got {key_added!r:.80} "
            f"({type(key_added).__name__})."
        )
    name = str.__str__(key_added)
    if not _is_name(name) or "/" in name or name.startswith("_scvi_"):
        raise ValueError(
            f"key_added must be a name of 1 to {MAX_NAME} bytes without '/', '\\' or NUL that is "
            f"not reserved by anndata, Zarr or scvi-tools, got {name!r:.80}."
        )
    # anndata splits such keys when it reads the file.
    if name.endswith("_keys_multicol"):
        raise ValueError(f"key_added={name!r} is reserved by anndata: choose another name.")
    return name


def groups(names: Sequence[str], groupby: str, name: str = "adata") -> None:
    """Raise if group names cannot be used as names of fields and columns."""
    where = f"{name}.obs[{groupby!r}]"
    renamed = f"{where} = {where}.astype('category').cat.rename_categories"
    bad = next((group for group in names if _flaw(group) is not None), "")
    text(names, f"groups of {where}", f"Rename it: {renamed}({{{bad!r:.80}: ...}}).")
    if "" in names:
        raise ValueError(
            f"a group of {where} has an empty name (''), under which results cannot be stored. "
            "If these cells have no group, remove them: "
            f"{name}[{where} != ''].copy(). Otherwise rename it: {renamed}({{'': 'unnamed'}})."
        )


def labels(categories: pd.Index, key: str, name: str) -> None:
    """Raise unless categories to be stored are all strings or all numbers."""
    groups([str(category) for category in categories], key, name)
    numbers = categories.dtype.kind in "iufb"
    if numbers or all(isinstance(category, str) for category in categories):
        return
    where = f"{name}.obs[{key!r}]"
    kinds = sorted({type(category).__name__ for category in categories})
    raise ValueError(
        f"{where} holds labels of type {' and '.join(kinds)}, which cannot be stored in h5ad "
        f"files. Convert them to strings: {where} = {where}.astype('category').cat."
        "rename_categories(str)."
    )


def frame(values: pd.DataFrame, index: pd.Index | None = None) -> pd.DataFrame | np.ndarray:
    """Return the frame if it can be stored, otherwise its values as an array.

    Parameters
    ----------
    values
        Frame with a column for each group, named by :func:`ace._keys.storable`.
    index
        Index of the cells or genes, which anndata sets as the index of the frame.
    """
    columns = list(values.columns)
    held = len(columns) <= MAX_COLUMNS and all(map(_is_name, columns))
    # The index is stored as a column.
    name = values.index.name if index is None else index.name
    return values if held and name not in columns else values.to_numpy()


def holds_records(fields: Sequence[str]) -> bool:
    """Whether structured arrays with these fields, as in scanpy's rankings, can be stored."""
    # HDF5 pads the name of a field and its terminating NUL to a multiple of eight bytes.
    size = sum(FIELD_SIZE + 8 * (len(field.encode()) // 8 + 1) for field in fields)
    # The compressors of Zarr's format 2 do not support fields with a colon in the name.
    colon = _writes_zarr_2() and any(":" in field for field in fields)
    return size <= MAX_RECORD_TYPE and not colon


def _writes_zarr_2() -> bool:
    with warnings.catch_warnings():
        # anndata 0.13 warns that it will only write format 3.
        warnings.simplefilter("ignore", DeprecationWarning)
        return getattr(ad.settings, "zarr_write_format", 3) == 2


def plain(value: Any, name: str) -> Any:
    """Convert an argument to storable types: None, strings, numbers, lists and dicts of these.

    Raises
    ------
    TypeError
        If its type is not supported.
    ValueError
        If a string or number cannot be stored.
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
            raise ValueError(f"{name}={value!r:.80} is too large to be stored.")
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
        f"{name} must be a number, a string, None or a list of numbers or strings, because it is "
        f"stored with the result, got {value!r:.80}."
    )


def _flaw(value: Any) -> str | None:
    """Why a value cannot be stored as text; ``None`` if it can."""
    if not isinstance(value, str):
        return f"is not a string but of type {type(value).__name__}"
    if "\0" in value:
        return "contains a NUL character"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "contains a lone surrogate, which is not valid Unicode"
    return None


def _is_name(name: str) -> bool:
    """Whether HDF5 and Zarr allow the name; slashes are checked elsewhere."""
    return (
        _flaw(name) is None
        and 0 < len(name.encode()) <= MAX_NAME
        and name not in RESERVED | {".", ".."}
        and "\\" not in name  # Zarr treats it as a slash
    )
