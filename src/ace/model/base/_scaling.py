"""Scaling of genes, learned from the training cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array, issparse

from ace import _checks

if TYPE_CHECKING:
    from ace.model.base._reader import MatrixReader

SCALES = ("minmax", "zscore", None)


def learn_scale(
    reader: MatrixReader, cells: np.ndarray, scale: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return offset and factor of each gene, in one pass over the training cells.

    Sparse rows stay sparse.

    Parameters
    ----------
    reader
        The matrix.
    cells
        Rows to learn from.
    scale
        ``"minmax"`` maps the observed range of a gene to [0, 1], ``"zscore"`` gives mean 0 and
        standard deviation 1, ``None`` does not scale genes that vary.

    Returns
    -------
    ``offset`` and ``factor`` (float32) such that the scaled value is ``(x - offset) * factor``.
    A gene that is constant in these cells has factor 0, so that it is ignored in other cells.

    Raises
    ------
    ValueError
        If a value is NaN or infinite.
    """
    lowest = np.full(reader.n_genes, np.inf)
    highest = np.full(reader.n_genes, -np.inf)
    total = np.zeros(reader.n_genes)
    squares = np.zeros(reader.n_genes)
    shift: np.ndarray | None = None
    for chunk in reader.chunks(cells):
        if issparse(chunk):
            low, high = (m.toarray().ravel() for m in (chunk.min(axis=0), chunk.max(axis=0)))
        else:
            low, high = chunk.min(axis=0), chunk.max(axis=0)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            n_bad = int((~np.isfinite(low) | ~np.isfinite(high)).sum())
            raise ValueError(
                f"the matrix holds NaN or infinite values in {n_bad} genes. Remove these genes or "
                "cells, or normalise again from the counts."
            )
        _checks.computable(chunk)
        lowest, highest = np.minimum(lowest, low), np.maximum(highest, high)
        if scale == "zscore":
            if issparse(chunk):
                values = chunk.astype(np.float64)
                total += np.asarray(values.sum(axis=0)).ravel()
                squares += np.asarray(values.multiply(values).sum(axis=0)).ravel()
            else:
                # Relative to a similar value, to avoid cancellation in squares of large offsets.
                shift = np.asarray(low, dtype=np.float64) if shift is None else shift
                values = np.asarray(chunk, dtype=np.float64) - shift
                total += values.sum(axis=0)
                squares += np.square(values).sum(axis=0)
    varies = highest > lowest
    if scale == "minmax":
        offset, spread = lowest, highest - lowest
    elif scale == "zscore":
        mean = total / len(cells)
        spread = np.sqrt(np.maximum(squares / len(cells) - mean**2, 0.0))
        offset = mean if shift is None else mean + shift
    else:
        # The offset of a constant gene restores its value when the scaling is inverted.
        offset, spread = np.where(varies, 0.0, lowest), np.ones(reader.n_genes)
    factor = np.divide(1.0, spread, out=np.zeros_like(spread), where=varies & (spread > 0))
    return offset.astype(np.float32), factor.astype(np.float32)


def scaled_moments(
    reader: MatrixReader,
    cells: np.ndarray,
    offset: np.ndarray,
    factor: np.ndarray,
    batches: np.ndarray,
    n_batches: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return means of batches after scaling, and the variance around them.

    Parameters
    ----------
    reader
        The matrix.
    cells
        Rows.
    offset, factor
        As returned by :func:`learn_scale`.
    batches
        Batch of every row of the matrix.
    n_batches
        Number of batches.

    Returns
    -------
    Mean of each batch minus that of all cells, float32, shape ``(n_batches, n_genes)`` (0 for a
    batch without cells); and the variance of each gene around the means of the batches.
    """
    total, squares = np.zeros((n_batches, reader.n_genes)), np.zeros(reader.n_genes)
    done = 0
    for chunk in reader.chunks(cells):
        codes = batches[cells[done : done + chunk.shape[0]]]
        done += chunk.shape[0]
        if issparse(chunk):
            values = csr_array(chunk).astype(np.float64)
            squares += np.asarray(values.multiply(values).sum(axis=0)).ravel()
        else:
            # Relative to a similar value, to avoid cancellation in squares of large offsets.
            values = np.asarray(chunk, dtype=np.float64) - offset
            squares += np.square(values).sum(axis=0)
        total += (values.T @ np.eye(n_batches)[codes]).T
    sizes = np.bincount(batches[cells], minlength=n_batches)
    means = total / np.maximum(sizes, 1)[:, None]
    variance = np.maximum(squares - (sizes[:, None] * means**2).sum(0), 0.0) / len(cells)
    apart = (means - total.sum(0) / len(cells)) * (sizes > 0)[:, None] * factor
    return apart.astype(np.float32), variance * np.square(factor, dtype=np.float64)
