"""Jointly chosen panels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ace.explain._cells import BATCH_SIZE, GroupedCells, draw
from ace.explain._expected_gradients import path_attributions
from ace.explain._gradient import rows_at_once
from ace.explain._method import (
    Attribution,
    Contrast,
    Method,
    MethodInfo,
    at_least_one,
    score_cells,
)
from ace.explain._pursuit import panel_size, pursue

if TYPE_CHECKING:
    from ace.explain._scorer import GroupScorer

#: Pairs of cells at least, for each two groups.
MIN_PAIRS = 16


class Panel(Method):
    r"""A small panel, chosen jointly: relevant, adding something, and not redundant.

    Scores of single genes rank five markers of the same programme first. Here genes enter one at a
    time, each time the one with the largest

    .. math::
        \underbrace{r_i^{\gamma}}_{\text{relevance}} \cdot
        \underbrace{\lvert \rho(t, x_i \mid x_S) \rvert}_{\text{what it adds}} \cdot
        \underbrace{\bigl(1 - \max_{j \in S} \lvert \rho(x_i, x_j) \rvert\bigr)}
        _{\text{not redundant}}

    where :math:`S` are the genes already in and

    - :math:`r_i` is the mean over the other groups :math:`t` of the absolute expected gradient of
      the group's log-odds from cells of :math:`t`, so that a gene that is up against one
      neighbour and down against another does not cancel; of one group against another, that of
      the difference of their log-odds, which is the same both ways;
    - :math:`\rho(t, x_i \mid x_S)` is the correlation of the gene, made orthogonal to the panel
      (a semi-partial correlation), with the target :math:`t = \tanh(m_s / \mathrm{median}
      \lvert m_s \rvert)`: orthogonal least squares for a sparse linear surrogate of the scorer;
    - all correlations are taken over cells weighted such that source and reference count equally.

    Candidates are the fewest genes that carry a share ``mass`` of the attribution of all groups
    together (of the two, when one is compared with another), and none that carries less than
    an equal share: a gene that matters to no group is not a candidate for any, however it may
    differ by chance or by normalisation. What does not enter is ranked after the panel by its
    relevance. The score is the geometric mean of the three factors at entry, relative to the first
    gene's; the sign is the gene's direction in the source.

    ``panel_size`` of the diagnostics is the smallest number of genes whose surrogate's
    cross-validated error is within one standard error of the best.

    Parameters
    ----------
    scorer, cells, seed, per_cell
        See :class:`~ace.explain.Method`; single cells get their expected gradients.
    n_pairs
        Pairs of a source and a reference cell that the relevance of a group is estimated from.
    mass
        Share of the attribution that the candidates carry, in (0, 1]; they may carry less where
        most genes matter about alike.
    max_candidates
        Candidates at most.
    max_panel
        Genes that enter jointly, at most.
    relevance_power
        :math:`\gamma`: larger values prefer single strong markers, smaller ones less redundancy.
    """

    info = MethodInfo(
        name="panel",
        computes="jointly sparse, non-redundant panel that reproduces the scorer",
        paper="ours, on expected gradients (Erion et al. 2021)",
        signed=True,
        needs_reference=True,
    )

    def __init__(
        self,
        scorer: GroupScorer,
        cells: GroupedCells,
        *,
        seed: int = 0,
        per_cell: bool = False,
        n_pairs: int = 1000,
        mass: float = 0.75,
        max_candidates: int = 300,
        max_panel: int = 40,
        relevance_power: float = 0.75,
    ) -> None:
        super().__init__(scorer, cells, seed=seed, per_cell=per_cell)
        if not 0 < mass <= 1:
            raise ValueError(f"mass must lie in (0, 1], got {mass}.")
        at_least_one(n_pairs=n_pairs, max_candidates=max_candidates, max_panel=max_panel)
        self.n_pairs = n_pairs
        self.mass = mass
        self.max_candidates = max_candidates
        self.max_panel = max_panel
        self.relevance_power = relevance_power
        self._log_odds = score_cells(scorer, cells)
        self._relevance: dict[tuple[int, int | None], np.ndarray] = {}
        self._dense: dict[int, np.ndarray] = {}
        self._rest_candidates: np.ndarray | None = None

    def explain(self, source: int, reference: int | None) -> Attribution:
        """Choose the panel of one group."""
        relevance = self.relevance(source, reference)
        candidates = self.candidates(source, reference)
        x, weights, target = self.design(source, reference, candidates)
        order, entry = pursue(
            x,
            weights,
            target,
            relevance[candidates] ** self.relevance_power,
            max_steps=self.max_panel,
        )
        entered = candidates[order]
        size = panel_size(
            x[:, order], weights, target, np.random.default_rng(self.seed_of(source, reference))
        )
        # Partial correlations may rise when a suppressor enters; scores must follow the ranking.
        magnitude = self._below(
            relevance, entered, np.minimum.accumulate(np.cbrt(entry / entry[0]))
        )
        per_cell = self._per_cell(source, reference) if self.per_cell else None
        result = self.attribution(
            magnitude,
            self.cells.difference(source, reference),
            source,
            reference,
            per_cell=per_cell,
            diagnostics={"panel_size": float(size)},
        )
        # Genes that entered with the same stored score keep their order of entry.
        followers = result.ranking[~np.isin(result.ranking, entered)]
        return Attribution(
            result.scores, np.concatenate([entered, followers]), per_cell, result.diagnostics
        )

    def relevance(self, source: int, reference: int | None) -> np.ndarray:
        """Mean absolute expected gradient against each other group, shape ``(n_features,)``."""
        if reference is not None and reference < source:
            # The same both ways: only the sign of what is explained turns.
            source, reference = reference, source
        if (source, reference) not in self._relevance:
            against = self._against(source, self.cells.others(source, reference), reference)
            self._relevance[source, reference] = np.abs(against).mean(0)
        return self._relevance[source, reference]

    def _against(self, source: int, others: list[int], reference: int | None) -> np.ndarray:
        """Expected gradients of what is explained from each of some groups, one row each."""
        n = max(self.n_pairs, MIN_PAIRS * len(others))
        rng = np.random.default_rng(self.seed_of(source, reference))
        baselines, other_of = self.cells.draw_reference(source, reference, n, rng, balanced=True)
        own = draw(len(self.cells[source]), n, rng)
        alpha = torch.from_numpy(rng.random((n, 1), dtype=np.float32))
        row_of = torch.from_numpy(np.searchsorted(others, other_of))
        contrast = Contrast(self.scorer, source, reference)
        device = self.scorer.device
        total = torch.zeros(len(others), self.cells.n_features, device=device)
        step = min(BATCH_SIZE, rows_at_once(self.cells.n_features, 4))
        for i in range(0, n, step):
            here = own[i : i + step]
            x, context = self.cells[source][here], self.cells[source].context(here, device)
            baseline, at = baselines[i : i + step].to(device), alpha[i : i + step].to(device)
            by_pair = path_attributions(contrast, x.to(device), baseline, at, *context)
            total.index_add_(0, row_of[i : i + step].to(device), by_pair)
        n_each = np.bincount(row_of.numpy(), minlength=len(others))
        return total.cpu().double().numpy() / np.maximum(n_each, 1)[:, None]

    def candidates(self, source: int, reference: int | None) -> np.ndarray:
        """Features that carry the share ``mass`` of the attribution, most relevant first."""
        if reference is not None:
            return self._carriers([self.relevance(source, reference)])
        if self._rest_candidates is None:
            every = [self.relevance(g, None) for g in range(len(self.cells))]
            self._rest_candidates = self._carriers(every)
        return self._rest_candidates

    def _carriers(self, relevances: list[np.ndarray]) -> np.ndarray:
        shares = np.sum([r / max(r.sum(), 1e-30) for r in relevances], axis=0)
        names = self.scorer.feature_names
        last = np.zeros(len(shares)) if names is None else np.argsort(np.argsort(np.array(names)))
        order = np.lexsort((last, -np.max(relevances, axis=0), -shares))
        carried = np.cumsum(shares[order]) / max(shares.sum(), 1e-30)
        n = int(np.searchsorted(carried, self.mass)) + 1
        # Rounding must not make genes of equal shares fall below it.
        above = int((shares >= (1 - 1e-6) * shares.mean()).sum())
        return order[: min(n, above, self.max_candidates)]

    def design(
        self, source: int, reference: int | None, candidates: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Candidates' values, cell weights and target, source cells first."""
        groups = [source, *self.cells.others(source, reference)]
        x = np.concatenate([self._columns(g, candidates, reference) for g in groups])
        share = np.array([0.5, *(0.5 * self._reference_share(source, reference))])
        counts = np.array([len(self.cells[g]) for g in groups])
        m = [self._log_odds[g] for g in groups]
        contrast = np.concatenate(
            [s[:, source] - (0 if reference is None else s[:, reference]) for s in m]
        ).astype(float)
        scale = max(float(np.median(np.abs(contrast))), 1e-12)
        return x, np.repeat(share / counts, counts), np.tanh(contrast / scale)

    def _reference_share(self, source: int, reference: int | None) -> np.ndarray:
        sizes = self.cells.sizes[self.cells.others(source, reference)]
        return sizes / sizes.sum()

    def _columns(self, group: int, candidates: np.ndarray, reference: int | None) -> np.ndarray:
        """Candidates of all cells of a group; kept where every comparison has the same ones."""
        if reference is None and group in self._dense:
            return self._dense[group]
        columns = torch.from_numpy(candidates)
        dense = np.concatenate([b[:, columns].cpu().numpy() for b in self.cells[group].batches()])
        if reference is None:
            self._dense[group] = dense
        return dense

    @staticmethod
    def _below(relevance: np.ndarray, entered: np.ndarray, entry: np.ndarray) -> np.ndarray:
        """Scores of all features: those that entered, then the rest scaled below the last."""
        magnitude = relevance.copy()
        magnitude[entered] = 0
        magnitude *= 0.99 * entry[-1] / max(magnitude.max(), 1e-30)
        magnitude[entered] = entry
        return magnitude

    def _per_cell(self, source: int, reference: int | None) -> np.ndarray | None:
        from ace.explain._expected_gradients import ExpectedGradients

        method = ExpectedGradients(
            self.scorer, self.cells, seed=self.seed, per_cell=True, balanced=True
        )
        return method.explain(source, reference).per_cell
