"""How well a joint panel distinguishes groups, on cells that had no part in its choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ace.explain._joint_panel import Moments, features, joint_panel

if TYPE_CHECKING:
    import scipy.sparse as sp

#: Folds of the cross-fitting.
N_FOLDS = 5


def panel_sizes(n_genes: int) -> list[int]:
    """Numbers of genes at which a panel is evaluated: 1, 2, 3, 5, 8, 13, ... and ``n_genes``."""
    sizes, following = [1], 2
    while following < n_genes:
        sizes.append(following)
        following += sizes[-2] if len(sizes) > 1 else 1
    return sizes if n_genes == 1 else [*sizes, n_genes]


def cross_fitted(
    x: sp.csr_array,
    codes: np.ndarray,
    n_genes: int,
    eligible: np.ndarray,
    forced: np.ndarray,
    rng: np.random.Generator,
) -> dict[int, np.ndarray]:
    """Predict the group of each cell by panels that were chosen without it.

    The cells are divided into five folds. For each fold, a panel is chosen on the other four as in
    :func:`joint_panel`, and the groups of the fold's cells are predicted by linear discriminant
    analysis of the first genes of that panel, with equal priors.

    Parameters
    ----------
    x, codes, n_genes, eligible, forced
        As in :func:`joint_panel`.
    rng
        Generator that divides the cells.

    Returns
    -------
    The predicted group of each cell, for each number of genes.
    """
    fold = _folds(codes, rng)
    predicted = {size: np.full(len(codes), -1) for size in panel_sizes(n_genes)}
    for number in np.unique(fold):
        held_out, others = fold == number, fold != number
        known = np.unique(codes[others])
        if len(known) < 2:  # groups of single cells
            for labels in predicted.values():
                labels[held_out] = known[0] if len(known) else -1
            continue
        genes = joint_panel(x[others], codes[others], n_genes, eligible, forced).genes
        moments = Moments.of(x[others][:, genes], codes[others])
        values = features(x[held_out][:, genes])
        for size, labels in predicted.items():
            labels[held_out] = moments.first(size).predict(values[:, : 2 * size])
    return predicted


def _folds(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Divide the cells of each group evenly into folds."""
    fold = np.empty(len(codes), dtype=int)
    for group in np.unique(codes):
        cells = np.flatnonzero(codes == group)
        # Groups begin with different folds, so that small ones are not all in the first.
        fold[rng.permutation(cells)] = (np.arange(len(cells)) + group) % N_FOLDS
    return fold
