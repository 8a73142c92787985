"""Convert Python values of supported types, none of which contain code, to JSON and arrays."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

#: Key that marks a JSON object as an encoded value other than a dict with string keys.
TAG = "$type"

_PLAIN = (bool, int, str, type(None))
#: Kinds of NumPy dtypes that are stored as tensors.
_NUMBERS = "biuf"
#: Kinds of NumPy dtypes that are stored as 64-bit integers.
_TIMES = "mM"
_MISSING = {"NA": pd.NA, "NaT": pd.NaT}
#: Arguments that may be functions; the user passes them again when loading the model.
_FUNCTIONS = ("init_params_.non_kwargs.target",)
_RECORDS: dict[str, type] = {}


class Unsavable(TypeError):
    """Raised if a value has a type that cannot be saved."""


class MissingFunction:
    """Placeholder for a user's function, of which only the name is saved.

    Parameters
    ----------
    name
        Name of the function.
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raise an error, because the function was not saved."""
        raise RuntimeError(
            f"the model was saved with a function of yours, {self.__name__!r}, and files hold no "
            f"code: pass it when you load the model, target={self.__name__}."
        )


def saved_as(name: str) -> Callable[[type], type]:
    """Make a dataclass savable under a name that does not depend on its module."""

    def register(cls: type) -> type:
        _RECORDS[name] = cls
        return cls

    return register


def encode(value: Any, where: str, arrays: dict[str, np.ndarray]) -> Any:
    """Convert a value to JSON.

    Parameters
    ----------
    value
        The value.
    where
        Name of the value, for error messages and for its arrays.
    arrays
        Numeric arrays are added here, by name.

    Raises
    ------
    Unsavable
        If its type, or that of a value in it, is not supported.
    """
    if type(value) in _PLAIN or (type(value) is float and math.isfinite(value)):
        return value
    if type(value) is list:
        return _encode_all(value, where, arrays)
    if isinstance(value, dict):
        named = all(type(key) is str for key in value) and TAG not in value
        if named:
            return {k: encode(v, f"{where}.{k}", arrays) for k, v in value.items()}
        items = [[k, v] for k, v in value.items()]
        return _tagged("dict", where, arrays, items=items)
    for encoder in (_encode_scalar, _encode_array, _encode_pandas, _encode_other):
        found = encoder(value, where, arrays)
        if found is not None:
            return found
    raise Unsavable(
        f"{where} cannot be saved: it is of type {type(value).__module__}."
        f"{type(value).__qualname__}. Files hold numbers, strings, lists, dicts, arrays, data "
        "frames and sparse matrices, and no code."
    )


def _encode_all(values: Any, where: str, arrays: dict[str, np.ndarray]) -> list[Any]:
    return [encode(value, f"{where}[{i}]", arrays) for i, value in enumerate(values)]


def _tagged(kind: str, where: str, arrays: dict[str, np.ndarray], **parts: Any) -> dict[str, Any]:
    encoded = {name: encode(part, f"{where}.{name}", arrays) for name, part in parts.items()}
    return {TAG: kind, **encoded}


def _encode_scalar(value: Any, where: str, arrays: dict[str, np.ndarray]) -> Any:
    if type(value) is float:
        return {TAG: "float", "value": repr(value)}
    if value is pd.NA or value is pd.NaT:
        return {TAG: "missing", "value": "NA" if value is pd.NA else "NaT"}
    if isinstance(value, np.str_):
        # str(value) drops NUL characters at the end.
        return {TAG: "numpy", "dtype": "str", "value": str.__str__(value)}
    if isinstance(value, np.generic) and value.dtype.kind in _NUMBERS + _TIMES:
        return _tagged("numpy", where, arrays, dtype=value.dtype.str, value=np.array([value]))
    if isinstance(value, pd.Timestamp | pd.Timedelta):
        return {TAG: type(value).__name__, "value": value.isoformat()}
    if isinstance(value, pd.Interval):
        return _tagged(
            "Interval", where, arrays, left=value.left, right=value.right, closed=value.closed
        )
    return None


def _encode_array(value: Any, where: str, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, torch.Tensor):
        return _tagged("tensor", where, arrays, values=value.detach().cpu().numpy())
    if type(value) is not np.ndarray:
        return None
    shape, dtype = list(value.shape), value.dtype
    if dtype.kind in _NUMBERS and dtype.itemsize <= 8:
        name = where.encode("ascii", "backslashreplace").decode()
        while name in arrays:  # keys of dicts may contain dots too
            name += "'"
        arrays[name] = np.ascontiguousarray(value, dtype=dtype.newbyteorder("=")).reshape(shape)
        return {TAG: "array", "name": name}
    if dtype.kind in _TIMES:
        values = np.ascontiguousarray(value).view(np.int64)
        return _tagged("times", where, arrays, dtype=dtype.str, values=values)
    if dtype.kind in "UO":
        items = value.ravel().tolist()
        kind = "object" if dtype.kind == "O" else dtype.str
        return _tagged("objects", where, arrays, dtype=kind, shape=shape, items=items)
    return None


def _encode_pandas(value: Any, where: str, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, pd.DataFrame):
        columns = [value.iloc[:, i].array for i in range(value.shape[1])]
        return _tagged(
            "frame", where, arrays, index=value.index, columns=value.columns, values=columns
        )
    if isinstance(value, pd.Series):
        return _tagged(
            "series", where, arrays, index=value.index, name=value.name, values=value.array
        )
    if isinstance(value, pd.RangeIndex):
        parts = [value.start, value.stop, value.step]
        return _tagged("range_index", where, arrays, parts=parts, name=value.name)
    if isinstance(value, pd.Index) and not isinstance(value, pd.MultiIndex):
        return _tagged("index", where, arrays, name=value.name, values=value.array)
    if isinstance(value, pd.Categorical):
        return _tagged(
            "categorical",
            where,
            arrays,
            codes=value.codes,
            categories=value.categories,
            ordered=bool(value.ordered),
        )
    if type(value) is pd.arrays.NumpyExtensionArray:
        return encode(value.to_numpy(), where, arrays)
    if isinstance(value, pd.api.extensions.ExtensionArray):
        # Nullable numbers, Booleans and strings, times, intervals.
        items = value.astype(object)
        return _tagged(
            "extension", where, arrays, dtype=str(value.dtype), values=np.asarray(items)
        )
    return None


def _encode_other(value: Any, where: str, arrays: dict[str, np.ndarray]) -> Any:
    if type(value) in (tuple, set, frozenset):
        return _tagged(type(value).__name__, where, arrays, items=list(value))
    if type(value) in (slice, range):
        parts = [value.start, value.stop, value.step]
        return _tagged(type(value).__name__, where, arrays, parts=parts)
    if sp.issparse(value):
        csr = sp.csr_array(value)
        return _tagged(
            "sparse",
            where,
            arrays,
            format=value.format,
            matrix=isinstance(value, sp.spmatrix),
            shape=list(value.shape),
            data=csr.data,
            indices=csr.indices,
            indptr=csr.indptr,
        )
    for record, cls in _RECORDS.items():
        if type(value) is cls:
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(cls)}
            return _tagged("record", where, arrays, name=record, fields=fields)
    name = getattr(value, "__name__", type(value).__name__)
    if isinstance(value, type) and getattr(torch.nn, name, None) is value:
        return {TAG: "torch.nn", "name": name}
    if callable(value) and where in _FUNCTIONS:
        return {TAG: "function", "name": name}
    return None


# -- decoding ----------------------------------------------------------------------------------


def decode(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Convert the JSON of :func:`encode` back to a value.

    Raises
    ------
    ValueError
        If the JSON was not written by :func:`encode`.
    """
    if isinstance(value, list):
        return [decode(one, arrays) for one in value]
    if not isinstance(value, dict):
        return value
    parts = {k: v if k == TAG else decode(v, arrays) for k, v in value.items()}
    if TAG not in parts:
        return parts
    kind = parts.pop(TAG)
    if kind not in _DECODERS:
        raise ValueError(f"it holds a value of the unknown type {kind!r}.")
    if kind == "array":
        return arrays[parts["name"]]
    return _DECODERS[kind](**parts)


