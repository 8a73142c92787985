"""Check arrays: matrices, coordinates, numbers and labels of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import ArrayLike, NDArray

Matrix: TypeAlias = np.ndarray | sparse.spmatrix | sparse.sparray

#: Larger values overflow in sums of squares, as in distances and correlations.
LARGEST = 1e15


def matrix(X: Matrix, name: str = "X") -> Matrix:
    """Return a matrix of cells × genes in memory: dense as it is, sparse as CSC.

    Values are not checked; see :func:`finite_values` and :func:`dense_columns`.

    Raises
    ------
    TypeError
        If it is an AnnData.
    ValueError
        If it does not hold numbers, is not two-dimensional, or is empty.
    """
    X = _in_memory(X, name)
    if X.ndim != 2:
        raise ValueError(f"{name} must be a matrix of cells × genes, got {X.ndim} dimension(s).")
    if 0 in X.shape:
        raise ValueError(
            f"{name} is empty, of shape {X.shape}; pass at least one cell and one gene."
        )
    if not sparse.issparse(X):
        return X
    if X.dtype.kind == "b" or X.dtype == np.float16:  # SciPy supports neither
        X = X.astype(np.float32)
    # CSC gives the few columns of a panel without a pass over the whole matrix.
    return X if X.format == "csc" else X.tocsc()


def dense_columns(X: Matrix, columns: NDArray[np.intp], name: str = "X") -> NDArray[np.float64]:
    """Return columns of a matrix as a dense array, after checking that they are finite."""
    picked = X[:, columns]
    values = picked if isinstance(picked, np.ndarray) else picked.toarray()
    finite_values(values, f"in the genes of a panel, {name}")
    return values.astype(np.float64)


def numbers(values: ArrayLike, name: str, dtype: type[np.floating] = np.float64) -> NDArray[Any]:
    """Return finite numbers as a dense array."""
    array = _in_memory(values, name)
    array = array.toarray() if sparse.issparse(array) else array
    finite_values(array, name)
    return array.astype(dtype)


def coordinates(z: ArrayLike, name: str) -> NDArray[np.float32]:
    """Return the coordinates of at least one cell, cells × dimensions."""
    values = numbers(z, name, np.float32)
    if values.ndim != 2:
        raise ValueError(
            f"{name} must be a matrix of cells × dimensions, got {values.ndim} dimension(s)."
        )
    if not values.size:
        raise ValueError(f"{name} is empty, of shape {values.shape}.")
    return values


def per_cell(values: ArrayLike, n_cells: int, name: str) -> NDArray[np.float64]:
    """Return one finite number per cell."""
    array = numbers(values, name)
    if array.shape != (n_cells,):
        raise ValueError(
            f"{name} must have one value per cell, {n_cells} in all, got shape {array.shape}."
        )
    return array


def finite_values(values: Matrix, where: str) -> None:
    """Raise a ``ValueError`` if values are NaN, infinite, or too large to square."""
    stored: Any = values.data if sparse.issparse(values) else values
    if not stored.size:
        return
    lowest, highest = float(stored.min()), float(stored.max())  # NaN if any value is
    if not np.isfinite([lowest, highest]).all():
        raise ValueError(f"{where} holds NaN or infinite values.")
    if max(-lowest, highest) > LARGEST:
        raise ValueError(
            f"{where} holds values as large as {max(-lowest, highest):.2g}, whose squares "
            f"overflow; scale them below {LARGEST:g}, or take their logarithm."
        )


def labels(
    values: ArrayLike, n_cells: int | None = None, name: str = "labels", *, several: bool = False
) -> NDArray[np.str_]:
    """Return one label per cell, as text.

    Parameters
    ----------
    values
        The labels.
    n_cells
        Number of cells; ``None`` for any number above 0.
    name
        Name of the argument, for messages.
    several
        Require at least two different labels.
    """
    array = plain_array(values)
    if array.ndim != 1 or len(array) != (len(array) if n_cells is None else n_cells):
        each = "each cell" if n_cells is None else f"each of {n_cells} cells"
        raise ValueError(f"{name} must have one label for {each}, got shape {array.shape}.")
    if not len(array):
        raise ValueError(f"{name} is empty; pass one label per cell.")
    masked = values.mask if isinstance(values, np.ma.MaskedArray) else False
    missing = int(np.sum(pd.isna(array) | masked))
    if missing:
        raise ValueError(f"{missing} {name} are missing; remove those cells: X[{name}.notna()].")
    text = array.astype(str)
    if array.dtype.kind == "O" and len(_distinct(array, name)) > len(np.unique(text)):
        raise ValueError(f"{name} has different labels that are equal as text, such as 1 and '1'.")
    if several and len(np.unique(text)) < 2:
        raise ValueError(
            f"{name} has only one value, {text[:1].tolist()}; at least two are needed."
        )
    return text


def plain_array(values: Any) -> NDArray[Any]:
    """Convert to an array; ragged lists become an empty 3D array, which all checks reject."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError):
        return np.empty((0, 0, 0))


def _in_memory(values: Any, name: str) -> Any:
    """Read numbers into memory: a SciPy sparse matrix as it is, everything else as an array."""
    if hasattr(values, "obs_names"):  # AnnData and MuData, which are not imported here
        raise TypeError(
            f"{name} must be an array, got {type(values).__name__}; pass one of its arrays, such "
            "as adata.X, adata.layers[...] or adata.obsm[...]."
        )
    for read in ("to_memory", "compute"):  # a sparse matrix on disk; dask
        values = getattr(values, read)() if hasattr(values, read) else values
    if np.ma.is_masked(values):
        raise ValueError(f"{name} has masked values; replace them, such as by {name}.filled(0).")
    try:
        array = values if sparse.issparse(values) else np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # such as rows of different lengths
        raise ValueError(f"{name} must be an array of numbers: {error}") from None
    if array.dtype.kind == "O" and pd.api.types.infer_dtype(array.ravel(), skipna=False) in (
        "floating",
        "integer",
        "mixed-integer-float",
    ):
        array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold numbers, got values of type {array.dtype}.")
    return array


def _distinct(values: NDArray[np.object_], name: str) -> set[Hashable]:
    try:
        return set(values.tolist())
    except TypeError:
        raise ValueError(
            f"{name} must be strings or numbers, not lists or dictionaries."
        ) from None
