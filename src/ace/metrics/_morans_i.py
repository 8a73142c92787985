"""Moran's I: whether neighbours in a latent space have similar scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.neighbors import NearestNeighbors

from ace._checks import _arrays
from ace._checks._arguments import whole

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def morans_i(z: ArrayLike, score: ArrayLike, *, n_neighbors: int = 15) -> float:
    r"""Moran's I of a score over the neighbours in a latent space.

    .. math:: I = \frac{\sum_i (s_i - \bar s) \, \frac{1}{k} \sum_{j \in N(i)} (s_j - \bar s)}
                  {\sum_i (s_i - \bar s)^2}

    with the :math:`k` nearest neighbours :math:`N(i)` of each cell, without the cell itself, by
    Euclidean distance. 1: neighbours have the same score; :math:`-1/(n - 1)`, about 0, is expected
    of a score that has nothing to do with the place.

    Parameters
    ----------
    z
        Cells × dimensions.
    score
        A number for each cell, such as the mean expression of a gene set.
    n_neighbors
        Number of neighbours of a cell.

    Returns
    -------
    Moran's I; NaN if the score is the same for all cells.

    Raises
    ------
    ValueError
        If numbers of cells do not fit, there are not more cells than neighbours, or values are not
        finite.

    See Also
    --------
    ace.pl.polarization : draws the score and tells this number.

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
    whole(n_neighbors, f"of {n_cells} cells, n_neighbors", 1, n_cells - 1)
    search = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(coordinates)
    neighbors = search.kneighbors(return_distance=False)  # of each cell, without itself
    centred = values - values.mean()
    variation = float(centred @ centred)
    if np.ptp(values) == 0 or variation == 0:
        return float("nan")
    return float(centred @ centred[neighbors].mean(axis=1)) / variation
