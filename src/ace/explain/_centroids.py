"""Group scorers with one centroid per group, for embeddings of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from torch import Tensor, nn

from ace._listed import listed
from ace.explain._embedding_scorer import EmbeddingScorer
from ace.explain._frozen import device_of, frozen
from ace.explain._rows import BATCH_SIZE, Rows
from ace.nn import NeuralizedClustering

if TYPE_CHECKING:
    from collections.abc import Iterator


def fit_centroids(embedding: nn.Module, x: Any, labels: Any) -> EmbeddingScorer:
    r"""Represent given groups by their mean in an embedding.

    As :cite:t:`lu2021ace` do for images (§5.3): the centroid of a group is the mean embedding of
    its members, and the scorer is the neuralised clustering of these centroids. Embeddings are
    computed in minibatches and not stored, so the latent space may have thousands of dimensions.

    The inverse temperature :math:`\beta` maximises the likelihood of the labels,
    :math:`\max_\beta \sum_i \log p_{y_i}(z_i)`. It is at most :math:`1 / 2\sigma^2`, the value
    for independent dimensions, which is far too large if thousands of dimensions are redundant:
    a margin of 1 in the log-odds would then be negligible.

    Parameters
    ----------
    embedding
        Module from ``(n, n_features)`` to ``(n, n_latent)``.
    x
        The data: array or tensor of shape ``(n, n_features)``, or images of shape
        ``(n, height, width)``, which are flattened.
    labels
        Group of each row, shape ``(n,)``: names or numbers.

    Returns
    -------
    A scorer whose groups are the labels as strings, in the sorted order of the labels.

    Raises
    ------
    ValueError
        If the number of labels differs from the number of rows, labels are missing, or there are
        fewer than two groups.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from ace.explain import fit_centroids
    >>> x = np.array([[0.0, 1.0], [0.2, 3.0], [4.0, 2.0], [4.2, 2.0]])
    >>> scorer = fit_centroids(torch.nn.Identity(), x, ["low", "low", "high", "high"])
    >>> scorer.groups
    ('high', 'low')
    >>> scorer.clustering.prototypes
    tensor([[4.1000, 2.0000],
            [0.1000, 2.0000]])
    """
    rows = Rows(x.reshape(len(x), -1))
    if pd.isna(np.asarray(labels)).any():
        raise ValueError("labels has missing values: leave these rows out.")
    names, codes = np.unique(np.asarray(labels), return_inverse=True)
    if codes.shape != (len(rows),):
        raise ValueError(
            f"labels must have one label for each of {len(rows)} rows, got shape {codes.shape}."
        )
    if len(names) < 2:
        raise ValueError(f"labels must have two or more groups, got {listed(names)}.")
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(codes), len(names)).double()
    sums: Tensor | float = 0.0
    squares = 0.0
    for z, own in zip(_embed(embedding, rows), one_hot.split(BATCH_SIZE), strict=True):
        sums = sums + own.T @ z
        squares += float(z.square().sum())
    assert isinstance(sums, Tensor)  # there are two groups, so there are rows
    sizes = one_hot.sum(0).unsqueeze(1)
    centroids = sums / sizes
    within = (squares - float((sizes * centroids.square()).sum())) / (len(rows) * sums.shape[1])
    if within <= 1e-12 * squares / (len(rows) * sums.shape[1]):  # all rows lie on their centroid
        within = max(float(centroids.var()), 1e-12)

    unit = NeuralizedClustering(centroids, torch.arange(len(names)), 1.0)
    logits = torch.cat([unit.group_logits(z) for z in _embed(embedding, rows)]).numpy()
    beta = _most_likely(logits, codes, highest=0.5 / within)
    clustering = NeuralizedClustering(centroids.float(), torch.arange(len(names)), beta)
    clustering.to(device_of(embedding))
    return EmbeddingScorer(embedding, clustering, [str(name) for name in names])


def _embed(embedding: nn.Module, rows: Rows) -> Iterator[Tensor]:
    """Embeddings of the rows in double precision on the CPU, in minibatches."""
    device = device_of(embedding)
    with frozen(embedding), torch.no_grad():
        for x in rows.batches():
            yield embedding(x.to(device)).double().cpu()


def _most_likely(logits: np.ndarray, codes: np.ndarray, *, highest: float) -> float:
    """Stiffness up to ``highest`` that maximises the likelihood of the labels."""
    own = logits[np.arange(len(codes)), codes]

    def negative_log_likelihood(log_beta: float) -> float:
        beta = np.exp(log_beta)
        return float(np.mean(logsumexp(beta * logits, axis=1) - beta * own))

    # Convex in beta, so the minimum is unique. If the centroids separate the labels without
    # error there is none, and the highest value is used.
    top = np.log(highest)
    found = minimize_scalar(negative_log_likelihood, bounds=(top - 20, top), method="bounded")
    return float(np.exp(found.x if found.fun < negative_log_likelihood(top) else top))
