"""Judge the result of a call: whether an error is clear, and what has changed."""

from __future__ import annotations

import ast
import copy
import functools
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

import ace

if TYPE_CHECKING:
    from anndata import AnnData

SOURCE = Path(ace.__file__).parent
CLEAR = (ValueError, TypeError, KeyError, RuntimeError, ImportError)
#: Maximum length of messages.
LONGEST = 2000
_LOCATED = ("layers", "obsm", "varm", "obsp", "varp", "uns")


def unclear(error: BaseException) -> str | None:
    """Why an error is not clear to users; ``None`` if it is."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    if not isinstance(error, CLEAR):
        return f"{type(error).__name__} at {where}: {error}"
    if SOURCE not in Path(last.filename).parents:
        return f"{type(error).__name__} raised outside of ace at {where}: {error}"
    if last.lineno not in _raising_lines(last.filename):
        return f"{type(error).__name__} not raised explicitly at {where}: {error}"
    if len(str(error)) > LONGEST:
        return f"message of {len(str(error))} characters at {where}"
    return None


@functools.cache
def _raising_lines(filename: str) -> frozenset[int]:
    """Lines of a file that belong to a ``raise``."""
    tree = ast.parse(Path(filename).read_text(encoding="utf-8"))
    raises = [node for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    return frozenset(
        line for node in raises for line in range(node.lineno, (node.end_lineno or 0) + 1)
    )


def snapshot(adata: AnnData) -> dict[str, Any]:
    """Copy everything in an AnnData, by location."""
    found: dict[str, Any] = {"X": _copied(adata.X)}
    for place in ("obs", "var"):
        found[place] = getattr(adata, place).copy(deep=True)
    for place in _LOCATED:
        for key, value in dict(getattr(adata, place)).items():
            found[f"{place}/{key}"] = _copied(value)
    return found


def changes(before: dict[str, Any], adata: AnnData, allowed: tuple[str, ...] = ()) -> list[str]:
    """Locations that have changed, except those that start with one of ``allowed``."""
    after = snapshot(adata)
    places = sorted(before.keys() | after.keys())
    changed = []
    for place in places:
        if place.startswith(allowed) if allowed else False:
            continue
        if place not in before or place not in after:
            changed.append(f"{place} {'appeared' if place in after else 'is gone'}")
        elif place in ("obs", "var"):
            changed += _changed_columns(place, before[place], after[place], allowed)
        elif not same(before[place], after[place]):
            changed.append(f"{place} differs")
    return changed


def _changed_columns(
    place: str, before: pd.DataFrame, after: pd.DataFrame, allowed: tuple[str, ...]
) -> list[str]:
    kept = [not f"{place}/{column}".startswith(allowed or ("\0",)) for column in after.columns]
    was = [not f"{place}/{column}".startswith(allowed or ("\0",)) for column in before.columns]
    old, new = before.loc[:, was], after.loc[:, kept]
    if list(map(str, old.columns)) != list(map(str, new.columns)):
        return [f"columns of {place} were {list(old.columns)}, are {list(new.columns)}"]
    if not old.index.equals(new.index):
        return [f"index of {place} differs"]
    different = [
        str(name) for i, name in enumerate(old.columns) if not same(old.iloc[:, i], new.iloc[:, i])
    ]
    return [f"{place}/{name} differs" for name in different]


def _copied(value: Any) -> Any:
    if sparse.issparse(value) or isinstance(value, np.ndarray | pd.DataFrame):
        return value.copy()
    for read in ("to_memory", "compute"):
        if hasattr(value, read):
            return getattr(value, read)()
    if value.__class__.__module__.startswith("h5py"):
        return value[()]
    return copy.deepcopy(value)


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal, including their types and dtypes; NaN equals NaN."""
    if sparse.issparse(a) and sparse.issparse(b):
        return a.format == b.format and a.dtype == b.dtype and same(a.toarray(), b.toarray())
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if a.dtype != b.dtype or a.shape != b.shape:
            return False
        if a.dtype.kind in "fc":
            return bool(np.array_equal(a, b, equal_nan=True))
        return bool(np.array_equal(a, b)) if a.dtype.kind != "O" else str(a) == str(b)
    if isinstance(a, pd.DataFrame) and isinstance(b, pd.DataFrame):
        return list(a.columns) == list(b.columns) and all(
            same(a.iloc[:, i], b.iloc[:, i]) for i in range(a.shape[1])
        )
    if isinstance(a, pd.Series) and isinstance(b, pd.Series):
        return a.dtype == b.dtype and a.equals(b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and str(a) == str(b)
