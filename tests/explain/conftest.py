from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from ace.explain import (
    ClassifierScorer,
    EmbeddingScorer,
    GroupedCells,
    LinearEmbedding,
    fit_clustering,
)

N_FEATURES = 12


@pytest.fixture
def values() -> list[np.ndarray]:
    """Three groups: 0 is high in feature 0, 1 in feature 1, 2 is low in feature 2."""
    rng = np.random.default_rng(0)
    groups = [rng.gamma(2.0, 0.3, (n, N_FEATURES)).astype(np.float32) for n in (60, 45, 30)]
    groups[0][:, 0] += 4
    groups[1][:, 1] += 4
    for group in groups[:2]:
        group[:, 2] += 4
    return groups


@pytest.fixture
def cells(values: list[np.ndarray]) -> GroupedCells:
    return GroupedCells(values)


def embedding_scorer(values: list[np.ndarray], names: list[str] | None = None) -> EmbeddingScorer:
    x = np.concatenate(values)
    codes = np.repeat(np.arange(len(values)), [len(v) for v in values])
    mean = x.mean(0)
    _, _, vt = np.linalg.svd(x - mean, full_matrices=False)
    w = vt[:5].T
    clustering = fit_clustering((x - mean) @ w, codes, n_prototypes=2)
    embedding = LinearEmbedding(w, -mean @ w)
    return EmbeddingScorer(embedding, clustering, ["a", "b", "c"], names, refits=True)


@pytest.fixture
def scorer(values: list[np.ndarray]) -> EmbeddingScorer:
    return embedding_scorer(values)


@pytest.fixture
def classifier() -> ClassifierScorer:
    """A linear classifier with analytic attributions."""
    linear = torch.nn.Linear(N_FEATURES, 2, bias=False)
    with torch.no_grad():
        linear.weight.zero_()
        linear.weight[0, 0], linear.weight[0, 1], linear.weight[1, 2] = 2.0, -1.0, 0.5
    return ClassifierScorer(linear, ["x", "y"])


@pytest.fixture
def sparse_cells(values: list[np.ndarray]) -> GroupedCells:
    return GroupedCells([sp.csr_array(v) for v in values])
