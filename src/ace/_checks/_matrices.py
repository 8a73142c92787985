"""Check the matrix of an AnnData: that it exists, is finite and varies."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from ace._listed import listed
from ace._matrix import all_finite

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

#: Squares of larger values, summed over genes, overflow in single precision.
LARGEST = 1e15


def matrix_of(adata: AnnData, layer: Any, name: str = "adata") -> Any:
    """Return a layer, or ``X``, of the object that messages call ``name``.

    Raises
    ------
    KeyError
        If there is no such layer.
    ValueError
        If ``X`` is empty or there are no cells.
    """
    if adata.n_obs == 0 or adata.n_vars == 0:
        raise ValueError(f"{name} is empty: {adata.n_obs} cells x {adata.n_vars} genes.")
    if layer is not None:
        if not isinstance(layer, Hashable) or layer not in adata.layers:
            raise KeyError(
                f"there is no layer {layer!r} in {name}; {name}.layers has "
                f"{listed(adata.layers)}, and layer=None reads {name}.X."
            )
        return adata.layers[layer]
    if adata.X is None:
        raise ValueError(f"{name}.X is empty; pass one of the layers {listed(adata.layers)}.")
    return adata.X


def not_raw(use_raw: Any) -> None:
    """Raise a ``ValueError`` if ``use_raw`` is true, because ``adata.raw`` is never read."""
    if not use_raw:
        return
    raise ValueError(
        f"use_raw={use_raw!r}: only adata.X and adata.layers are read, never adata.raw. To "
        "read its values, pass `adata.raw.to_adata()`, or put them in a layer (layer=...)."
    )


def finite(means: np.ndarray, genes: pd.Index, layer: str | None) -> None:
    """Raise a ``ValueError`` if the mean of a gene is NaN, infinite, or too large to square."""
    where = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    bad = ~np.isfinite(means).all(0)
    if bad.any():
        raise ValueError(
            f"{where} has NaN or infinite values in {int(bad.sum())} genes, such as "
            f"{listed(genes[bad][:3])}. Remove these genes, or correct the values."
        )
    bad = (np.abs(means) > LARGEST).any(0)
    if bad.any():
        raise ValueError(
            f"{where} has values above {LARGEST:g} in {int(bad.sum())} genes, such as "
            f"{list(genes[bad][:3])}, which cannot be expression. Remove or normalise these genes."
        )


def computable(part: Any, where: str = "the matrix") -> None:
    """Raise a ``ValueError`` if values are not finite, or too large for single precision."""
    if not all_finite(part):
        raise ValueError(f"{where} holds NaN or infinite values.")
    values = part.data if sp.issparse(part) else np.asarray(part)
    largest = float(max(values.max(), -float(values.min()))) if values.size else 0.0
    if largest > LARGEST:
        raise ValueError(
            f"{where} holds values as large as {largest:.3g}, too large for single precision: "
            "normalise it again from the counts."
        )


def varied(mean: np.ndarray, variance: np.ndarray) -> None:
    """Raise a ``ValueError`` if no gene varies by more than rounding errors."""
    if (variance > np.maximum(1e-12 * mean**2, 1e-30)).any():
        return
    raise ValueError(
        "the cells do not differ: every gene has the same value in all cells, up to rounding "
        "errors, so nothing can be explained. Check the values of the matrix."
    )


def finite_scores(scores: np.ndarray, field: str, method: str) -> None:
    """Raise a ``ValueError`` if scores are not finite, before anything is stored."""
    bad = int((~np.isfinite(scores)).sum())
    if bad:
        raise ValueError(
            f"method={method!r} returned scores that are NaN or infinite for {bad} genes of "
            f"{field!r}: values of the matrix, or an option of the method, are too large or too "
            "small for single precision. Nothing was written."
        )
