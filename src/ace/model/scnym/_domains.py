"""Domains of the adversary of scNym: columns of ``obs``, or labelled and unlabelled cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ace import _checks
from ace._listed import listed
from ace.model.base._obs import registered_codes, state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ace.model.scnym._model import SCNYM

#: Domains if no column of domains is given.
LABELLED_OR_NOT = ("labelled", "unlabelled")


def domain_columns(domain_key: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the columns of an argument ``domain_key``."""
    columns = _checks.column_names(domain_key, "domain_key")
    if len(set(columns)) < len(columns):
        raise ValueError(f"domain_key names a column twice: {listed(columns)}.")
    return columns


def registry_key(column: int) -> str:
    """Key of a column of domains in the registry."""
    return f"domain_{column}"


def domain_names(model: SCNYM) -> list[np.ndarray]:
    """Return the names of the domains of each column."""
    if not model.domain_keys:
        return [np.array(LABELLED_OR_NOT, dtype=object)]
    names = []
    for i in range(len(model.domain_keys)):
        state = state_of(model, registry_key(i)) or {}
        names.append(pd.Index(state["categorical_mapping"].tolist()).to_numpy())
    return names


def domain_codes(model: SCNYM, labels: np.ndarray) -> np.ndarray:
    """Return the domain of each of the model's cells, ``(n_cells, n_columns)``, -1 if unknown.

    Parameters
    ----------
    model
        The model.
    labels
        Class of each cell, negative for unlabelled cells.
    """
    if not model.domain_keys:
        return (labels < 0).astype(np.int64)[:, None]
    keys = [registry_key(i) for i in range(len(model.domain_keys))]
    return np.stack([registered_codes(model, key) for key in keys], axis=1)


def column_of(model: SCNYM, domain_key: str | None) -> int:
    """Return the position of a column of domains; ``None`` for the only one."""
    keys = model.domain_keys
    if domain_key is None and len(keys) > 1:
        raise ValueError(f"choose one of the columns of domains, domain_key=...: {listed(keys)}.")
    if domain_key is not None and domain_key not in keys:
        raise ValueError(f"domain_key must be one of {listed(keys)}, got {domain_key!r}.")
    return 0 if domain_key is None else keys.index(domain_key)
