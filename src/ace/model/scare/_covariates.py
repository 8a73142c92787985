"""Data fields of SCARE: registration, checks, and reading of covariates by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scvi import REGISTRY_KEYS
from scvi.data.fields import (
    CategoricalJointObsField,
    CategoricalObsField,
    NumericalJointObsField,
    NumericalObsField,
)

from ace import _checks
from ace._checks import _columns
from ace.model.adapter._requirements import require_columns
from ace.model.base._fields import GenesField, LabelsField

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from scvi.data.fields import AnnDataField

#: Maximum number of categories in an error message.
N_NAMED = 5

#: Arguments of the set-up that name columns of ``obs``.
COLUMNS = (
    "batch_key",
    "labels_key",
    "size_factor_key",
    "categorical_covariate_keys",
    "continuous_covariate_keys",
)
#: Fields that are columns of ``obs``.
FIELDS = (
    REGISTRY_KEYS.BATCH_KEY,
    REGISTRY_KEYS.LABELS_KEY,
    REGISTRY_KEYS.SIZE_FACTOR_KEY,
    REGISTRY_KEYS.CAT_COVS_KEY,
    REGISTRY_KEYS.CONT_COVS_KEY,
)
#: Fields in the order in which the encoder takes them.
ENCODER_FIELDS = (
    REGISTRY_KEYS.BATCH_KEY,
    REGISTRY_KEYS.CONT_COVS_KEY,
    REGISTRY_KEYS.CAT_COVS_KEY,
)


def fields_of(**arguments: Any) -> list[tuple[str, AnnDataField]]:
    """Return the fields of SCARE, each with the argument of the set-up that names it."""
    labels_key = arguments["labels_key"]
    labels = (
        CategoricalObsField(REGISTRY_KEYS.LABELS_KEY, None)
        if labels_key is None
        else LabelsField(REGISTRY_KEYS.LABELS_KEY, labels_key)
    )
    size_factor = NumericalObsField(
        REGISTRY_KEYS.SIZE_FACTOR_KEY, arguments["size_factor_key"], required=False
    )
    categories = CategoricalJointObsField(
        REGISTRY_KEYS.CAT_COVS_KEY, arguments["categorical_covariate_keys"]
    )
    numbers = NumericalJointObsField(
        REGISTRY_KEYS.CONT_COVS_KEY, arguments["continuous_covariate_keys"]
    )
    return [
        ("layer", GenesField(arguments["layer"])),
        ("batch_key", CategoricalObsField(REGISTRY_KEYS.BATCH_KEY, arguments["batch_key"])),
        ("labels_key", labels),
        ("size_factor_key", size_factor),
        ("categorical_covariate_keys", categories),
        ("continuous_covariate_keys", numbers),
    ]


def read_covariates(
    registries: Mapping[str, Any],
    obs_of: Callable[[str], pd.DataFrame],
    name: str,
) -> dict[str, np.ndarray]:
    """Read the registered columns of cells, without registering the cells.

    Parameters
    ----------
    registries
        Registry of each field of the model.
    obs_of
        Returns the ``obs`` that holds a field, with a row for each cell.
    name
        Name of the model, for messages.

    Returns
    -------
    Array of shape ``(n_cells, n_columns)`` for each field. Categories are codes, -1 for labels
    that the model does not know (which no network reads); numbers are float32.

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        If a category is unknown, or a value is missing or not a finite number.
    """
    found: dict[str, np.ndarray] = {}
    for key in FIELDS:
        if key not in registries or not registries[key]["data_registry"]:
            continue
        obs, state = obs_of(key), registries[key]["state_registry"]
        if key != REGISTRY_KEYS.LABELS_KEY:
            require_columns(dict(registries), [key], obs, name)
        if "categorical_mapping" in state:
            found[key] = _codes(obs, state["original_key"], state["categorical_mapping"])[:, None]
        elif "mappings" in state:
            codes = [_codes(obs, column, known) for column, known in state["mappings"].items()]
            found[key] = np.stack(codes, axis=1)
        else:
            column = registries[key]["data_registry"]["attr_key"]
            columns = list(state.get("columns", [column]))
            check_complete(obs, columns)
            check_numbers(obs, columns, positive=key == REGISTRY_KEYS.SIZE_FACTOR_KEY)
            found[key] = obs[columns].to_numpy(dtype=np.float32)
    return found


def check_columns(
    obs_of: Callable[[str], pd.DataFrame],
    arguments: Mapping[str, Any],
    source_registry: dict[str, Any] | None = None,
    extend_categories: bool = False,
    **kwargs: Any,
) -> None:
    """Check the columns of a set-up before anything is written.

    Parameters
    ----------
    obs_of
        Returns the ``obs`` that holds the columns of an argument.
    arguments
        Arguments of the set-up.
    source_registry
        Registry of the model that the cells are registered for, if there is one.
    extend_categories
        Whether new categories are allowed.
    **kwargs
        Not used.

    Raises
    ------
    KeyError
        If a column does not exist.
    ValueError
        If a value is missing, not a finite number, or a category does not fit the model.
    """
    for argument in COLUMNS:
        given = arguments[argument]
        if argument.endswith("_keys"):
            names = _checks.column_names(given, argument)
        else:
            names = () if given is None else (given,)
        obs = obs_of(argument)
        if argument == "labels_key":
            if source_registry is None:  # labels are optional for a trained model
                check_exist(obs, names)
            continue
        check_complete(obs, names)
        if argument in ("size_factor_key", "continuous_covariate_keys"):
            check_numbers(obs, names, positive=argument == "size_factor_key")
        elif source_registry is not None:
            _check_categories(obs, names, source_registry, extend_categories)


def check_exist(obs: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise if a column does not exist or does not hold labels."""
    for column in columns:
        _columns.labels_of(_columns.column_of(obs, column), f"adata.obs[{column!r}]")


