"""The cells of an explanation: grouped, sampled, and dense only in minibatches."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn

from ace._threads import seeded
from ace.explain._frozen import device_of, frozen
from ace.explain._linear_embedding import LinearEmbedding
from ace.explain._rows import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ace.explain._scorer import GroupScorer

#: Standardised mean difference of a small effect (Cohen 1988).
SMALL_EFFECT = 0.2


class GroupedCells:
    """The cells that an explanation is computed from, by group.

    Caches all results that several comparisons share and that depend only on the cells, or on the
    cells and a scorer.

    Parameters
    ----------
    matrices
        For each group of the scorer, in its order, a matrix ``(n_cells, n_features)`` with the
        cells of the group, or a sample of them.
    sizes
        Number of cells of each group in the data; by default the number of rows. Reference cells
        from "the rest" are drawn in these proportions.
    contexts
        For each group the context of its cells, if the scorer takes one: see
        :class:`~ace.explain.GroupScorer`.

    Raises
    ------
    ValueError
        If matrices differ in their number of features, a group has no cells, or contexts do not
        match the matrices.
    """

    def __init__(
        self,
        matrices: Sequence[Any],
        sizes: Sequence[int] | np.ndarray | None = None,
        contexts: Sequence[np.ndarray | Tensor] | None = None,
    ) -> None:
        each = [None] * len(matrices) if contexts is None else contexts
        self.groups = [
            m if isinstance(m, Rows) else Rows(m, c) for m, c in zip(matrices, each, strict=True)
        ]
        widths = {rows.n_features for rows in self.groups}
        if len(widths) != 1:
            raise ValueError(
                "all groups must have the same number of features, but they have "
                f"{sorted(widths)}."
            )
        if any(len(rows) == 0 for rows in self.groups):
            raise ValueError("every group must have at least one cell.")
        self.n_features = widths.pop()
        self.sizes = np.asarray(sizes if sizes is not None else [len(g) for g in self.groups])
        # The last argument of each of these methods, and the result.
        self._log_odds: tuple[GroupScorer, list[np.ndarray]] | None = None
        self._coordinates: tuple[nn.Module, list[np.ndarray]] | None = None
        self._columns: tuple[np.ndarray, dict[int, np.ndarray]] | None = None

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, group: int) -> Rows:
        return self.groups[group]

    # -- computed once -------------------------------------------------------------------------

    def log_odds(self, scorer: GroupScorer) -> list[np.ndarray]:
        """Log-odds of the cells of each group, a list of arrays ``(n_cells, n_groups)``."""
        if self._log_odds is None or self._log_odds[0] is not scorer:
            self._log_odds = (scorer, self._scored(scorer))
        return self._log_odds[1]

    def _scored(self, scorer: GroupScorer) -> list[np.ndarray]:
        with frozen(scorer), seeded(0, scorer.device), torch.no_grad():
            return scorer.score(self)

    def coordinates(self, embedding: nn.Module) -> list[np.ndarray]:
        """Coordinates of the cells of each group in an embedding, float32."""
        if self._coordinates is None or self._coordinates[0] is not embedding:
            if self.is_linear(embedding):
                loadings, offset = embedding.loadings.numpy(), embedding.offset.numpy()
                found = [
                    (rows.times(loadings) + offset).astype(np.float32) for rows in self.groups
                ]
            else:
                found = [_embedded(embedding, rows) for rows in self.groups]
            self._coordinates = (embedding, found)
        return self._coordinates[1]

    def is_linear(self, embedding: nn.Module) -> TypeGuard[LinearEmbedding]:
        """Whether coordinates are products with these cells; subclasses may compute others."""
        return (
            type(embedding) is LinearEmbedding
            and embedding.loadings.device.type == "cpu"
            and all(rows.is_bare_array for rows in self.groups)
        )

    def subset(self, rows: Sequence[np.ndarray], *, alone: bool = False) -> GroupedCells:
        """Some cells of each group; their coordinates are not computed again.

        Columns are read from all cells, or with ``alone`` from a copy of these.
        """
        chosen = [group.subset(r, alone=alone) for group, r in zip(self.groups, rows, strict=True)]
        part = GroupedCells(chosen, self.sizes)
        if self._coordinates is not None:
            embedding, z = self._coordinates
            part._coordinates = (embedding, [own[r] for own, r in zip(z, rows, strict=True)])
        return part

    def log_odds_of_part(
        self, scorer: GroupScorer, part: GroupedCells, rows: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Log-odds of all cells; ``part``, the subset of these rows, keeps its own."""
        known = self._log_odds is not None and self._log_odds[0] is scorer
        found = self.log_odds(scorer) if known else self._scored(scorer)
        part._log_odds = (scorer, [m[r] for m, r in zip(found, rows, strict=True)])
        return found

    def columns(self, group: int, index: np.ndarray) -> np.ndarray:
        """Some features of all cells of a group, dense; kept until other features are read."""
        if self._columns is None or not np.array_equal(self._columns[0], index):
            self._columns = (index, {})
        by_group = self._columns[1]
        if group not in by_group:
            by_group[group] = self[group].columns(index)
        return by_group[group]

    @cached_property
    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each feature in each group."""
        sums = [rows.sums() for rows in self.groups]
        counts = np.array([len(rows) for rows in self.groups])[:, None]
        mean = np.array([total for total, _ in sums]) / counts
        square = np.array([squares for _, squares in sums]) / counts
        return mean, np.maximum(square - mean**2, 0)

    @cached_property
    def feature_range(self) -> tuple[Tensor, Tensor]:
        """Smallest and largest value of each feature over all cells."""
        low = torch.full((self.n_features,), torch.inf)
        high = -low
        for rows in self.groups:
            for batch in rows.batches():
                low = torch.minimum(low, batch.amin(0).cpu())
                high = torch.maximum(high, batch.amax(0).cpu())
        return low, high

    # -- comparisons ---------------------------------------------------------------------------

    def others(self, source: int, reference: int | None) -> list[int]:
        """Groups that ``source`` is compared with."""
        if reference is not None:
            return [reference]
        return [g for g in range(len(self)) if g != source]

    def balanced_weights(self, source: int, reference: int | None) -> np.ndarray:
        """Weights of source and reference cells, source first; each side sums to one half.

        Groups of the rest are weighted by their number of cells in the data.
        """
        others = self.others(source, reference)
        share = 0.5 * self.sizes[others] / self.sizes[others].sum()
        counts = np.array([len(self[g]) for g in (source, *others)])
        return np.repeat(np.array([0.5, *share]) / counts, counts)

    def draw_reference(
        self,
        source: int,
        reference: int | None,
        n: int,
        rng: np.random.Generator,
        *,
        balanced: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw reference cells.

        Parameters
        ----------
        source, reference
            Codes of the two groups; ``None`` for the rest.
        n
            Number of cells.
        rng
            Random number generator.
        balanced
            Draw equally from every group of the rest, not in proportion to its size.

        Returns
        -------
        The group of each cell, in increasing order, and its row in that group.
        """
        others = np.array(self.others(source, reference))
        weights = np.ones(len(others)) if balanced else self.sizes[others].astype(float)
        # Systematic sampling: the share of each group is as exact as n permits.
        edges = np.cumsum(weights) / weights.sum()
        group_of = others[
            np.minimum(np.searchsorted(edges, (np.arange(n) + rng.random()) / n), len(others) - 1)
        ]
        row_of = np.empty(n, dtype=np.int64)
        for group in np.unique(group_of):
            where = np.flatnonzero(group_of == group)
            row_of[where] = draw(len(self[group]), len(where), rng)
        return group_of, row_of

    def gather(self, group_of: np.ndarray, row_of: np.ndarray) -> Tensor:
        """Cells of several groups as one dense tensor, shape ``(n, n_features)``."""
        gathered = torch.empty(len(group_of), self.n_features)
        for group in np.unique(group_of):
            where = np.flatnonzero(group_of == group)
            gathered[torch.from_numpy(where)] = self[group][row_of[where]].to(gathered.device)
        return gathered

    def difference(self, source: int, reference: int | None) -> np.ndarray:
        """Standardised mean difference of each feature, source minus reference.

        The difference of the means divided by the root of the mean of the two variances. It gives
        the direction of a feature, and breaks ties between features with equal scores.

        Returns
        -------
        Array of shape ``(n_features,)``.
        """
        mean, var = self._moments
        others = self.others(source, reference)
        share = self.sizes[others] / self.sizes[others].sum()
        other_mean = share @ mean[others]
        other_var = share @ (var[others] + (mean[others] - other_mean) ** 2)
        gap = mean[source] - other_mean
        size = np.maximum(np.abs(mean[source]) + np.abs(other_mean), 1e-30)
        gap[np.abs(gap) <= 1e-9 * size] = 0  # rounding errors
        # If a feature is constant in both, the ratio is large but finite.
        return gap / np.maximum(np.sqrt((var[source] + other_var) / 2), 1e-6 * size)

    def separation(self, source: int, reference: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Determine which of the other groups each feature separates the source from.

        The standardised mean differences from the other groups, one by one, are reduced by two
        standard errors, because those from small groups are noisy.

        Returns
        -------
        The code of the group with the largest difference in either direction, and whether the
        feature is mixed, that is, at least :data:`SMALL_EFFECT` above one group and below another;
        arrays of shape ``(n_features,)``.
        """
        against = np.zeros(self.n_features, dtype=np.int64)
        largest = np.full(self.n_features, -np.inf)
        above, below = np.zeros((2, self.n_features), dtype=bool)
        for other in self.others(source, reference):
            difference = self.difference(source, other)
            error = np.sqrt(1 / len(self[source]) + 1 / len(self[other]))
            size = np.abs(difference) - 2 * error
            against[size > largest] = other
            largest = np.maximum(largest, size)
            above |= (size > SMALL_EFFECT) & (difference > 0)
            below |= (size > SMALL_EFFECT) & (difference < 0)
        return against, above & below


def _embedded(embedding: nn.Module, rows: Rows) -> np.ndarray:
    """Coordinates of cells, computed in minibatches."""
    device, parts, start = device_of(embedding), [], 0
    with frozen(embedding), seeded(0, device), torch.no_grad():
        for x in rows.batches():
            here = slice(start, start := start + len(x))
            parts.append(embedding(x.to(device), *rows.context(here, device)).cpu().numpy())
    return np.concatenate(parts).astype(np.float32)


def draw(n_available: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw ``n`` row numbers; none is repeated before all others have been drawn as often."""
    rounds = -(-n // n_available)
    return np.concatenate([rng.permutation(n_available) for _ in range(rounds)])[:n]
