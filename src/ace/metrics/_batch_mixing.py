"""Integration: how well batches are mixed in a latent space, by scib-metrics."""

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
    """Measure how well batches are mixed, and whether the labels stay apart.

    A thin call of `scib-metrics <https://scib-metrics.readthedocs.io>`_, the measures of the
    single-cell integration benchmark, on exact neighbours by Euclidean distance. It is an extra:
    ``pip install "ace-sc[integration]"``. Its first call in a process compiles for some seconds.

    Parameters
    ----------
    latent
        Cells × dimensions: a latent space, or principal components.
    batch
        The batch of each cell, at least two.
    labels
        What each cell is, such as its type.
    n_neighbors
        Number of neighbours of a cell, itself included.

    Returns
    -------
    Numbers from 0 to 1, each the better the larger, indexed by name:

    ``ilisi``
        Effective number of batches among a cell's neighbours (local inverse Simpson's index),
        median over cells, scaled: 0 is one batch, 1 all of them in equal shares.
    ``kbet``
        Share of the cells whose neighbours hold the batches in the shares of the data, by a χ²
        test at level .05.
    ``silhouette_batch``
        One minus the absolute silhouette width by batch, within each label (within all cells
        without ``labels``), mean over the labels with cells of several batches; NaN if none has.
    ``clisi``, ``silhouette_label``
        With ``labels``: the two measures by label, where not being mixed is good.

    Raises
    ------
    ImportError
        If scib-metrics is not installed.
    TypeError
        If ``latent`` is an AnnData.
    ValueError
        If there is one batch or label only, a number is out of range, numbers of cells do not
        fit, or values are not finite or above 1e15.

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
        msg = 'batch_mixing needs scib-metrics: pip install "ace-sc[integration]".'
        raise ImportError(msg) from error

    z = _arrays.coordinates(latent, "latent")
    batches = _arrays.labels(batch, len(z), "batch", several=True)
    whole(n_neighbors, f"of {len(z)} cells, n_neighbors", 3, len(z))
    search = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(z)
    distances, indices = search.kneighbors(z)
    neighbors = NeighborsResults(indices=indices, distances=distances)
    names = np.full(len(z), "all")
    if labels is not None:
        names = _arrays.labels(labels, len(z), several=True)
    mixed = pd.Series(batches).groupby(names).nunique() > 1

    found: dict[str, Any] = {
        "ilisi": scib_metrics.ilisi_knn(neighbors, batches),
        # The share of accepted cells; statistics and p-values follow it.
        "kbet": scib_metrics.kbet(neighbors, batches)[0],
        "silhouette_batch": np.nan,
    }
    if mixed.any():
        found["silhouette_batch"] = scib_metrics.silhouette_batch(z, names, batches)
    if labels is not None:
        found["clisi"] = scib_metrics.clisi_knn(neighbors, names)
        found["silhouette_label"] = scib_metrics.silhouette_label(z, names)
    return pd.Series({k: float(v) for k, v in found.items()}, name="batch_mixing")
