"""Dendrogram of the groups of a heatmap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.cluster.hierarchy import dendrogram, linkage, optimal_leaf_ordering
from scipy.spatial.distance import squareform

from ace._checks._figures import several_groups

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def group_linkage(scores: pd.DataFrame) -> tuple[np.ndarray, list[int]]:
    """Cluster the columns of a genes × groups frame.

    Average linkage on 1 - Pearson correlation, with optimal leaf ordering.

    Returns
    -------
    SciPy's linkage matrix, and the positions of the columns in the order of the leaves.

    Raises
    ------
    ValueError
        If there are fewer than two columns.
    """
    several_groups(list(scores.columns))
    # Missing scores count as 0, and so does the correlation of a group with constant scores.
    distance = 1 - scores.fillna(0).corr().fillna(0).to_numpy(dtype=np.float64, copy=True)
    np.fill_diagonal(distance, 0)
    condensed = squareform(distance.clip(min=0), checks=False)
    tree = optimal_leaf_ordering(linkage(condensed, method="average"), condensed)
    return tree, list(dendrogram(tree, no_plot=True)["leaves"])


def draw_dendrogram(ax: Axes, tree: np.ndarray) -> None:
    """Draw the dendrogram with one leaf above the centre of each column."""
    lines = dendrogram(tree, no_plot=True)
    for x, y in zip(lines["icoord"], lines["dcoord"], strict=True):
        ax.plot(x, y, color="black", linewidth=0.8)
    # SciPy places the leaves at 5, 15, 25, ...
    ax.set_xlim(0, 10 * (len(tree) + 1))
    ax.set_ylim(0, 1.02 * max(tree[:, 2].max(), 1e-6))
    ax.set_axis_off()
