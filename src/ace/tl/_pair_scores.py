"""Subcluster founder scores of the pairs of subclusters of a group."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ace import _checks
from ace._log import report
from ace._warn import warn
from ace.metrics._fssf import fit_neighbors
from ace.tl._swaps import Swaps, draw_swaps, random_sets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ace.model.adapter import LatentSpaceAdapter

logger = logging.getLogger(__name__)

#: With fewer pairs of subclusters, their mean score is unreliable.
FEW_PAIRS = 3


@dataclass(frozen=True)
class Options:
    """Arguments of :func:`ace.tl.fssf` that the scores of every group depend on."""

    n_neighbors: int
    min_cells: int
    max_cells: int | None
    n_random: int
    batch_size: int
    random_state: int

    def __post_init__(self) -> None:
        _checks.whole(self.batch_size, "batch_size")
        _checks.whole(self.min_cells, "min_cells", 2)
        _checks.positive(self.max_cells, "max_cells")
        _checks.whole(self.n_random, "n_random", 0)
        _checks.seed(self.random_state)

    def stored(self) -> dict[str, int | None]:
        """Return what is stored in ``params``: all that can change the scores."""
        names = ("n_neighbors", "min_cells", "max_cells", "n_random", "random_state")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Group:
    """A group, the rows of its cells, and their subclusters as codes and names."""

    code: int
    name: str
    rows: np.ndarray
    subcluster: np.ndarray
    subnames: list[str]


def score_pairs(
    group: Group,
    adapter: LatentSpaceAdapter,
    z: np.ndarray,
    dimensions: np.ndarray,
    genes: np.ndarray,
    options: Options,
) -> list[pd.DataFrame]:
    """Score the pairs of subclusters of a group.

    Parameters
    ----------
    group
        The group.
    adapter
        The model, and all cells.
    z
        Latent space of the cells of the group, in the chosen dimensions.
    dimensions
        The chosen latent dimensions.
    genes
        Positions of the genes among those of the model.
    options
        Arguments of :func:`ace.tl.fssf`.

    Returns
    -------
    One frame, or none if there is no pair.
    """
    # scvi-tools takes seconds to import, so only this call imports it.
    from ace.model.adapter._swapped_cells import SwappedCells

    rng = np.random.default_rng([options.random_state, group.code])
    swaps = draw_swaps(group.subcluster, options.min_cells, options.max_cells, rng)
    if not swaps.pairs:
        return []
    draws = random_sets(genes, len(adapter.genes), options.n_random, rng, group.name)
    cells = SwappedCells(adapter, group.rows, batch_size=options.batch_size)
    neighbors = fit_neighbors(z, group.subcluster, options.n_neighbors)
    scores = []
    for drawn in (genes, *draws):
        swapped = cells.embed(swaps.cells, swaps.donors, drawn)[:, dimensions]
        scores.append(swaps.score(neighbors.predict(swapped)))
    report(logger, "%s: %d pairs of subclusters", group.name, len(swaps.pairs))
    return [_frame(group, swaps, np.array(scores))]


def _frame(group: Group, swaps: Swaps, scores: np.ndarray) -> pd.DataFrame:
    """Make a row per pair; the first row of ``scores`` is that of the genes, then the draws."""
    own, random = scores[0], scores[1:]
    n_random = len(random)
    missing = np.full(len(own), np.nan)
    # Equal scores can differ in the last bit after a division.
    as_good = (random >= own - 1e-9).sum(axis=0)
    return pd.DataFrame(
        {
            "group": group.name,
            "subcluster_1": [group.subnames[a] for a, _ in swaps.pairs],
            "subcluster_2": [group.subnames[b] for _, b in swaps.pairs],
            "n_cells": swaps.n_cells,
            "fssf": own,
            "random_mean": random.mean(axis=0) if n_random else missing,
            "random_sd": random.std(axis=0, ddof=1) if n_random > 1 else missing,
            "p_value": (1 + as_good) / (1 + n_random) if n_random else missing,
        }
    )


def all_pairs(
    frames: list[pd.DataFrame],
    names: Sequence[str],
    categories: Sequence[str],
    groupby: str,
    min_cells: int,
) -> pd.DataFrame:
    """Join the scores of all groups; raise if there are none, warn if there are few."""
    if not frames:
        raise ValueError(
            f"no group of adata.obs[{groupby!r}] has two subclusters of at least {min_cells} "
            "cells. Lower min_cells, or raise resolution to get more subclusters."
        )
    pairs = pd.concat(frames, ignore_index=True)
    pairs["group"] = pd.Categorical(pairs["group"], categories=names)
    for column in ("subcluster_1", "subcluster_2"):
        pairs[column] = pd.Categorical(pairs[column], categories=categories)
    if len(pairs) < FEW_PAIRS:
        warn(
            f"there are only {len(pairs)} pairs of subclusters, so their mean score is "
            "unreliable. Raise resolution to get more subclusters.",
        )
    return pairs
