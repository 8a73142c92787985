r"""Sparse additive surrogates of a group: weighted ridge regression with two functions per gene.

The surrogate of a target :math:`t` with the features :math:`S` is

.. math::
    f_S(x) = \beta_0 + \sum_{i \in S} \bigl(a_i x_i + b_i \mathbb{1}[x_i > 0]\bigr) ,

fitted by weighted least squares with a small ridge penalty on standardised functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.linalg import cholesky, solve_triangular

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Ridge penalty, in units of the variance of a standardised function.
RIDGE = 1e-2
#: A function is not swept out if less than this share of its variance is left.
NEGLIGIBLE = 1e-4
#: Absolute correlation above which a feature is a near copy of another.
TWINS = 0.99


def functions(x: np.ndarray) -> np.ndarray:
    """Values of features, and whether they are above 0, ``(n_cells, 2 * n_features)``."""
    return np.concatenate([x, (x > 0).astype(x.dtype)], axis=1)


@dataclass(frozen=True)
class Moments:
    """Weighted correlations of the functions of some features, and with a target.

    Attributes
    ----------
    gram
        Correlations of the functions, shape ``(2 * n_features, 2 * n_features)``; 0 for functions
        that are constant.
    cross
        Correlations with the target, shape ``(2 * n_features,)``.
    """

    gram: np.ndarray
    cross: np.ndarray

    @property
    def correlation(self) -> np.ndarray:
        """Absolute correlations of the features, shape ``(n_features, n_features)``."""
        n = len(self.cross) // 2
        return np.abs(self.gram[:n, :n])


def moments(x: np.ndarray, weights: np.ndarray, target: np.ndarray) -> Moments:
    """Compute the moments of features.

    Parameters
    ----------
    x
        Values, shape ``(n_cells, n_features)``.
    weights
        Weight of each cell, summing to 1, shape ``(n_cells,)``.
    target
        Target of the surrogate, shape ``(n_cells,)``.
    """
    columns, _, scale = _standardised(functions(x), weights)
    t = (target - weights @ target) * np.sqrt(weights)
    t /= max(float(np.linalg.norm(t)), 1e-12)
    gram = _gram(columns) * np.outer(scale, scale)
    return Moments(gram, (columns.T @ t.astype(np.float32)) * scale)


def enter(
    found: Moments,
    prior: np.ndarray,
    n: int,
    *,
    first: Sequence[int] = (),
    sign: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Choose features one at a time, as :class:`~ace.explain.Panel` describes.

    When a feature enters, its functions are swept out of the correlations, so a step takes
    ``n_features ** 2`` operations, whatever the number of cells.

    Parameters
    ----------
    found
        Moments of the features.
    prior
        Prior weight of each feature, shape ``(n_features,)``; features with 0 do not enter.
    n
        Largest number of features that enter, with those in ``first``.
    first
        Features that enter first, in this order.
    sign
        If 1 or -1, features enter only if their values are correlated with the target in this
        direction, given those chosen before.

    Returns
    -------
    The features in the order of entry, and the criterion of each at its entry.
    """
    gram, cross, correlation = found.gram, found.cross, found.correlation
    redundancy = np.zeros(len(prior))
    order: list[int] = []
    entry: list[float] = []
    forced = list(first)
    for step in range(min(n, len(prior))):
        criterion = prior * _gain(gram, cross) * np.maximum(1 - redundancy, 0)
        criterion[redundancy > TWINS] = 0
        if sign:
            criterion[sign * cross[: len(prior)] <= 0] = 0
        criterion[order] = -1
        best = int(forced[step]) if step < len(forced) else int(np.argmax(criterion))
        if criterion[best] <= 0 and step >= len(forced):
            break
        order.append(best)
        entry.append(max(float(criterion[best]), 1e-30))
        redundancy = np.maximum(redundancy, correlation[:, best])
        gram, cross = _swept(gram, cross, best)
    return np.array(order, dtype=int), np.array(entry)


