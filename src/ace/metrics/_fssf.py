"""Feature-set subcluster founder score: whether some genes decide on a cell's subcluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from ace._checks import _arrays
from ace._checks._arguments import whole
from ace._listed import listed

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def fssf(
    z: ArrayLike,
    subclusters: ArrayLike,
    swapped: ArrayLike,
    source: ArrayLike,
    origin: ArrayLike,
    *,
    n_neighbors: int = 15,
) -> float:
    r"""Feature-set subcluster founder score of cells that got some genes' values of others.

    .. math:: FSSF = \frac{n_g - n_o}{n_t}

    Each of :math:`n_t` swapped cells goes to the subcluster that most of its nearest original
    cells are in: :math:`n_g` of them to the one that the values came from, :math:`n_o` stay in
    the one that all their other values come from. Cells that go to neither count in :math:`n_t`
    only. 1: the swapped genes alone decide; -1: they decide nothing.

    Parameters
    ----------
    z
        Latent space of the original cells, cells × dimensions.
    subclusters
        Subcluster of each of them.
    swapped
        Latent space of the swapped cells.
    source
        For each swapped cell, the subcluster of the cell whose values it got.
    origin
        For each swapped cell, the subcluster that it was in before.
    n_neighbors
        Number of neighbours that vote. Of subclusters with as many votes, the first in
        alphabetical order wins.

    Returns
    -------
    The score, from -1 to 1.

    Raises
    ------
    ValueError
        If numbers of cells or dimensions do not fit, a subcluster is unknown, or values are not
        finite.

    See Also
    --------
    ace.tl.fssf : swaps, embeds and scores, for all pairs of subclusters of each type.

    References
    ----------
    Inecik & Theis (2023), *scARE: Attribution Regularization for Single Cell Representation
    Learning*, §2.3.

    Examples
    --------
    >>> import ace
    >>> z = [[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]]
    >>> swapped = [[9.3], [9.0], [0.3]]  # two of three follow the genes that they got
    >>> score = ace.metrics.fssf(
    ...     z, list("AAABBB"), swapped, list("BBB"), list("AAA"), n_neighbors=3
    ... )
    >>> round(score, 3)
    0.333
    """
    original = _arrays.coordinates(z, "z")
    moved = _arrays.coordinates(swapped, "swapped")
    if original.shape[1] != moved.shape[1]:
        msg = (
            f"z has {original.shape[1]} dimensions and swapped {moved.shape[1]}: they must agree."
        )
        raise ValueError(msg)
    names = _arrays.labels(subclusters, len(original), "subclusters")
    into = _arrays.labels(source, len(moved), "source")
    out_of = _arrays.labels(origin, len(moved), "origin")
    unknown = sorted({*into.tolist(), *out_of.tolist()} - set(names.tolist()))
    if unknown:
        msg = f"No original cell is in {listed(unknown)}; there are {listed(np.unique(names))}."
        raise ValueError(msg)
    whole(n_neighbors, f"of {len(original)} original cells, n_neighbors", 1, len(original))
    found = fit_neighbors(original, names, n_neighbors).predict(moved)
    return float(np.mean(found == into) - np.mean(found == out_of))


def fit_neighbors(
    z: NDArray[np.float32], codes: NDArray[np.generic], n_neighbors: int
) -> KNeighborsClassifier:
    """Prepare the vote of the nearest original cells."""
    # Exact, and the fastest for the dimensions that latent spaces have.
    return KNeighborsClassifier(n_neighbors=n_neighbors, algorithm="brute").fit(z, codes)
