"""Jointly chosen panels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ace._arguments import number
from ace.explain._cells import BATCH_SIZE, GroupedCells, draw
from ace.explain._expected_gradients import path_attributions
from ace.explain._gradient import rows_at_once
from ace.explain._linear_path import is_linear, linear_path_attributions
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
#: Genes that the candidates of all groups are among, at most: they are dense at once.
MAX_CARRIERS = 300


class Panel(Method):
    r"""A small panel whose first genes are chosen jointly, and whose others are ranked steadily.

    Scores of single genes rank five markers of the same programme first. Here the first
    ``n_joint`` genes enter one at a time, each time the one with the largest

    .. math::
        \underbrace{r_i}_{\text{relevance}} \cdot
        \underbrace{\lvert \rho(t, x_i \mid x_S) \rvert}_{\text{what it adds}} \cdot
        \underbrace{\bigl(1 - \max_{j \in S} \lvert \rho(x_i, x_j) \rvert\bigr)^{1/2}}
        _{\text{not redundant}}

    where :math:`S` are the genes already in. With every step more of what is left to add is
    chance: of twins, which one enters is decided by a few cells, and all that follows by that. So
    the others follow by what does not depend on which ones are in, their relevance less what they
    share with all candidates:

    .. math::
        r_i \Bigl(1 - \frac{\sum_{j \ne i} r_j \lvert \rho(x_i, x_j) \rvert}
        {\sum_j r_j}\Bigr)^{\sigma} ,

    and those that are all but copies of a gene before them (a correlation above 0.99) come last.
    Here

    - :math:`r_i` is a mean over the other groups :math:`t`. Of each it takes the gene's share of
      the absolute expected gradients of the group's log-odds from cells of :math:`t`: a gene that
      is up against one neighbour and down against another does not cancel, and a far neighbour
      counts no more than a near one. Groups weigh as the root of their cells, for of few cells
      little can be known. Of one group against another it is the share in the difference of
      their log-odds, which is the same both ways;
    - :math:`\rho(t, x_i \mid x_S)` is the correlation of the gene, made orthogonal to the panel
      (a semi-partial correlation), with the target: orthogonal least squares for a sparse linear
      surrogate;
    - the target is the mean of the scorer's word, saturated so that distance beyond the border
      no longer counts, and of the groups as they were given, :math:`t = \tfrac{1}{2}
      \bigl[\tanh(m_s / \mathrm{median} \lvert m_s \rvert) + y\bigr]` with :math:`y = 1` in
      the source and :math:`-1` elsewhere: where the two disagree it is near 0;
    - all correlations are taken over cells weighted such that source and reference count equally.

    Candidates are the fewest genes that carry a share ``mass`` of the attribution of all groups
    together (of the two, when one is compared with another), the 300 that carry most where it
    takes more, and none that carries less than an equal share: a gene that matters to no group is
    not a candidate for any, however it may differ by chance or by normalisation. Of these, a group
    has its ``max_candidates`` most relevant ones; all other genes are ranked after them by their
    relevance. The score of a gene that entered jointly is the cube root of that product at its
    entry, relative to the first gene's; the sign is the gene's direction in the source.

    ``panel_size`` of the diagnostics is the smallest number of genes, of the first ``max_panel``,
    whose surrogate's cross-validated error is within one standard error of the best.

    Parameters
    ----------
    scorer, cells, seed, per_cell
        See :class:`~ace.explain.Method`; single cells get their expected gradients.
    n_pairs
        Pairs of a source and a reference cell that the relevance of a group is estimated from.
    mass
        Share of the attribution that the candidates carry, in (0, 1]; they may carry less where
        most genes matter about alike, or where there are very many.
    max_candidates
        Candidates of a group at most.
    n_joint
        Genes that enter jointly, at most.
    max_panel
        The largest size of a panel.
    sparing
        :math:`\sigma`, not negative: larger values give less redundant panels, smaller ones panels
        that differ less between two samples of cells.
    """

    info = MethodInfo(
        name="panel",
        computes="small panel, its first genes chosen jointly to tell the group apart",
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
        max_candidates: int = 100,
        n_joint: int = 5,
        max_panel: int = 40,
        sparing: float = 1.0,
    ) -> None:
        super().__init__(scorer, cells, seed=seed, per_cell=per_cell)
        number(mass, "mass", 0, 1, above=True)
        number(sparing, "sparing")
        at_least_one(
            n_pairs=n_pairs, max_candidates=max_candidates, n_joint=n_joint, max_panel=max_panel
        )
        self.n_pairs = n_pairs
        self.mass = mass
        self.max_candidates = max_candidates
        self.n_joint = n_joint
        self.max_panel = max_panel
        self.sparing = sparing
        self._log_odds = score_cells(scorer, cells)
        self._relevance: dict[tuple[int, int | None], np.ndarray] = {}
        self._dense: dict[int, np.ndarray] = {}
        self._rest_candidates: np.ndarray | None = None

    def explain(self, source: int, reference: int | None) -> Attribution:
        """Choose the panel of one group."""
        # One group against another is the same question both ways: only signs turn.
        pair = (source, reference)
        if reference is not None:
            pair = (min(source, reference), max(source, reference))
        relevance = self.relevance(*pair)
        carriers = self.candidates(*pair)
        mine = np.argsort(-relevance[carriers], kind="stable")[: self.max_candidates]
        candidates = carriers[mine]
        x, weights, target = self.design(*pair, carriers, mine)
        order, score = pursue(
            x,
            weights,
            target,
            relevance[candidates],
            n_joint=self.n_joint,
            sparing=self.sparing,
        )
        ranked = candidates[order]
        size = panel_size(
            x[:, order[: self.max_panel]],
            weights,
            target,
            np.random.default_rng(self.seed_of(*pair)),
        )
        per_cell = self._per_cell(source, reference) if self.per_cell else None
        result = self.attribution(
            self._below(relevance, ranked, score),
            self.cells.difference(source, reference),
            source,
            reference,
            per_cell=per_cell,
            diagnostics={"panel_size": float(size)},
        )
        # Candidates with the same stored score keep their order.
        followers = result.ranking[~np.isin(result.ranking, ranked)]
        return Attribution(
            result.scores, np.concatenate([ranked, followers]), per_cell, result.diagnostics
        )

    def relevance(self, source: int, reference: int | None) -> np.ndarray:
        """Share of the absolute expected gradients, shape ``(n_features,)``, summing to 1."""
        if (source, reference) not in self._relevance:
            others = self.cells.others(source, reference)
            against = np.abs(self._against(source, others, reference))
            shares = against / np.maximum(against.sum(1, keepdims=True), 1e-30)
            weights = np.sqrt(self.cells.sizes[others])
            self._relevance[source, reference] = weights @ shares / weights.sum()
        return self._relevance[source, reference]

    def _against(self, source: int, others: list[int], reference: int | None) -> np.ndarray:
        """Expected gradients of what is explained from each of some groups, one row each."""
        n = max(self.n_pairs, MIN_PAIRS * len(others))
        rng = np.random.default_rng(self.seed_of(source, reference))
        group_of, row_of = self.cells.draw_reference(source, reference, n, rng, balanced=True)
        own = draw(len(self.cells[source]), n, rng)
        alpha = rng.random((n, 1), dtype=np.float32)
        contrast = Contrast(self.scorer, source, reference)
        if is_linear(self.scorer, self.cells):
            total = linear_path_attributions(
                self.scorer, contrast, self.cells, own, group_of, row_of, alpha
            )
        else:
            total = self._by_minibatch(contrast, others, own, group_of, row_of, alpha)
        return total / np.bincount(np.searchsorted(others, group_of))[:, None]

    def _by_minibatch(
        self,
        contrast: Contrast,
        others: list[int],
        own: np.ndarray,
        group_of: np.ndarray,
        row_of: np.ndarray,
        alpha: np.ndarray,
    ) -> np.ndarray:
        """Sum the attributions of the pairs for each other group, through any scorer."""
        cells, device = self.cells[contrast.source], self.scorer.device
        total = torch.zeros(len(others), self.cells.n_features, device=device)
        other_of = torch.from_numpy(np.searchsorted(others, group_of)).to(device)
        step = min(BATCH_SIZE, rows_at_once(self.cells.n_features, 4))
        for start in range(0, len(own), step):
            i = slice(start, start + step)
            baseline = self.cells.gather(group_of[i], row_of[i]).to(device)
            x, context = cells[own[i]].to(device), cells.context(own[i], device)
            at = torch.from_numpy(alpha[i]).to(device)
            total.index_add_(
                0, other_of[i], path_attributions(contrast, x, baseline, at, *context)
            )
        return total.cpu().double().numpy()

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
        return order[: min(n, above, MAX_CARRIERS)]

    def design(
        self, source: int, reference: int | None, carriers: np.ndarray, mine: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values of some of the carriers, cell weights and target, source cells first.

        Against the rest, carriers are those of :meth:`candidates`, whose values are kept.
        """
        groups = [source, *self.cells.others(source, reference)]
        x = np.concatenate([self._columns(g, carriers, reference)[:, mine] for g in groups])
        share = np.array([0.5, *(0.5 * self._reference_share(source, reference))])
        counts = np.array([len(self.cells[g]) for g in groups])
        m = [self._log_odds[g] for g in groups]
        contrast = np.concatenate(
            [s[:, source] - (0 if reference is None else s[:, reference]) for s in m]
        ).astype(float)
        scale = max(float(np.median(np.abs(contrast))), 1e-12)
        given = np.repeat(np.where(np.arange(len(groups)) == 0, 1.0, -1.0), counts)
        target = (np.tanh(contrast / scale) + given) / 2
        return x, np.repeat(share / counts, counts), target

    def _reference_share(self, source: int, reference: int | None) -> np.ndarray:
        sizes = self.cells.sizes[self.cells.others(source, reference)]
        return sizes / sizes.sum()

    def _columns(self, group: int, carriers: np.ndarray, reference: int | None) -> np.ndarray:
        """Carriers of all cells of a group; kept where every comparison has the same ones."""
        if reference is not None:
            return self.cells[group].columns(carriers)
        if group not in self._dense:
            self._dense[group] = self.cells[group].columns(carriers)
        return self._dense[group]

    @staticmethod
    def _below(relevance: np.ndarray, ranked: np.ndarray, score: np.ndarray) -> np.ndarray:
        """Scores of all features: the candidates', then the rest's scaled below the last."""
        magnitude = relevance.copy()
        magnitude[ranked] = 0
        magnitude *= 0.99 * score[-1] / max(magnitude.max(), 1e-30)
        magnitude[ranked] = score
        return magnitude

    def _per_cell(self, source: int, reference: int | None) -> np.ndarray | None:
        from ace.explain._expected_gradients import ExpectedGradients

        method = ExpectedGradients(
            self.scorer, self.cells, seed=self.seed, per_cell=True, balanced=True
        )
        return method.explain(source, reference).per_cell