def _objects(dtype: str, shape: list[int], items: list[Any]) -> np.ndarray:
    if dtype != "object":
        return np.array(items, dtype=dtype).reshape(shape)
    values = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):  # np.array would convert tuples and lists to dimensions
        values[i] = item
    return values.reshape(shape)


def _frame(index: pd.Index, columns: pd.Index, values: list[Any]) -> pd.DataFrame:
    frame = pd.DataFrame(dict(enumerate(values)), index=index)
    return frame.set_axis(columns, axis=1)


def _sparse(
    format: str, matrix: bool, shape: list[int], data: Any, indices: Any, indptr: Any
) -> Any:
    make = sp.csr_matrix if matrix else sp.csr_array
    csr = make((data, indices, indptr), shape=tuple(shape))
    csr.check_format(full_check=True)  # indices out of bounds would read arbitrary memory
    return csr.asformat(format)


def _torch_class(name: str) -> Any:
    cls = getattr(torch.nn, name, None)
    if not (isinstance(cls, type) and issubclass(cls, torch.nn.Module)):
        raise ValueError(f"torch.nn has no class {name!r}.")
    return cls


def _numpy_scalar(dtype: str, value: Any) -> Any:
    return np.str_(value) if dtype == "str" else value[0]


def _range_index(parts: list[int], name: Any) -> pd.RangeIndex:
    return pd.RangeIndex(*parts, name=name)


_DECODERS: dict[str, Callable[..., Any]] = {
    "array": lambda name: name,
    "dict": lambda items: dict(items),
    "float": lambda value: float(value),
    "missing": lambda value: _MISSING[value],
    "numpy": _numpy_scalar,
    "Timestamp": lambda value: pd.Timestamp(value),
    "Timedelta": lambda value: pd.Timedelta(value),
    "Interval": lambda left, right, closed: pd.Interval(left, right, closed),
    "tensor": lambda values: torch.from_numpy(values),
    "times": lambda dtype, values: values.view(dtype),
    "objects": _objects,
    "frame": _frame,
    "series": lambda index, name, values: pd.Series(values, index=index, name=name),
    "range_index": _range_index,
    "range": lambda parts: range(*parts),
    "index": lambda name, values: pd.Index(values, name=name),
    "categorical": lambda codes, categories, ordered: pd.Categorical.from_codes(
        codes, categories, ordered=ordered
    ),
    "extension": lambda dtype, values: pd.array(values, dtype=dtype),
    "tuple": lambda items: tuple(items),
    "set": lambda items: set(items),
    "frozenset": lambda items: frozenset(items),
    "slice": lambda parts: slice(*parts),
    "sparse": _sparse,
    "record": lambda name, fields: _RECORDS[name](**fields),
    "torch.nn": _torch_class,
    "function": MissingFunction,
}
