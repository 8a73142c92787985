"""Read columns of ``obs`` and ``var`` of any pandas type.

Comparisons of nullable strings, Booleans and integers give ``pd.NA`` where a value is missing, and
columns with the same values may have different types. All code that reads groups, labels or flags
from a data frame uses these functions.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionDtype

from ace._listed import listed

if TYPE_CHECKING:
    from collections.abc import Sequence


def column_of(frame: pd.DataFrame, key: Any, place: str = "adata.obs") -> pd.Series:
    """Return one column of a frame; messages call the frame ``place``.

    Raises
    ------
    KeyError
        If there is no such column; the message suggests a similar one.
    TypeError
        If ``key`` is not the name of one column.
    ValueError
        If several columns have that name.
    """
    if not isinstance(key, str | int | np.integer):
        raise TypeError(f"name one column of {place}, such as 'cell_type', got {key!r:.60}.")
    if key not in frame.columns:
        near = difflib.get_close_matches(str(key), list(map(str, frame.columns)), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise KeyError(
            f"there is no column {key!r} in {place}, which has {listed(frame.columns)}.{hint}"
        )
    column = frame[key]
    if isinstance(column, pd.DataFrame):
        raise ValueError(
            f"{place} has {column.shape[1]} columns named {key!r}. Keep the first of them: "
            f"`{place} = {place}.loc[:, ~{place}.columns.duplicated()].copy()`."
        )
    return column


def labels_of(values: pd.Series, place: str) -> pd.Categorical:
    """Return the label of each row; the code is -1 if it is missing.

    The categories are strings, Booleans or numbers, never of a nullable type.

    Raises
    ------
    ValueError
        If a value is a list, dict or another container.
    """
    if isinstance(values.dtype, pd.SparseDtype):
        values = values.sparse.to_dense()
    try:
        labels = pd.Categorical(values)
    except TypeError as error:
        kinds = {type(value).__name__ for value in values if not _is_hashable(value)}
        if not kinds:
            raise
        raise ValueError(
            f"{place} holds values that cannot be labels ({', '.join(sorted(kinds))}). Convert "
            f"them to strings: `{place} = {place}.astype(str)`."
        ) from error
    plain = labels.categories
    if isinstance(plain.dtype, ExtensionDtype):
        plain = pd.Index(plain.tolist(), tupleize_cols=False)
        labels = pd.Categorical.from_codes(labels.codes, categories=plain, ordered=labels.ordered)
    return labels


def without(labels: pd.Categorical, category: Any) -> pd.Categorical:
    """Return the labels with a category set to missing, if it exists."""
    # False equals 0 here, as in a dictionary, but not in an index of Booleans.
    return labels.remove_categories([known for known in labels.categories if known == category])


def codes_of(values: pd.Series, categories: Sequence[Any] | np.ndarray, place: str) -> np.ndarray:
    """Position of each row's label in ``categories``; -1 if it is missing or not in them."""
    labels = labels_of(values, place)
    known = pd.Index(list(categories), dtype=object, tupleize_cols=False)
    own = pd.Index(list(labels.categories), dtype=object, tupleize_cols=False)
    # The code -1 of a missing label selects the last element.
    return np.append(known.get_indexer(own), -1)[labels.codes].astype(np.int64)


def flags_of(values: pd.Series, place: str) -> np.ndarray:
    """Convert a column to a Boolean array; missing values are false.

    Raises
    ------
    ValueError
        If there are values other than true and false, or 1 and 0.
    """
    labels = labels_of(values, place).remove_unused_categories()
    other = [value for value in labels.categories if _flag(value) is None]
    if other:
        true = next((value for value in other if str(value).lower() == "true"), other[0])
        raise ValueError(
            f"{place} must be Boolean, but it holds {listed(other)}. Define which values are "
            f"true: `{place} = {place} == {true!r}`."
        )
    flags = [bool(_flag(value)) for value in labels.categories]
    return np.array([*flags, False], dtype=bool)[labels.codes]


def _flag(value: Any) -> bool | None:
    """Convert a Boolean, 1 or 0 to ``bool``; ``None`` for anything else."""
    is_number = isinstance(value, bool | int | float | np.bool_ | np.number)
    return bool(value) if is_number and value in (0, 1) else None


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
