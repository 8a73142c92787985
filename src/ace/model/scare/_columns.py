"""Columns of ``obs`` that SCARE reads: batches, types and covariates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scvi import REGISTRY_KEYS

from ace import _columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

#: Maximum number of categories in an error message.
N_NAMED = 5


def codes_of(obs: pd.DataFrame, column: str, categories: Any, n_obs: int) -> np.ndarray:
    """Position of each cell's value among the categories, -1 if unknown."""
    if column.startswith("_scvi_"):  # a single category; other models write such columns too
        return np.zeros(n_obs, dtype=np.int64)
    if column not in obs:  # labels are optional
        return np.full(n_obs, -1)
    values = _columns.column_of(obs, column)
    return _columns.codes_of(values, categories, f"adata.obs[{column!r}]")


def check_numbers(obs: pd.DataFrame, columns: Sequence[str], *, positive: bool = False) -> None:
    """Raise if a column has values that the network cannot use."""
    for column in columns:
        try:
            values = obs[column].to_numpy(dtype=np.float64)
        except (TypeError, ValueError):  # text
            values = np.array([np.nan])
        if not np.isfinite(values).all() or (positive and (values <= 0).any()):
            kind = "positive numbers" if positive else "finite numbers"
            raise ValueError(f"adata.obs[{column!r}] must hold {kind} only.")


def check_categories(
    obs: pd.DataFrame,
    columns: Sequence[str | None],
    source_registry: dict[str, Any] | None = None,
    extend_categories: bool = False,
    **kwargs: Any,
) -> None:
    """Check, before anything is written, that the categories fit those of the model."""
    registries = {} if source_registry is None else source_registry["field_registries"]
    known: dict[str, Any] = dict(
        registries.get(REGISTRY_KEYS.CAT_COVS_KEY, {})
        .get("state_registry", {})
        .get("mappings", {})
    )
    batches = _state(registries, REGISTRY_KEYS.BATCH_KEY)
    if batches:
        known[batches["original_key"]] = batches["categorical_mapping"]
    for column in known.keys() & columns:
        labels = _columns.labels_of(_columns.column_of(obs, column), f"adata.obs[{column!r}]")
        new = labels.remove_unused_categories().categories
        other = [value for value in new if _kind(value) not in set(map(_kind, known[column]))]
        if other:
            raise ValueError(
                f"adata.obs[{column!r}] holds {_kind(other[0])}, such as {other[0]!r}, but the "
                f"model was set up with {_kind(known[column][0])}, such as {known[column][0]!r}. "
                "Convert the column, for example with .astype(...), so that the same category has "
                "the same value."
            )
        unknown = new[~new.isin(known[column])].tolist()
        if unknown and not extend_categories:
            raise ValueError(
                f"the model does not know {unknown[:N_NAMED]} of adata.obs[{column!r}]; it knows "
                f"{list(known[column])[:N_NAMED]}. Learn them with load_query_data."
            )


def _state(registries: dict[str, Any], key: str) -> dict[str, Any]:
    return registries.get(key, {}).get("state_registry", {})


def _kind(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "Booleans"
    if isinstance(value, int | float | np.number):
        return "numbers"
    return "strings" if isinstance(value, str) else f"{type(value).__name__}s"


def check_columns(obs: pd.DataFrame, columns: Sequence[str], labels_key: str | None) -> None:
    """Check, before anything is written, that columns exist and have no missing values."""
    for column in columns:
        values = _columns.column_of(obs, column)
        n_missing = int((_columns.labels_of(values, f"adata.obs[{column!r}]").codes < 0).sum())
        if column != labels_key and n_missing:
            raise ValueError(
                f"adata.obs[{column!r}] is missing for {n_missing} cells. "
                "Leave these cells out, or give them a value."
            )