def check_complete(obs: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise if a column does not exist or has missing values."""
    for column in columns:
        values = _columns.labels_of(_columns.column_of(obs, column), f"adata.obs[{column!r}]")
        n_missing = int((values.codes < 0).sum())
        if n_missing:
            raise ValueError(
                f"adata.obs[{column!r}] is missing for {n_missing} cells. Leave these cells out, "
                "or give them a value."
            )


def check_numbers(obs: pd.DataFrame, columns: Sequence[str], *, positive: bool = False) -> None:
    """Raise if a column holds values other than finite (or positive) numbers."""
    for column in columns:
        try:
            values = obs[column].to_numpy(dtype=np.float64)
        except (TypeError, ValueError):  # text
            values = np.array([np.nan])
        if not np.isfinite(values).all() or (positive and (values <= 0).any()):
            kind = "positive numbers" if positive else "finite numbers"
            raise ValueError(f"adata.obs[{column!r}] must hold {kind} only.")


def _check_categories(
    obs: pd.DataFrame,
    columns: Sequence[str],
    source_registry: dict[str, Any],
    extend_categories: bool,
) -> None:
    """Raise if categories are of another type than those of the model, or unknown to it."""
    registries = source_registry["field_registries"]
    known: dict[str, Any] = dict(
        _state(registries, REGISTRY_KEYS.CAT_COVS_KEY).get("mappings", {})
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
                f"{list(known[column])[:N_NAMED]}. Train it on them with load_query_data."
            )


def _codes(obs: pd.DataFrame, column: str, categories: Any) -> np.ndarray:
    """Return the position of each cell's value among the categories, -1 if unknown."""
    if column.startswith("_scvi_"):  # a single category; other models write such columns too
        return np.zeros(len(obs), dtype=np.int64)
    if column not in obs:  # labels are optional
        return np.full(len(obs), -1)
    values = _columns.column_of(obs, column)
    return _columns.codes_of(values, categories, f"adata.obs[{column!r}]")


def _state(registries: dict[str, Any], key: str) -> dict[str, Any]:
    return registries.get(key, {}).get("state_registry", {})


def _kind(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "Booleans"
    if isinstance(value, int | float | np.number):
        return "numbers"
    return "strings" if isinstance(value, str) else f"{type(value).__name__}s"
