"""Jointly chosen panels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ace._checks._arguments import number
from ace.explain._attribution import Attribution, name_order
from ace.explain._cells import draw
from ace.explain._contrast import Contrast
from ace.explain._expected_gradients import ExpectedGradients
from ace.explain._method import Method, MethodInfo, at_least_one
from ace.explain._paths import Paths
from ace.explain._pursuit import panel_size, pursue

if TYPE_CHECKING:
    from ace.explain._cells import GroupedCells
    from ace.explain._scorer import GroupScorer

#: Smallest number of pairs of cells for each two groups.
MIN_PAIRS = 16
#: Largest number of candidates of all groups together: their values are dense at the same time.
MAX_CARRIERS = 300


class Panel(Method):
    r"""A small panel: the first genes are chosen jointly, the others are ranked stably.

    In a ranking by the scores of single genes, the first genes may all be markers of the same
    programme. Here the first ``n_joint`` genes enter one at a time. The next one maximises

    .. math::
        \underbrace{r_i}_{\text{relevance}} \cdot
        \underbrace{\lvert \rho(t, x_i \mid x_S) \rvert}_{\text{information added}} \cdot
        \underbrace{\bigl(1 - \max_{j \in S} \lvert \rho(x_i, x_j) \rvert\bigr)^{1/2}}
        _{\text{not redundant}}

    where :math:`S` are the genes already chosen. Later choices are less stable: which of two near
    copies enters depends on a few cells, and affects all further choices. The remaining
    candidates are therefore ranked by a quantity that does not depend on :math:`S`, their
    relevance minus what they share with all candidates:

    .. math::
        r_i \Bigl(1 - \frac{\sum_{j \ne i} r_j \lvert \rho(x_i, x_j) \rvert}
        {\sum_j r_j}\Bigr)^{\sigma} ,

    and near copies of a higher-ranked gene (a correlation above 0.99) come last. In these formulas

    - :math:`r_i` is a mean over the other groups. For each of them it is the gene's share of the
      absolute expected gradients of the log-odds of the group, with baselines from that other
      group. A gene that is up against one neighbour and down against another therefore does not
      cancel, and a distant neighbour counts no more than a close one. Groups are weighted by the
      square root of their number of cells, because few cells give a noisy estimate. For one group
      against another it is the share in the difference of their log-odds, which is the same in
      both directions;
    - :math:`\rho(t, x_i \mid x_S)` is the semi-partial correlation of the gene with the target,
      given the chosen genes (orthogonal least squares for a sparse linear surrogate);
    - the target is the mean of the saturated score and the given label,
      :math:`t = \tfrac{1}{2} \bigl[\tanh(m_s / \mathrm{median} \lvert m_s \rvert) + y\bigr]`
      with :math:`y = 1` in the source and :math:`-1` elsewhere. Distance beyond the decision
      boundary does not count, and the target is near 0 where score and label disagree;
    - all correlations are weighted such that source and reference count equally.

    Candidates are the smallest set of genes that carries a share ``mass`` of the attribution of
    all groups together (of the two groups, if one is compared with another): at most 300, and none
    that carries less than the average gene. A gene that is irrelevant to every group is therefore
    no candidate, even if it differs by chance or because of normalisation. Each group uses the
    ``max_candidates`` most relevant candidates; all other genes are ranked after them by their
    relevance. The score of a jointly chosen gene is the cube root of the criterion at its entry,
    relative to that of the first gene. The sign is the direction of the gene in the source.

    The diagnostic ``panel_size`` is the smallest number of genes, of the first ``max_panel``, for
    which the cross-validated error of the surrogate is within one standard error of the best.

    Parameters
    ----------
    scorer, cells, random_state, per_cell
        See :class:`~ace.explain.Method`; individual cells get their expected gradients.
    n_pairs
        Number of pairs of source and reference cells to estimate the relevance from, per group.
    mass
        Share of the attribution that the candidates carry, in (0, 1]. They may carry less if
        attributions are nearly uniform, or if there are very many genes.
    max_candidates
        Largest number of candidates per group.
    n_joint
        Largest number of genes that are chosen jointly.
    max_panel
        Largest size of a panel.
    sparing
        Exponent :math:`\sigma`, not negative: larger values give less redundant panels, smaller
        values panels that are more stable between samples of cells.
    """

    info = MethodInfo(
        name="panel",
        computes="small panel, whose first genes are chosen jointly to distinguish the group",
        paper="this package, with expected gradients (Erion et al. 2021)",
        signed=True,
        needs_reference=True,
    )

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
        n_joint: int = 5,
        max_panel: int = 40,
        sparing: float = 1.0,
    ) -> None:
        super().__init__(scorer, cells, random_state=random_state, per_cell=per_cell)
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
        self._relevance: dict[tuple[int, int | None], np.ndarray] = {}
        self._rest_candidates: np.ndarray | None = None

    def explain(self, source: int, reference: int | None) -> Attribution:
        """Choose the panel of one group."""
        # The panel of a pair is the same in both directions, with opposite signs.
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
        size = panel_size(x[:, order[: self.max_panel]], weights, target, self.rng_of(*pair))
        per_cell = self._per_cell(source, reference) if self.per_cell else None
        result = self.attribution(
            _below_candidates(relevance, ranked, score),
            self.cells.difference(source, reference),
            source,
            reference,
            per_cell=per_cell,
            diagnostics={"panel_size": float(size)},
        )
        # Candidates whose scores are equal in float32 keep their order.
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
        """Features that carry the share ``mass`` of the attribution, largest share first."""
        if reference is not None:
            return self._carriers([self.relevance(source, reference)])
        if self._rest_candidates is None:
            every = [self.relevance(g, None) for g in range(len(self.cells))]
            self._rest_candidates = self._carriers(every)
        return self._rest_candidates

    def _carriers(self, relevances: list[np.ndarray]) -> np.ndarray:
        shares = np.sum([r / max(r.sum(), 1e-30) for r in relevances], axis=0)
        last = name_order(self.scorer.feature_names, len(shares))
        order = np.lexsort((last, -np.max(relevances, axis=0), -shares))
        carried = np.cumsum(shares[order]) / max(shares.sum(), 1e-30)
        n = int(np.searchsorted(carried, self.mass)) + 1
        # Genes of equal shares must not fall below the average by rounding.
        above = int((shares >= (1 - 1e-6) * shares.mean()).sum())
        return order[: min(n, above, MAX_CARRIERS)]

    def design(
        self, source: int, reference: int | None, carriers: np.ndarray, mine: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Values of ``carriers[mine]``, weights of the cells, and target; source cells first.

        All carriers are read, because comparisons with the rest share them.
        """
        others = self.cells.others(source, reference)
        groups = [source, *others]
        x = np.concatenate([self.cells.columns(g, carriers)[:, mine] for g in groups])
        sizes = self.cells.sizes[others]
        share = np.array([0.5, *(0.5 * (sizes / sizes.sum()))])
        counts = np.array([len(self.cells[g]) for g in groups])
        log_odds = self.cells.log_odds(self.scorer)
        m = [log_odds[g] for g in groups]
        contrast = np.concatenate(
            [s[:, source] - (0 if reference is None else s[:, reference]) for s in m]
        ).astype(float)
        scale = max(float(np.median(np.abs(contrast))), 1e-12)
        label = np.repeat(np.where(np.arange(len(groups)) == 0, 1.0, -1.0), counts)
        target = (np.tanh(contrast / scale) + label) / 2
        return x, np.repeat(share / counts, counts), target

    def _per_cell(self, source: int, reference: int | None) -> np.ndarray | None:
        method = ExpectedGradients(
            self.scorer, self.cells, random_state=self.random_state, per_cell=True, balanced=True
        )
        return method.explain(source, reference).per_cell


def _below_candidates(relevance: np.ndarray, ranked: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Scores of all features: those of the candidates, and smaller ones of all others."""
    magnitude = relevance.copy()
    magnitude[ranked] = 0
    magnitude *= 0.99 * score[-1] / max(magnitude.max(), 1e-30)
    magnitude[ranked] = score
    return magnitude
