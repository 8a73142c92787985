"""Halves of the cells, to see whether a method finds in one what it found in the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.model_selection import StratifiedShuffleSplit

from ace._checks._arguments import seed, whole
from ace._listed import listed
from ace.metrics._inputs import check_labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def random_halves(
    labels: ArrayLike, n_repeats: int = 5, *, random_state: int = 0
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Split the cells at random into two halves, each with half of every group.

    The two halves share no cell, so what panels chosen on both have in common (by
    :func:`ace.metrics.stability`) was found twice; and panels chosen on one half can be judged on
    the other, as by :func:`ace.metrics.panel_auroc`.

    Parameters
    ----------
    labels
        The group of each cell.
    n_repeats
        Number of splits.
    random_state
        Seed of the splits. The first splits are the same for any number of repeats.

    Returns
    -------
    For each repeat, the numbers of the cells of both halves, ascending.

    Raises
    ------
    ValueError
        If a group has one cell only, or a label is missing.

    References
    ----------
    Shah & Samworth (2013), *Variable selection with error control: another look at stability
    selection*, on complementary pairs.

    Examples
    --------
    >>> import ace
    >>> labels = list("aaaabb")
    >>> for halves in ace.metrics.random_halves(labels, n_repeats=2):
    ...     print(["".join(labels[cell] for cell in cells) for cells in halves])
    ['aab', 'aab']
    ['aab', 'aab']
    """
    names = check_labels(labels)
    whole(n_repeats, "n_repeats")
    seed(random_state)
    groups, sizes = np.unique(names, return_counts=True)
    if sizes.min() < 2:
        msg = (
            f"The groups {listed(groups[sizes < 2])} have one cell only, which no two halves can "
            "have; leave them out."
        )
        raise ValueError(msg)
    splits = StratifiedShuffleSplit(n_repeats, test_size=0.5, random_state=random_state)
    return [(np.sort(a), np.sort(b)) for a, b in splits.split(names, names)]
