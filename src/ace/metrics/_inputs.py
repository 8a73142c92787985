"""What the metrics accept."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from ace._listed import listed

Matrix: TypeAlias = np.ndarray | sparse.spmatrix | sparse.sparray
Panels: TypeAlias = Mapping[Hashable, Sequence[int] | NDArray[np.integer]]

#: Larger values overflow in the sums of squares of distances and correlations.
LARGEST = 1e15


def check_matrix(X: Matrix) -> Matrix:
    """Return the matrix in memory, sparse or dense as given, with fast access to columns."""
    X = _array(X, "X")
    if X.ndim != 2:
        msg = f"X must be a matrix of cells × genes, got {X.ndim} dimension(s)."
        raise ValueError(msg)
    if 0 in X.shape:
        msg = f"X is empty, of shape {X.shape}; give at least one cell and one gene."
        raise ValueError(msg)
    if not sparse.issparse(X):
        return X
    if X.dtype.kind == "b" or X.dtype == np.float16:  # SciPy supports neither
        X = X.astype(np.float32)
    # CSC picks the few columns of a panel without a pass over the whole matrix.
    return X if X.format == "csc" else X.tocsc()


def check_numbers(
    values: ArrayLike, name: str, dtype: type[np.floating] = np.float64
) -> NDArray[Any]:
    """Return finite numbers as an array."""
    array = _array(values, name)
    array = array.toarray() if sparse.issparse(array) else array
    check_finite(array, f"{name} holds")
    return array.astype(dtype)


def check_finite(values: Matrix, holds: str) -> None:
    """Raise if values are NaN, infinite, or so large that their squares overflow."""
    stored: Any = values.data if sparse.issparse(values) else values
    if not stored.size:
        return
    lowest, highest = float(stored.min()), float(stored.max())  # NaN if any value is
    if not np.isfinite([lowest, highest]).all():
        msg = f"{holds} NaN or infinite values."
        raise ValueError(msg)
    if max(-lowest, highest) > LARGEST:
        msg = (
            f"{holds} values as large as {max(-lowest, highest):.2g}, whose squares overflow; "
            f"scale them below {LARGEST:g}, or take their logarithm."
        )
        raise ValueError(msg)


def _array(values: Any, name: str) -> Any:
    """Read numbers into memory: a SciPy sparse matrix as it is, everything else as an array."""
    if hasattr(values, "obs_names"):  # AnnData and MuData, which are not imported here
        msg = (
            f"{name} must be an array, got {type(values).__name__}; pass one of its own, such as "
            "adata.X, adata.layers[...] or adata.obsm[...]."
        )
        raise TypeError(msg)
    for read in ("to_memory", "compute"):  # a sparse matrix on disk; dask
        values = getattr(values, read)() if hasattr(values, read) else values
    if np.ma.is_masked(values):
        msg = f"{name} has masked values; replace them, such as by {name}.filled(0)."
        raise ValueError(msg)
    try:
        array = values if sparse.issparse(values) else np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # rows of different lengths, say
        msg = f"{name} must be an array of numbers: {error}"
        raise ValueError(msg) from None
    if array.dtype.kind == "O" and pd.api.types.infer_dtype(array.ravel(), skipna=False) in (
        "floating",
        "integer",
        "mixed-integer-float",
    ):
        array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        msg = f"{name} must hold numbers, got values of type {array.dtype}."
        raise ValueError(msg)
    return array


def plain_array(values: Any) -> NDArray[Any]:
    """Convert to an array; ragged lists become an empty 3D array, which all checks reject."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError):
        return np.empty((0, 0, 0))


def check_latent(z: ArrayLike, name: str) -> NDArray[np.float32]:
    """Give coordinates of cells, at least one, as a matrix."""
    values = check_numbers(z, name, np.float32)
    if values.ndim != 2:
        msg = f"{name} must be a matrix of cells × dimensions, got {values.ndim} dimension(s)."
        raise ValueError(msg)
    if not values.size:
        msg = f"{name} is empty, of shape {values.shape}."
        raise ValueError(msg)
    return values


