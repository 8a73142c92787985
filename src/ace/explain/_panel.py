"""Jointly chosen panels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ace._checks._arguments import number
from ace._listed import listed
from ace.explain._additive import enter, follow, moments, near_copies
from ace.explain._attribution import Attribution, name_order
from ace.explain._cells import draw
from ace.explain._contrast import Contrast
from ace.explain._expected_gradients import ExpectedGradients
from ace.explain._method import Method, MethodInfo, at_least_one
from ace.explain._paths import Paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ace.explain._cells import GroupedCells
    from ace.explain._scorer import GroupScorer

#: Smallest number of pairs of cells for each two groups.
MIN_PAIRS = 16
#: Largest number of candidates of all groups together: their values are dense at the same time.
MAX_CARRIERS = 300
#: Relevance, relative to the average gene, below which a gene does not enter jointly.
LEAST_RELEVANCE = 4.0
#: Sign of the partial correlation with which features enter.
SIGNS = {"both": 0, "enriched": 1, "depleted": -1}


class Panel(Method):
    r"""A small panel: the first genes are chosen jointly, the others are ranked stably.

    In a ranking by the scores of single genes, the first genes may all be markers of the same
    programme. Here genes enter a sparse additive surrogate of the group one at a time. With the
    genes :math:`S`, the error of the surrogate is

    .. math::
        E(S) = \min_{a, b} \sum_n w_n \Bigl(t_n - \sum_{i \in S} \bigl(a_i x_{ni}
        + b_i \mathbb{1}[x_{ni} > 0]\bigr)\Bigr)^2 + \lambda \lVert (a, b) \rVert^2 ,

    with a value and a detection term for each gene, standardised, and :math:`\lambda = 0.01`. The
    next gene maximises

    .. math::
        \underbrace{r_i}_{\text{relevance}} \cdot
        \underbrace{\bigl(E(S) - E(S \cup i)\bigr)}_{\text{gain}} \cdot
        \underbrace{\bigl(1 - \max_{j \in S} \lvert \rho_{ij} \rvert\bigr)}
        _{\text{not redundant}} .

    Later choices are less stable: which of two near copies enters depends on a few cells, and
    affects all further choices. After ``n_joint`` genes, the other candidates are therefore ranked
    by a quantity that does not depend on :math:`S`, their relevance minus what they share with
    all candidates,

    .. math::
        r_i \Bigl(1 - \frac{\sum_{j \ne i} r_j \lvert \rho_{ij} \rvert}{\sum_j r_j}\Bigr) ,

    and near copies of a higher-ranked gene (a correlation above 0.99) come last. In these formulas

    - :math:`r_i` is the relevance of the gene, a mean over the other groups. For each of them it
      is the gene's share of the absolute expected gradients of the log-odds of the group, with
      baselines from that other group. A gene that is up against one neighbour and down against
      another therefore does not cancel, and a distant neighbour counts no more than a close one.
      Groups are weighted by the square root of their number of cells, because few cells give a
      noisy estimate. For one group against another it is the share in the difference of their
      log-odds, which is the same in both directions. A gene that is less relevant than four
      average genes does not enter jointly;
    - the target is the mean of the saturated score and the given label,
      :math:`t = \tfrac{1}{2} \bigl[\tanh(m_s / c) + y\bigr]` with :math:`y = 1` in the source
      and :math:`-1` elsewhere, and :math:`c` the median of :math:`\lvert m_s \rvert` in the
      source or elsewhere. Distance beyond the decision boundary does not count, and the target is
      near 0 where score and label disagree;
    - weights :math:`w_n` and correlations :math:`\rho` are such that source and reference count
      equally.

    Candidates are the smallest set of genes that carries a share ``mass`` of the attribution of
    all groups together (of the two groups, if one is compared with another): at most 300, and none
    that carries less than the average gene. A gene that is irrelevant to every group is therefore
    no candidate, even if it differs by chance or because of normalisation. Each group uses the
    ``max_candidates`` most relevant candidates; all other genes are ranked after them by their
    relevance. With a direction (:meth:`~ace.explain.Method.restrict`), genes enter only if their
    correlation with the target, given the genes before them, has that sign. The score of a jointly
    chosen gene is the cube root of the criterion at its entry, relative to that of the first gene.
    The sign is that of the mean difference.

    Parameters
    ----------
    scorer, cells, random_state, per_cell
        See :class:`~ace.explain.Method`; individual cells get their expected gradients.
    n_pairs
        Number of pairs of source and reference cells to estimate the relevance from, per group.
    mass
        Share of the attribution that the candidates carry, in (0, 1], unless there would be more
        than 300 or some would carry less than the average gene.
    max_candidates
        Largest number of candidates per group.
    n_joint
        Largest number of genes that are chosen jointly, after those in ``include``.
    include
        Names of genes that enter first, in this order; the others complement them.

    Raises
    ------
    ValueError
        If a gene in ``include`` is not a feature of the scorer.
    """

    info = MethodInfo(
        name="panel",
        computes="small panel, whose first genes are chosen jointly to distinguish the group",
        paper="this package, with expected gradients (Erion et al. 2021)",
        signed=True,
        needs_reference=True,
        ranks_unseen=True,
        revision=2,
    )

    fold_options: ClassVar[dict[str, Any]] = {"n_pairs": 300, "max_candidates": 60}

    def __init__(
        self,
        scorer: GroupScorer,
        cells: GroupedCells,
        *,
        random_state: int = 0,
        per_cell: bool = False,
        n_pairs: int = 1000,
        mass: float = 0.75,
        max_candidates: int = 100,
        n_joint: int = 8,
        include: Sequence[str] = (),
    ) -> None:
        super().__init__(scorer, cells, random_state=random_state, per_cell=per_cell)
        number(mass, "mass", 0, 1, above=True)
        at_least_one(n_pairs=n_pairs, max_candidates=max_candidates, n_joint=n_joint)
        self.n_pairs = n_pairs
        self.mass = mass
        self.max_candidates = max_candidates
        self.n_joint = n_joint
        self._include = self._positions(include)
        self._relevance: dict[tuple[int, int | None], np.ndarray] = {}
        self._rest_candidates: np.ndarray | None = None

    def _positions(self, include: Sequence[str]) -> np.ndarray:
        names = [include] if isinstance(include, str) else list(dict.fromkeys(include))
        known = {name: i for i, name in enumerate(self.scorer.feature_names or ())}
        missing = [name for name in names if name not in known]
        if missing:
            raise ValueError(
                f"include has genes that are not part of the explanation: {listed(missing)}."
            )
        return np.array([known[name] for name in names], dtype=np.int64)

    def explain(self, source: int, reference: int | None) -> Attribution:
        """Choose the panel of one group."""
        # The panel of a pair is the same in both directions, with opposite signs.
        pair = (source, reference)
        if reference is not None:
            pair = (min(source, reference), max(source, reference))
        relevance = self.relevance(*pair)
        carriers = self.candidates(*pair)
        allowed = self.eligible_for(source, reference)
        mine = np.argsort(-(relevance * allowed)[carriers], kind="stable")[: self.max_candidates]
        mine = mine[allowed[carriers[mine]]]
        added = np.setdiff1d(self._include, carriers[mine])
        sign = SIGNS[self.direction] * (1 if pair[0] == source else -1)
        ranked, score = self._ranked(pair, carriers, mine, added, sign)
        per_cell = self._per_cell(source, reference) if self.per_cell else None
        result = self.attribution(
            _below_candidates(relevance, ranked, score),
            self.cells.difference(source, reference),
            source,
            reference,
            per_cell=per_cell,
        )
        # Candidates whose scores are equal in float32 keep their order.
        followers = result.ranking[~np.isin(result.ranking, ranked)]
        return replace(result, ranking=np.concatenate([ranked, followers]))

    def eligible_for(self, source: int, reference: int | None) -> np.ndarray:
        """Which features may be ranked in one comparison; those of ``include`` always."""
        allowed = super().eligible_for(source, reference)
        allowed[self._include] = True
        return allowed

    def _ranked(
        self,
        pair: tuple[int, int | None],
        carriers: np.ndarray,
        mine: np.ndarray,
        added: np.ndarray,
        sign: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Candidates in order, and their scores: those that enter jointly, then the others."""
        candidates = np.concatenate([carriers[mine], added])
        if len(candidates) == 0:
            return candidates, np.empty(0)
        x, weights, target = self.design(*pair, carriers, mine, added)
        everyone = self.relevance(*pair)
        relevance = everyone[candidates]
        enough = relevance >= LEAST_RELEVANCE * everyone.mean()
        prior = np.where(enough, relevance, 0) if enough.any() else relevance
        first = [int(np.flatnonzero(candidates == gene)[0]) for gene in self._include]
        found = moments(x, weights, target)
        n_joint = self.n_joint + len(first)
        chosen, entry = enter(found, prior, n_joint, first=first, sign=sign)
        # Partial gains may increase when a suppressor enters, but scores must not.
        entry[: len(first)] = entry.max(initial=1e-30)
        score = np.minimum.accumulate(np.cbrt(entry / entry[0])) if len(entry) else np.ones(0)
        alone = follow(found, relevance, chosen)
        followers = np.argsort(-alone, kind="stable")[: len(alone) - len(chosen)]
        top = 0.99 * (score[-1] if len(score) else 1.0)
        behind = top * alone[followers] / max(alone.max(), 1e-30)
        copies = near_copies(found, np.concatenate([chosen, followers]))[len(chosen) :]
        last = np.lexsort((-behind, copies))
        behind = np.minimum.accumulate(behind[last])  # copies get the score of the last other one
        order = np.concatenate([chosen, followers[last]])
        return candidates[order], np.concatenate([score, behind])

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
        """Expected gradients with baselines from each of the other groups, one row per group."""
        n = max(self.n_pairs, MIN_PAIRS * len(others))
        rng = self.rng_of(source, reference)
        group, row = self.cells.draw_reference(source, reference, n, rng, balanced=True)
        own = draw(len(self.cells[source]), n, rng)
        paths = Paths(own, group, row, rng.random((n, 1), dtype=np.float32))
        contrast = Contrast(self.scorer, source, reference)
        total = self.scorer.path_attributions(contrast, self.cells, paths)
        return total / np.unique(group, return_counts=True)[1][:, None]

    def candidates(self, source: int, reference: int | None) -> np.ndarray:
        """Eligible features that carry the share ``mass`` of the attribution, largest first."""
        if reference is not None:
            return self._carriers([self.relevance(source, reference)])
        if self._rest_candidates is None:
            every = [self.relevance(g, None) for g in range(len(self.cells))]
            self._rest_candidates = self._carriers(every)
        return self._rest_candidates

    def _carriers(self, relevances: list[np.ndarray]) -> np.ndarray:
        shares = np.sum([r / max(r.sum(), 1e-30) for r in relevances], axis=0) * self.eligible
        last = name_order(self.scorer.feature_names, len(shares))
        order = np.lexsort((last, -np.max(relevances, axis=0), -shares))
        carried = np.cumsum(shares[order]) / max(shares.sum(), 1e-30)
        n = int(np.searchsorted(carried, self.mass)) + 1
        # Genes of equal shares must not fall below the average by rounding.
        average = shares.sum() / max(int(self.eligible.sum()), 1)
        above = int((shares[self.eligible] >= (1 - 1e-6) * average).sum())
        return order[: min(n, above, MAX_CARRIERS)]

    def design(
        self,
        source: int,
        reference: int | None,
        carriers: np.ndarray,
        mine: np.ndarray,
        added: np.ndarray | tuple[int, ...] = (),
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values of ``carriers[mine]`` and ``added``, weights of the cells, and target.

        Source cells come first. All carriers are read, because comparisons with the rest share
        them.
        """
        groups = [source, *self.cells.others(source, reference)]
        x = np.concatenate([self.cells.columns(g, carriers)[:, mine] for g in groups])
        if len(added):
            more = np.concatenate([self.cells[g].columns(np.asarray(added)) for g in groups])
            x = np.concatenate([x, more], axis=1)
        log_odds = self.cells.log_odds(self.scorer)
        contrast = [
            m[:, source] - (0 if reference is None else m[:, reference])
            for m in (log_odds[g].astype(float) for g in groups)
        ]
        sides = (contrast[0], np.concatenate(contrast[1:]))
        saturated = [np.tanh(m / max(float(np.median(np.abs(m))), 1e-12)) for m in sides]
        target = np.concatenate([saturated[0] + 1, saturated[1] - 1]) / 2
        return x, self.cells.balanced_weights(source, reference), target

    def _per_cell(self, source: int, reference: int | None) -> np.ndarray | None:
        method = ExpectedGradients(
            self.scorer, self.cells, random_state=self.random_state, per_cell=True, balanced=True
        )
        return method.explain(source, reference).per_cell


def _below_candidates(relevance: np.ndarray, ranked: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Scores of all features: those of the candidates, and smaller ones of all others."""
    magnitude = relevance.copy()
    magnitude[ranked] = 0
    magnitude *= 0.99 * (score[-1] if len(score) else 1.0) / max(magnitude.max(), 1e-30)
    magnitude[ranked] = score
    return magnitude
