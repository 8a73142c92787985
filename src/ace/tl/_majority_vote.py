"""Majority votes on the labels of clusters."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: Label of clusters without a clear majority, as in celltypist.
HETEROGENEOUS = "Heterogeneous"


def majority_vote(
    labels: pd.Categorical, clusters: np.ndarray, voters: np.ndarray, *, min_prop: float = 0.0
) -> pd.Categorical:
    """Give each voter the most frequent label among the voters of its cluster.

    Parameters
    ----------
    labels
        Label of each cell.
    clusters
        Cluster of each cell; cells without a cluster keep their label.
    voters
        Which cells vote; the others keep their label.
    min_prop
        Share of the voters of a cluster that must have the label; otherwise it is
        ``"Heterogeneous"``.

    Returns
    -------
    Labels. If two have equally many votes, it is the first in the order of the categories.
    """
    cluster, names = pd.factorize(clusters)
    voters = voters & (cluster >= 0)
    categories = labels.categories
    if HETEROGENEOUS not in categories:
        categories = categories.insert(len(categories), HETEROGENEOUS)
    n_labels = len(labels.categories)
    cell = cluster[voters] * n_labels + labels.codes[voters]
    votes = np.bincount(cell, minlength=len(names) * n_labels).reshape(len(names), n_labels)
    # A share of exactly min_prop is enough, despite rounding errors.
    enough = votes.max(axis=1) >= min_prop * votes.sum(axis=1) - 1e-9
    winner = np.where(enough, votes.argmax(axis=1), categories.get_loc(HETEROGENEOUS))
    codes = labels.codes.astype(np.int64)
    codes[voters] = winner[cluster[voters]]
    voted = pd.Categorical.from_codes(codes, categories=categories).remove_unused_categories()
    # Files cannot store numbers and strings in one column.
    return voted.rename_categories(str) if HETEROGENEOUS in voted.categories else voted