def check_labels(
    labels: ArrayLike, n_cells: int | None = None, name: str = "labels"
) -> NDArray[np.str_]:
    """Return group names as text, one per cell; ``n_cells=None``: of at least one cell."""
    values = plain_array(labels)
    if values.ndim != 1 or len(values) != (len(values) if n_cells is None else n_cells):
        each = "each cell" if n_cells is None else f"each of {n_cells} cells"
        msg = f"{name} must name a group for {each}, got shape {values.shape}."
        raise ValueError(msg)
    if not len(values):
        msg = f"{name} is empty; name the group of each cell."
        raise ValueError(msg)
    masked = labels.mask if isinstance(labels, np.ma.MaskedArray) else False
    missing = int(np.sum(pd.isna(values) | masked))
    if missing:
        msg = f"{missing} {name} are missing; leave those cells out: X[{name}.notna()]."
        raise ValueError(msg)
    text = values.astype(str)
    if values.dtype.kind == "O" and len(_distinct(values, name)) > len(np.unique(text)):
        msg = f"{name} has different groups with the same name as text, such as 1 and '1'."
        raise ValueError(msg)
    return text


def _distinct(values: NDArray[np.object_], name: str) -> set[Hashable]:
    try:
        return set(values.tolist())
    except TypeError:
        msg = f"{name} must be names or numbers, which lists and dictionaries are not."
        raise ValueError(msg) from None


def check_n_top(n_top: float | Sequence[float], n_genes: int | None = None) -> tuple[int, ...]:
    """Numbers of genes, ascending and without repeats; shares are taken of `n_genes`."""
    values = np.atleast_1d(plain_array(n_top))
    if n_genes is not None and values.dtype.kind == "f" and ((values > 0) & (values <= 1)).all():
        # Rounded down, as the papers do (18 genes are 1 % of 1838), but 0.29 * 100 must be 29.
        values = np.maximum(np.floor(values * n_genes + 1e-9), 1).astype(np.intp)
    if values.ndim != 1 or not len(values) or values.dtype.kind not in "iu" or values.min() < 1:
        shares = "" if n_genes is None else ", or shares of the genes between 0.0 and 1.0"
        msg = f"n_top must be a positive integer or several of them{shares}, got {n_top!r:.60}."
        raise ValueError(msg)
    return tuple(sorted({int(v) for v in values}))


def check_n_jobs(n_jobs: int | None) -> None:
    """Raise if joblib does not accept the number of workers (negative ones are allowed)."""
    if n_jobs is None:
        return
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, Integral) or n_jobs == 0:
        msg = f"n_jobs must be a whole number other than 0, or None, got {n_jobs!r:.60}."
        raise ValueError(msg)


def check_panels(panels: Panels, n_genes: int, n_top: int) -> dict[str, NDArray[np.intp]]:
    """Give the first `n_top` columns of each group's panel, under the group's name as text."""
    if not isinstance(panels, Mapping):
        msg = (
            f"panels must be {{group: column indices, best first}}, got {type(panels).__name__}. "
            "From a table with a column of gene names for each group: {group: "
            "adata.var_names.get_indexer(table[group]) for group in table}."
        )
        raise TypeError(msg)
    if not panels:
        msg = "panels is empty; give {group: column indices, best first}."
        raise ValueError(msg)
    checked: dict[str, NDArray[np.intp]] = {}
    for group, columns in panels.items():
        values = plain_array(columns)
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
        add_panel(checked, group, values, "panels")
    return checked


def add_panel(checked: dict[str, Any], group: Hashable, panel: Any, of: str) -> None:
    """Add a panel under its group's name as text; raise if the name is not unique."""
    if str(group) in checked:
        msg = f"{of} has two groups of the name {str(group)!r}, such as 1 and '1'; rename one."
        raise ValueError(msg)
    checked[str(group)] = panel


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
    check_finite(values, "In the genes of a panel, X holds")
    return values.astype(np.float64)
