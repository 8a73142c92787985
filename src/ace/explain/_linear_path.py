"""Expected gradients through a linear embedding: what depends on the cells is a sparse product."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

import numpy as np
import torch

from ace.explain._embedding import LinearEmbedding
from ace.explain._scorer import EmbeddingScorer

if TYPE_CHECKING:
    from ace.explain._cells import GroupedCells
    from ace.explain._method import Contrast
    from ace.explain._scorer import GroupScorer


def is_linear(scorer: GroupScorer, cells: GroupedCells) -> TypeGuard[EmbeddingScorer]:
    """Whether these cells are scored by prototypes in a linear embedding, on the CPU.

    Subclasses may compute something else, and a context is not ours to leave out.
    """
    return (
        type(scorer) is EmbeddingScorer
        and type(scorer.embedding) is LinearEmbedding
        and scorer.device.type == "cpu"
        and all(rows.is_bare_array for rows in cells.groups)
    )


def embedded(scorer: EmbeddingScorer, cells: GroupedCells) -> list[np.ndarray]:
    """Coordinates of the cells of each group, which the cells remember."""
    if cells.embedded is None or cells.embedded[0] is not scorer:
        loadings, offset = _weights(scorer)
        answer = [(rows.times(loadings) + offset).astype(np.float32) for rows in cells.groups]
        cells.embedded = (scorer, answer)
    return cells.embedded[1]


def linear_path_attributions(
    scorer: EmbeddingScorer,
    contrast: Contrast,
    cells: GroupedCells,
    own: np.ndarray,
    group_of: np.ndarray,
    row_of: np.ndarray,
    alpha: np.ndarray,
) -> np.ndarray:
    r"""Sum the path attributions of pairs of cells, for each group that baselines are of.

    Of :math:`m(W^\top x + b)` the gradient in the features is :math:`W g`, where :math:`g` is the
    gradient in the embedding, so that over pairs :math:`n`

    .. math:: \sum_n (x_n - x'_n)_i\, (W g_n)_i
        = \sum_k W_{ik} \Bigl[\sum_n (x_n - x'_n)_i\, g_{nk}\Bigr] .

    The bracket is a product of the cells, sparse as they are, with a narrow matrix: no cell is
    made dense and no gradient is as long as a cell.

    Parameters
    ----------
    scorer
        A scorer for which :func:`is_linear` holds.
    contrast
        What of it is explained.
    cells
        The cells.
    own
        Rows of the cells of the source, shape ``(n_pairs,)``.
    group_of, row_of
        Group and row there of each baseline, shape ``(n_pairs,)``.
    alpha
        Where on the line the gradient is taken, shape ``(n_pairs, 1)``.

    Returns
    -------
    Array of shape ``(n_groups of the baselines, n_features)``, groups in increasing order.
    """
    z = embedded(scorer, cells)
    there = np.empty((len(own), z[0].shape[1]), np.float32)
    groups = np.unique(group_of)
    for group in groups:
        there[group_of == group] = z[group][row_of[group_of == group]]
    point = torch.from_numpy(there + alpha * (z[contrast.source][own] - there)).requires_grad_()
    log_odds = contrast.of_log_odds(scorer.clustering(point))
    gradient = torch.autograd.grad(log_odds.sum(), point)[0].numpy()
    loadings, _ = _weights(scorer)
    total = np.empty((len(groups), len(loadings)))
    for row, group in enumerate(groups):
        at = np.flatnonzero(group_of == group)
        change = cells[contrast.source].transposed_times(own[at], gradient[at])
        change = change - cells[group].transposed_times(row_of[at], gradient[at])
        total[row] = np.einsum("ik,ik->i", change, loadings)
    return total


def _weights(scorer: EmbeddingScorer) -> tuple[np.ndarray, np.ndarray]:
    embedding = scorer.embedding
    assert isinstance(embedding, LinearEmbedding)
    return embedding.loadings.numpy(), embedding.offset.numpy()
