"""Moran's I: spatial autocorrelation of a score in a latent space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.neighbors import NearestNeighbors

from ace._checks import _arrays
from ace._checks._arguments import whole

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def morans_i(z: ArrayLike, score: ArrayLike, *, n_neighbors: int = 15) -> float:
    r"""Moran's I of a score over the neighbour graph of a latent space.

    .. math:: I = \frac{\sum_i (s_i - \bar s) \, \frac{1}{k} \sum_{j \in N(i)} (s_j - \bar s)}
                  {\sum_i (s_i - \bar s)^2}

    with the :math:`k` nearest neighbours :math:`N(i)` of each cell by Euclidean distance, without
    the cell itself. It is 1 if neighbours have the same score, and :math:`-1/(n - 1)`, close to 0,
    on average if the score is independent of the latent space.

    Parameters
    ----------
    z
        Latent space, cells × dimensions.
    score
        Score of each cell, such as the mean expression of a gene set.
    n_neighbors
        Number of neighbours of each cell.

    Returns
    -------
    Moran's I; NaN if the score is the same for all cells.

    Raises
    ------
    ValueError
        If numbers of cells differ, ``n_neighbors`` is out of range, or values are not finite.

    See Also
    --------
    ace.pl.polarization : Plot the score of each cell, with Moran's I.

    References
    ----------
    Moran (1950), *Notes on continuous stochastic phenomena*.

    Examples
    --------
    >>> import ace
    >>> import numpy as np
    >>> z = np.arange(100.0)[:, None]
    >>> round(ace.metrics.morans_i(z, z.ravel(), n_neighbors=2), 2)
    1.0
    """
    coordinates = _arrays.coordinates(z, "z")
    values = _arrays.per_cell(score, len(coordinates), "score")
    n_cells = len(coordinates)
    whole(n_neighbors, f"n_neighbors (for {n_cells} cells)", 1, n_cells - 1)
    search = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(coordinates)
    neighbors = search.kneighbors(return_distance=False)  # without the cell itself
    centred = values - values.mean()
    variation = float(centred @ centred)
    if np.ptp(values) == 0 or variation == 0:
        return float("nan")
    return float(centred @ centred[neighbors].mean(axis=1)) / variation
