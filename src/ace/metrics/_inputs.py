"""What the panel metrics accept."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from ace._listed import listed

Matrix: TypeAlias = np.ndarray | sparse.spmatrix | sparse.sparray
Panels: TypeAlias = Mapping[Hashable, Sequence[int] | NDArray[np.integer]]


def check_matrix(X: Matrix) -> Matrix:
    """Give the matrix in a format whose columns can be picked."""
    if isinstance(X, sparse.spmatrix | sparse.sparray):
        # CSC picks the few columns of a panel without a pass over the whole matrix.
        return X if X.format == "csc" else X.tocsc()
    X = np.asarray(X)
    if X.ndim != 2:
        msg = f"X must be a matrix of cells × genes, got {X.ndim} dimension(s)."
        raise ValueError(msg)
    return X


def check_latent(z: ArrayLike, name: str) -> NDArray[np.float32]:
    """Give coordinates of cells, at least one, as a matrix."""
    values = np.asarray(z, dtype=np.float32)
    if values.ndim != 2:
        msg = f"{name} must be a matrix of cells × dimensions, got {values.ndim} dimension(s)."
        raise ValueError(msg)
    if not values.size:
        msg = f"{name} is empty, of shape {values.shape}."
        raise ValueError(msg)
    if not np.isfinite(values).all():
        msg = f"{name} holds NaN or infinite values."
        raise ValueError(msg)
    return values


def check_labels(labels: ArrayLike, n_cells: int) -> NDArray[np.str_]:
    """Group names as text, one per cell."""
    values = np.asarray(labels)
    if values.shape != (n_cells,):
        msg = f"labels must name a group for each of {n_cells} cells, got shape {values.shape}."
        raise ValueError(msg)
    missing = int(pd.isna(values).sum())
    if missing:
        msg = f"{missing} labels are missing; leave those cells out: X[labels.notna()]."
        raise ValueError(msg)
    return values.astype(str)


def check_n_top(n_top: float | Sequence[float], n_genes: int | None = None) -> tuple[int, ...]:
    """Numbers of genes, ascending and without repeats; shares are taken of `n_genes`."""
    values = np.atleast_1d(np.asarray(n_top))
    if n_genes is not None and values.dtype.kind == "f" and ((values > 0) & (values <= 1)).all():
        # Rounded down, as the papers do (18 genes are 1 % of 1838), but 0.29 * 100 must be 29.
        values = np.maximum(np.floor(values * n_genes + 1e-9), 1).astype(np.intp)
    if values.ndim != 1 or not len(values) or values.dtype.kind not in "iu" or values.min() < 1:
        shares = "" if n_genes is None else ", or shares of the genes between 0.0 and 1.0"
        msg = f"n_top must be a positive integer or several of them{shares}, got {n_top!r}."
        raise ValueError(msg)
    return tuple(sorted({int(v) for v in values}))


def check_panels(panels: Panels, n_genes: int, n_top: int) -> dict[str, NDArray[np.intp]]:
    """Give the first `n_top` columns of each group's panel, under the group's name as text."""
    if not panels:
        msg = "panels is empty; give {group: column indices, best first}."
        raise ValueError(msg)
    checked = {}
    for group, columns in panels.items():
        values = np.asarray(columns)
        if values.ndim != 1 or (values.dtype.kind not in "iu" and len(values)):
            msg = (
                f"The panel of group {group!r} must be a sequence of column indices, got "
                f"{columns!r:.60}. For gene names: adata.var_names.get_indexer(names)."
            )
            raise ValueError(msg)
        if len(values) < n_top:
            msg = (
                f"The panel of group {group!r} has {len(values)} genes, fewer than the "
                f"n_top={n_top} asked for."
            )
            raise ValueError(msg)
        values = values[:n_top].astype(np.intp)
        if values.min() < 0 or values.max() >= n_genes:
            msg = f"The panel of group {group!r} names columns outside 0 … {n_genes - 1}."
            raise ValueError(msg)
        if len(np.unique(values)) < len(values):
            msg = f"The panel of group {group!r} names a column twice."
            raise ValueError(msg)
        checked[str(group)] = values
    return checked


def check_known(panels: Mapping[str, object], labels: NDArray[np.str_]) -> None:
    """Fail if a panel belongs to a group that no cell has."""
    known = np.unique(labels)
    unknown = sorted(set(panels) - set(known))
    if unknown:
        msg = f"No cell is labelled {listed(unknown)}; labels has the groups {listed(known)}."
        raise ValueError(msg)


def dense_columns(X: Matrix, columns: NDArray[np.intp]) -> NDArray[np.float64]:
    """Take columns out of the matrix; they are all that is ever made dense."""
    picked = X[:, columns]
    values = picked if isinstance(picked, np.ndarray) else picked.toarray()
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        msg = "X holds NaN or infinite values in the genes of a panel."
        raise ValueError(msg)
    return values
