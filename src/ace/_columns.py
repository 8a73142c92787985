"""Columns of ``obs`` and ``var`` in plain terms, whatever pandas type holds them.

Nullable strings, Booleans and whole numbers compare to ``pd.NA`` where a value is missing, and two
columns that hold the same values need not have the same type. Everything that reads groups, labels
or flags from a frame goes through these functions.
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
    """Give one column of a frame that the user calls ``place``.

    Raises
    ------
    KeyError
        If there is none, with the nearest.
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
    """Give the label of each row; codes are -1 where it is missing.

    The categories are plain values: strings, Booleans or numbers, never of a nullable type.

    Raises
    ------
    ValueError
        If values are lists, dicts or the like.
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
            f"{place} holds values that are no labels ({', '.join(sorted(kinds))}). Turn them "
            f"into text: `{place} = {place}.astype(str)`."
        ) from error
    plain = labels.categories
    if isinstance(plain.dtype, ExtensionDtype):
        plain = pd.Index(plain.tolist(), tupleize_cols=False)
        labels = pd.Categorical.from_codes(labels.codes, categories=plain, ordered=labels.ordered)
    return labels


def without(labels: pd.Categorical, category: Any) -> pd.Categorical:
    """Labels among which a category, if there is one of that value, means a missing label."""
    # False is 0 here, as it is for a dictionary; for an index of Booleans it is not.
    return labels.remove_categories([known for known in labels.categories if known == category])


def codes_of(values: pd.Series, categories: Sequence[Any] | np.ndarray, place: str) -> np.ndarray:
    """Position of each row's label among ``categories``; -1 if it is missing or not among them."""
    labels = labels_of(values, place)
    known = pd.Index(list(categories), dtype=object, tupleize_cols=False)
    own = pd.Index(list(labels.categories), dtype=object, tupleize_cols=False)
    # The last position is where the code -1 of a missing label points.
    return np.append(known.get_indexer(own), -1)[labels.codes].astype(np.int64)


def flags_of(values: pd.Series, place: str) -> np.ndarray:
    """Boolean array; a missing value is no flag.

    Raises
    ------
    ValueError
        If there are values other than true and false (or 1 and 0).
    """
    labels = labels_of(values, place).remove_unused_categories()
    other = [value for value in labels.categories if _flag(value) is None]
    if other:
        true = next((value for value in other if str(value).lower() == "true"), other[0])
        raise ValueError(
            f"{place} must be Boolean, but it holds {listed(other)}. Say which values mean true: "
            f"`{place} = {place} == {true!r}`."
        )
    flags = [bool(_flag(value)) for value in labels.categories]
    return np.array([*flags, False], dtype=bool)[labels.codes]


def _flag(value: Any) -> bool | None:
    """Truth of a Boolean, 1 or 0; ``None`` of anything else."""
    is_number = isinstance(value, bool | int | float | np.bool_ | np.number)
    return bool(value) if is_number and value in (0, 1) else None


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
