"""Mixing of batches in a latent space, by scib-metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from ace._checks import _arrays
from ace._checks._arguments import whole

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def batch_mixing(
    latent: ArrayLike,
    batch: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    n_neighbors: int = 90,
) -> pd.Series:
    """Measure how well batches are mixed, and whether labels stay separated.

    Calls `scib-metrics <https://scib-metrics.readthedocs.io>`_, the metrics of the single-cell
    integration benchmark, with exact Euclidean neighbours. The first call in
    a process takes some seconds to compile. scib-metrics is an optional dependency:
    ``pip install "ace-sc[integration]"``.

    Parameters
    ----------
    latent
        Latent space or principal components, cells × dimensions.
    batch
        Batch of each cell; at least two batches.
    labels
        Label of each cell, such as its cell type.
    n_neighbors
        Number of neighbours of each cell, including the cell itself.

    Returns
    -------
    Scores from 0 to 1, higher is better, indexed by name:

    ``ilisi``
        Local inverse Simpson's index of the batches: the effective number of batches among the
        neighbours of a cell, median over cells, scaled from 0 (one batch) to 1 (all batches
        equally).
    ``kbet``
        Fraction of cells whose neighbours have the batch composition of the data, by a χ² test at
        level 0.05.
    ``silhouette_batch``
        One minus the absolute silhouette width of the batches, averaged over labels with cells
        from several batches (over all cells without ``labels``). NaN if there is no such label.
    ``clisi``, ``silhouette_label``
        With ``labels`` only: the same metrics for the labels, which should not be mixed.

    Raises
    ------
    ImportError
        If scib-metrics is not installed.
    TypeError
        If ``latent`` is an AnnData.
    ValueError
        If there is only one batch or label, ``n_neighbors`` is out of range, numbers of cells
        differ, or values are not finite or exceed 1e15.

    References
    ----------
    Luecken et al. (2022), *Benchmarking atlas-level data integration in single-cell genomics*.

    Examples
    --------
    >>> import ace
    >>> import numpy as np
    >>> latent = np.random.default_rng(0).normal(size=(200, 5))
    >>> batch = np.tile(["a", "b"], 100)
    >>> ace.metrics.batch_mixing(latent, batch)["ilisi"] > 0.8  # doctest: +SKIP
    True
    """
    try:
        import scib_metrics
        from scib_metrics.nearest_neighbors import NeighborsResults
    except ImportError as error:
        raise ImportError(
            'batch_mixing needs scib-metrics: pip install "ace-sc[integration]".'
        ) from error

    z = _arrays.coordinates(latent, "latent")
    batches = _arrays.labels(batch, len(z), "batch", several=True)
    whole(n_neighbors, f"n_neighbors (for {len(z)} cells)", 3, len(z))
    search = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(z)
    distances, indices = search.kneighbors(z)
    neighbors = NeighborsResults(indices=indices, distances=distances)
    names = np.full(len(z), "all")
    if labels is not None:
        names = _arrays.labels(labels, len(z), several=True)
    mixed = pd.Series(batches).groupby(names).nunique() > 1

    found: dict[str, Any] = {
        "ilisi": scib_metrics.ilisi_knn(neighbors, batches),
        # The fraction of accepted cells; test statistics and p-values come after it.
        "kbet": scib_metrics.kbet(neighbors, batches)[0],
        "silhouette_batch": np.nan,
    }
    if mixed.any():
        found["silhouette_batch"] = scib_metrics.silhouette_batch(z, names, batches)
    if labels is not None:
        found["clisi"] = scib_metrics.clisi_knn(neighbors, names)
        found["silhouette_label"] = scib_metrics.silhouette_label(z, names)
    return pd.Series({k: float(v) for k, v in found.items()}, name="batch_mixing")