def _gain(gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """Decrease of the penalised squared error by the functions of each feature."""
    n = len(cross) // 2
    at = np.arange(n)
    value, detected = gram[at, at] + RIDGE, gram[at + n, at + n] + RIDGE
    both = gram[at, at + n]
    a, b = cross[:n], cross[n:]
    quadratic = detected * a**2 - 2 * both * a * b + value * b**2
    return np.maximum(quadratic, 0) / np.maximum(value * detected - both**2, 1e-9)


def _swept(gram: np.ndarray, cross: np.ndarray, feature: int) -> tuple[np.ndarray, np.ndarray]:
    """Correlations that remain when the functions of a feature are in the surrogate."""
    for function in (feature, feature + len(cross) // 2):
        left = gram[function, function]
        if left > NEGLIGIBLE:
            column = gram[:, function] / (left + RIDGE)
            cross = cross - column * cross[function]
            gram = gram - np.outer(column, gram[function])
    return gram, cross


def follow(found: Moments, relevance: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    r"""Rank the other features by the relevance that they do not share.

    Parameters
    ----------
    found
        Moments of the features.
    relevance
        Relevance of each feature, not negative, shape ``(n_features,)``.
    chosen
        Features that are ranked already.

    Returns
    -------
    :math:`r_i (1 - \sum_{j \ne i} r_j |\rho_{ij}| / \sum_j r_j)` of each feature; -1 for those in
    ``chosen``.
    """
    share = relevance / max(relevance.sum(), 1e-30)
    shared = found.correlation @ share - np.diag(found.correlation) * share
    alone = relevance * np.maximum(1 - shared, 0)
    alone[chosen] = -1
    return alone


def near_copies(found: Moments, ranked: np.ndarray) -> np.ndarray:
    """Whether each of the ranked features is a near copy of one that ranks higher."""
    return (np.tril(found.correlation[np.ix_(ranked, ranked)], -1) > TWINS).any(1)


def nested_predictions(
    x: np.ndarray,
    weights: np.ndarray,
    target: np.ndarray,
    new: np.ndarray,
    sizes: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of the surrogates of the leading features, for several numbers of features.

    The Cholesky factor of the leading functions is the leading block of the factor of all, so one
    factorisation serves all sizes.

    Parameters
    ----------
    x, weights, target
        Features in order, weights and target of the cells that surrogates are fitted to.
    new
        Features of other cells, shape ``(n_new, n_features)``.
    sizes
        Numbers of leading features.

    Returns
    -------
    Predictions for the fitted cells, ``(n_cells, n_sizes)``, and for the other cells,
    ``(n_new, n_sizes)``, up to a constant.
    """
    n = x.shape[1]
    order = np.arange(2 * n).reshape(2, n).T.ravel()  # both functions of a feature are neighbours
    fitted, mean, scale = _standardised(functions(x)[:, order], weights)
    gram = _gram(fitted) * np.outer(scale, scale)
    gram[np.diag_indices(2 * n)] += RIDGE
    cross = (fitted.T @ ((target - weights @ target) * np.sqrt(weights))) * scale
    lower = cholesky(gram, lower=True)
    projected = solve_triangular(lower, cross, lower=True)
    leading = np.where(np.arange(2 * n)[:, None] < 2 * sizes, projected[:, None], 0.0)
    coefficients = solve_triangular(lower, leading, lower=True, trans="T") * scale[:, None]
    predictions = [(functions(v)[:, order] - mean) @ coefficients for v in (x, new)]
    return predictions[0], predictions[1]


def _standardised(
    columns: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centred columns times the roots of the weights, the means, and the inverse norms."""
    w = weights.astype(np.float32)
    mean = w @ columns
    centered = (columns - mean) * np.sqrt(w)[:, None]
    norm = np.sqrt(np.einsum("ij,ij->j", centered, centered, dtype=np.float64))
    scale = np.divide(1.0, norm, out=np.zeros_like(norm), where=norm > 1e-6)
    return centered, mean, scale


def _gram(columns: np.ndarray) -> np.ndarray:
    # Computed by PyTorch: a second pool of threads, of BLAS, would compete with its pool.
    tensor = torch.from_numpy(np.ascontiguousarray(columns))
    return (tensor.T @ tensor).numpy().astype(np.float64)
