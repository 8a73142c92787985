"""Forward selection of the features of a sparse linear surrogate."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import solve_triangular

#: A feature adds nothing if less than this share of its variance is unexplained.
NEGLIGIBLE = 1e-3
#: Absolute correlation above which a feature is a near copy of another.
TWINS = 0.99


def pursue(
    x: np.ndarray,
    weights: np.ndarray,
    target: np.ndarray,
    relevance: np.ndarray,
    *,
    n_joint: int,
    sparing: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Rank features as :class:`~ace.explain.Panel` describes.

    The computation uses the weighted correlation matrix only. When a feature enters jointly, it is
    swept out of the matrix and of the target (orthogonal least squares), so a step takes
    ``n_features ** 2`` operations, whatever the number of cells.

    Parameters
    ----------
    x
        Values, shape ``(n_cells, n_features)``.
    weights
        Weight of each cell, summing to 1, shape ``(n_cells,)``.
    target
        The response of the surrogate, shape ``(n_cells,)``.
    relevance
        Relevance of each feature, not negative, shape ``(n_features,)``.
    n_joint
        Largest number of features that enter jointly.
    sparing
        Exponent of the share of a feature that others do not have.

    Returns
    -------
    All features, best first, and their scores in decreasing order.
    """
    correlation, partial = _correlations(x, weights, target)
    absolute = np.abs(correlation)
    order, entry = _enter(correlation, partial, absolute, relevance, n_joint)
    share = relevance / max(relevance.sum(), 1e-30)
    shared = (absolute - np.diag(np.diag(absolute))) @ share
    alone = relevance * np.maximum(1 - shared, 0) ** sparing
    alone[order] = -1
    followers = np.argsort(-alone, kind="stable")[: len(alone) - len(order)]
    # Partial correlations may increase when a suppressor enters, but scores must not.
    score = np.minimum.accumulate(np.cbrt(entry / entry[0]))
    behind = 0.99 * score[-1] * alone[followers] / max(alone.max(), 1e-30)
    ranked = np.concatenate([order, followers])
    twin = (np.tril(absolute[np.ix_(ranked, ranked)], -1) > TWINS).any(1)[len(order) :]
    last = np.lexsort((-behind, twin))
    behind = np.minimum.accumulate(behind[last])  # copies get the score of the last other one
    return np.concatenate([order, followers[last]]), np.concatenate([score, behind])


def _enter(
    correlation: np.ndarray,
    partial: np.ndarray,
    absolute: np.ndarray,
    relevance: np.ndarray,
    n_joint: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Features that enter jointly, and the criterion of each at its entry."""
    redundancy = np.zeros(len(relevance))
    order: list[int] = []
    entry: list[float] = []
    for _ in range(min(n_joint, len(relevance))):
        left = np.diag(correlation)
        adds = np.where(
            left > NEGLIGIBLE, np.abs(partial) / np.sqrt(np.maximum(left, NEGLIGIBLE)), 0
        )
        criterion = relevance * adds * np.sqrt(np.maximum(1 - redundancy, 0))
        criterion[order] = -1
        best = int(np.argmax(criterion))
        if criterion[best] <= 0 and order:
            break
        order.append(best)
        entry.append(max(float(criterion[best]), 1e-30))
        redundancy = np.maximum(redundancy, absolute[:, best])
        swept = correlation[:, best] / max(correlation[best, best], NEGLIGIBLE)
        partial = partial - swept * partial[best]
        correlation = correlation - np.outer(swept, correlation[best])
    return np.array(order), np.array(entry)


def _correlations(
    x: np.ndarray, weights: np.ndarray, target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted correlations among features and with the target; 0 for constant features."""
    root = np.sqrt(weights)[:, None].astype(np.float32)
    centered = (x - weights.astype(np.float32) @ x) * root
    t = (target - weights @ target) * root[:, 0]
    norm = np.sqrt(np.einsum("ij,ij->j", centered, centered, dtype=np.float64))
    scale = np.divide(1.0, norm, out=np.zeros_like(norm), where=norm > 1e-6)
    gram = _gram(centered) * np.outer(scale, scale)
    return gram, (centered.T @ t) * scale / max(float(np.linalg.norm(t)), 1e-12)


def panel_size(
    x: np.ndarray,
    weights: np.ndarray,
    target: np.ndarray,
    rng: np.random.Generator,
    *,
    n_folds: int = 5,
) -> int:
    """Number of leading features that a linear surrogate needs, by cross-validation.

    Parameters
    ----------
    x
        Values of the features in the order of entry, shape ``(n_cells, n_features)``.
    weights, target
        See :func:`pursue`.
    rng
        Random number generator that assigns cells to folds.
    n_folds
        Number of folds.

    Returns
    -------
    The smallest number of features whose weighted squared error on held-out cells is within one
    standard error of the minimum (the one-standard-error rule).
    """
    n_cells, n_features = x.shape
    n_folds = min(n_folds, n_cells)
    fold = rng.permutation(np.arange(n_cells) % n_folds)
    moments = np.stack([_moments(x[k], weights[k], target[k]) for k in _folds(fold, n_folds)])
    everything = moments.sum(0)
    used = n_features + 1
    scale = 1 / np.sqrt(np.maximum(np.diag(everything), 1e-30))
    error = np.zeros((n_folds, n_features))
    for k, held in enumerate(moments):
        rest = (everything - held) * np.outer(scale, scale)
        # The matrix must not become singular if a feature is constant on these cells.
        rest[np.diag_indices(used)] += 1e-8
        lower = np.linalg.cholesky(rest[:used, :used])
        projected = solve_triangular(lower, rest[:used, used], lower=True)
        # The Cholesky factor of the leading features is the leading block of the factor, so one
        # solve with a triangle of right-hand sides gives the coefficients for all sizes.
        sizes = np.triu(np.repeat(projected[:, None], used, axis=1))
        coefficients = solve_triangular(lower, sizes, lower=True, trans="T")
        # Columns: (coefficients, -1), so that a quadratic form is the squared error.
        forms = np.vstack([coefficients * scale[:used, None], np.full(used, -scale[used])])
        squared = np.einsum("ij,ij->j", forms, held @ forms) / scale[used] ** 2
        error[k] = squared[1:] / held[0, 0]
    mean = error.mean(0)
    best = int(mean.argmin())
    spread = error[:, best].std(ddof=1) / np.sqrt(n_folds) if n_folds > 1 else 0.0
    return int(np.flatnonzero(mean <= mean[best] + spread)[0]) + 1


def _folds(fold: np.ndarray, n_folds: int) -> list[np.ndarray]:
    return [np.flatnonzero(fold == k) for k in range(n_folds)]


def _moments(x: np.ndarray, weights: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Weighted second moments of a constant, the features and the target."""
    columns = np.column_stack([np.ones(len(x)), x, target]) * np.sqrt(weights)[:, None]
    return _gram(columns)


def _gram(columns: np.ndarray) -> np.ndarray:
    # Computed by PyTorch: a second pool of threads, of BLAS, would compete with its pool.
    tensor = torch.from_numpy(np.ascontiguousarray(columns))
    return (tensor.T @ tensor).numpy().astype(np.float64)
