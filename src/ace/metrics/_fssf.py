"""Feature-set subcluster founder score: whether genes determine the subcluster of a cell."""

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
    r"""Feature-set subcluster founder (FSSF) score of cells with swapped gene values.

    .. math:: FSSF = \frac{n_g - n_o}{n_t}

    Each of the :math:`n_t` swapped cells is assigned to a subcluster by a majority vote of its
    nearest original cells. :math:`n_g` cells are assigned to the subcluster that the swapped
    values come from, and :math:`n_o` to the subcluster that the cell itself comes from. The score
    is 1 if the swapped genes alone determine the subcluster, and -1 if they have no effect.

    Parameters
    ----------
    z
        Latent space of the original cells, cells × dimensions.
    subclusters
        Subcluster of each original cell.
    swapped
        Latent space of the swapped cells, cells × dimensions.
    source
        For each swapped cell, the subcluster of the cell that provided the swapped values.
    origin
        For each swapped cell, its original subcluster.
    n_neighbors
        Number of neighbours that vote. Ties are broken in alphabetical order of the subclusters.

    Returns
    -------
    Score from -1 to 1.

    Raises
    ------
    ValueError
        If numbers of cells or dimensions differ, a subcluster is unknown, or values are not
        finite.

    See Also
    --------
    ace.tl.fssf : Swap genes, embed the cells and score all pairs of subclusters of each group.

    References
    ----------
    Inecik & Theis (2023), *scARE: Attribution Regularization for Single Cell Representation
    Learning*, §2.3.

    Examples
    --------
    >>> import ace
    >>> z = [[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]]
    >>> swapped = [[9.3], [9.0], [0.3]]  # two of three cells follow the swapped genes
    >>> score = ace.metrics.fssf(
    ...     z, list("AAABBB"), swapped, list("BBB"), list("AAA"), n_neighbors=3
    ... )
    >>> round(score, 3)
    0.333
    """
    original = _arrays.coordinates(z, "z")
    moved = _arrays.coordinates(swapped, "swapped")
    if original.shape[1] != moved.shape[1]:
        raise ValueError(
            f"z and swapped must have the same number of dimensions, got {original.shape[1]} and "
            f"{moved.shape[1]}."
        )
    names = _arrays.labels(subclusters, len(original), "subclusters")
    into = _arrays.labels(source, len(moved), "source")
    out_of = _arrays.labels(origin, len(moved), "origin")
    unknown = sorted({*into.tolist(), *out_of.tolist()} - set(names.tolist()))
    if unknown:
        raise ValueError(
            f"source and origin must hold values of subclusters, {listed(np.unique(names))}, got "
            f"{listed(unknown)}."
        )
    whole(n_neighbors, f"n_neighbors (for {len(original)} original cells)", 1, len(original))
    found = fit_neighbors(original, names, n_neighbors).predict(moved)
    return float(np.mean(found == into) - np.mean(found == out_of))


def fit_neighbors(
    z: NDArray[np.float32], codes: NDArray[np.generic], n_neighbors: int
) -> KNeighborsClassifier:
    """Fit the classifier that assigns cells to subclusters by their nearest neighbours."""
    # Brute force is exact, and fastest for the dimensions of typical latent spaces.
    return KNeighborsClassifier(n_neighbors=n_neighbors, algorithm="brute").fit(z, codes)
