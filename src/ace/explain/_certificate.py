"""How well panels work on cells that had no part in their choice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ace.explain._additive import nested_predictions
from ace.explain._folds import N_FOLDS, folds
from ace.explain._rules import BETA, N_GENES, fit_rule, precision_and_recall, selects

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ace.explain._cells import GroupedCells
    from ace.explain._folds import Fold
    from ace.explain._scorer import GroupScorer

#: Numbers of genes for which panels are judged.
SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20)
#: Fewest cells of a group for which a panel is judged.
MIN_CELLS = 5
#: Largest number of cells of all groups together, which bounds the cost.
MAX_CELLS = 4000
#: A panel is better than chance if its AUROC exceeds one half by this many standard errors.
CHANCE = 3.0

#: Factor of standard errors: parts share the cells that they are fitted to, so the results of
#: different parts are not independent (Nadeau and Bengio 2003).
DEPENDENCE = float(np.sqrt(1 + N_FOLDS / (N_FOLDS - 1)))

#: Measures of a panel, each followed by its standard error.
MEASURES = tuple(
    f"{name}{end}"
    for name in ("auroc", "average_precision", "precision", "recall", "f_beta", "auroc_against")
    for end in ("", "_se")
)

#: A comparison: source and reference; ``None`` for the rest.
Pair = tuple[int, int | None]


@dataclass(frozen=True)
class Quality:
    """Quality of the panels of one group, for several numbers of genes.

    Attributes
    ----------
    n_genes
        Numbers of genes, increasing.
    measures
        For each measure an array with a value for each number of genes: ``auroc``,
        ``average_precision``, and at the threshold of the best :math:`F_{0.5}` of the fitted cells
        ``precision``, ``recall`` and ``f_beta``; ``auroc_against`` for the source against the
        nearest other group alone; and ``<measure>_se``, the standard error of each.
    rule
        Precision and recall of rules in words (see :mod:`ace.explain._rules`) and their standard
        errors: ``precision``, ``precision_se``, ``recall`` and ``recall_se``.
    against
        That nearest group.
    panel_size
        Smallest number of genes whose AUROC is within one standard error of the best; 0 if no
        panel is better than chance.
    """

    n_genes: np.ndarray
    measures: dict[str, np.ndarray]
    rule: dict[str, float]
    against: int
    panel_size: int


@dataclass
class _HeldOut:
    """What is collected for one comparison, fold by fold."""

    placements: list[np.ndarray] = field(default_factory=list)  # of source cells among the others
    inverse: list[np.ndarray] = field(default_factory=list)  # of the others among source cells
    weights: list[np.ndarray] = field(default_factory=list)  # of the others
    near: list[np.ndarray] = field(default_factory=list)  # placements in the nearest group
    near_inverse: list[np.ndarray] = field(default_factory=list)
    by_fold: list[np.ndarray] = field(default_factory=list)  # the other measures
    rules: list[tuple[float, float]] = field(default_factory=list)  # precision and recall
    n_ranked: list[int] = field(default_factory=list)  # number of genes that were ranked


def certify(
    rank: Callable[[Fold], Callable[[int, int | None], np.ndarray]],
    scorer: GroupScorer,
    cells: GroupedCells,
    pairs: Sequence[Pair],
    *,
    random_state: int = 0,
    sizes: Sequence[int] = SIZES,
) -> list[Quality | None]:
    """Judge panels by cross-fitting: genes are chosen on some cells and judged on others.

    The panels of a fold are chosen on its fitted cells. A sparse additive surrogate of the label
    (see :class:`~ace.explain.Panel`) with the leading genes is fitted to the same cells, and
    predicts the held-out ones. Of many cells, 4000 are used.

    Parameters
    ----------
    rank
        Returns, for a fold, the function that ranks the features for a comparison.
    scorer, cells
        The scorer and the cells of its groups.
    pairs
        The comparisons.
    random_state
        Seed of the folds.
    sizes
        Numbers of genes, increasing.

    Returns
    -------
    The quality for each comparison; ``None`` if a side has fewer than five cells.
    """
    cells = _thinned(cells, random_state)
    judged = [i for i, pair in enumerate(pairs) if _enough_cells(cells, pair)]
    against = {i: _nearest(scorer, cells, pairs[i]) for i in judged}
    found = {i: _HeldOut() for i in judged}
    n_genes = np.array([n for n in sizes if n <= cells.n_features])
    for fold in folds(scorer, cells, random_state=random_state):
        ranking = rank(fold)
        for i in judged:
            genes = ranking(*pairs[i])[: n_genes[-1]]
            if len(genes):
                _judge(found[i], fold, cells, pairs[i], genes, n_genes, against[i])
                found[i].n_ranked.append(len(genes))
    qualities: list[Quality | None] = [None] * len(pairs)
    for i in judged:
        if found[i].placements:
            # Fewer genes may be eligible than were to be judged.
            some = n_genes <= max(min(found[i].n_ranked), n_genes[0])
            qualities[i] = _summarised(found[i], n_genes, some, against[i])
    return qualities


def _thinned(cells: GroupedCells, random_state: int) -> GroupedCells:
    """Cells of large groups are left out until no more than ``MAX_CELLS`` remain."""
    counts = np.array([len(rows) for rows in cells.groups])
    if counts.sum() <= MAX_CELLS:
        return cells
    # The largest number per group with which they are not more, between these two.
    limit, too_many = MIN_CELLS, int(counts.max())
    while too_many - limit > 1:
        middle = (limit + too_many) // 2
        fits = np.minimum(counts, middle).sum() <= MAX_CELLS
        limit, too_many = (middle, too_many) if fits else (limit, middle)
    rng = np.random.default_rng([random_state, 4])
    kept = [np.sort(rng.permutation(n)[:limit]) for n in counts]
    return cells.subset(kept, alone=True)


def _enough_cells(cells: GroupedCells, pair: Pair) -> bool:
    others = sum(len(cells[g]) for g in cells.others(*pair))
    return min(len(cells[pair[0]]), others) >= MIN_CELLS


def _nearest(scorer: GroupScorer, cells: GroupedCells, pair: Pair) -> int:
    """The other group with the highest mean log-odds in the source."""
    others = cells.others(*pair)
    return others[int(np.argmax(cells.log_odds(scorer)[pair[0]].mean(0)[others]))]


def _judge(
    into: _HeldOut,
    fold: Fold,
    cells: GroupedCells,
    pair: Pair,
    genes: np.ndarray,
    sizes: np.ndarray,
    against: int,
) -> None:
    """Fit surrogates to one part of the cells, and judge their predictions of the other."""
    groups = [pair[0], *cells.others(*pair)]
    held_out = [fold.held_out[g] for g in groups]
    if len(held_out[0]) == 0 or not any(len(rows) for rows in held_out[1:]):
        return
    values = [cells[g].columns(genes) for g in groups]
    x = np.concatenate([np.delete(v, r, 0) for v, r in zip(values, held_out, strict=True)])
    new = np.concatenate([v[r] for v, r in zip(values, held_out, strict=True)])
    weights = fold.fitted.balanced_weights(*pair)
    source = np.arange(len(x)) < len(fold.fitted[groups[0]])
    fitted, predicted = nested_predictions(x, weights, np.where(source, 1.0, -1.0), new, sizes)
    # Each cell stands for so many cells of the data.
    share = cells.sizes / np.array([len(rows) for rows in cells.groups])
    own, rest = predicted[: len(held_out[0])], predicted[len(held_out[0]) :]
    code = np.repeat(groups[1:], [len(rows) for rows in held_out[1:]])
    into.placements.append(_placements(own, rest, share[code]))
    into.inverse.append(1 - _placements(rest, own, np.ones(len(own))))
    into.weights.append(share[code])
    near = rest[code == against]
    if len(near):
        into.near.append(_placements(own, near, np.ones(len(near))))
        into.near_inverse.append(1 - _placements(near, own, np.ones(len(own))))
    # Thresholds are chosen on the fitted cells, in which both sides are weighted as in the data.
    fitted_code = np.repeat(groups, [len(fold.fitted[g]) for g in groups])
    threshold = _best_thresholds(fitted, source, share[fitted_code])
    own_weight, rest_weight = share[groups[0]] * np.ones(len(own)), share[code]
    rule = fit_rule(x[:, :N_GENES], share[fitted_code], source)
    into.rules.append(
        precision_and_recall(
            selects(rule, new),
            np.concatenate([own_weight, rest_weight]),
            np.arange(len(new)) < len(own),
        )
    )
    into.by_fold.append(
        np.stack([
            _average_precision(own, rest, own_weight, rest_weight),
            *_at_threshold(own, rest, own_weight, rest_weight, threshold),
        ])
    )  # fmt: skip


def _placements(scores: np.ndarray, among: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted share of ``among`` below each score; ties count one half."""
    result = np.empty(scores.shape)
    for column in range(scores.shape[1]):
        order = np.argsort(among[:, column], kind="stable")
        below = np.concatenate([[0], np.cumsum(weights[order])])
        ordered = among[order, column]
        left = np.searchsorted(ordered, scores[:, column], side="left")
        right = np.searchsorted(ordered, scores[:, column], side="right")
        result[:, column] = (below[left] + below[right]) / (2 * below[-1])
    return result


def _curve(
    scores: np.ndarray, source: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thresholds, decreasing, and the weights of true and false positives at each."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    true = np.cumsum(np.where(source[order], weights[order], 0))[last]
    false = np.cumsum(np.where(source[order], 0, weights[order]))[last]
    return ordered[last], true, false


def _best_thresholds(scores: np.ndarray, source: np.ndarray, weights: np.ndarray) -> np.ndarray:
    best = np.empty(scores.shape[1])
    for column in range(scores.shape[1]):
        threshold, true, false = _curve(scores[:, column], source, weights)
        best[column] = threshold[int(np.argmax(_f_beta(true, false, true[-1])))]
    return best


def _f_beta(true: np.ndarray, false: np.ndarray, positives: np.ndarray | float) -> np.ndarray:
    return (1 + BETA**2) * true / (true + false + BETA**2 * positives)


def _average_precision(
    own: np.ndarray, rest: np.ndarray, own_weight: np.ndarray, rest_weight: np.ndarray
) -> np.ndarray:
    scores, weights = np.concatenate([own, rest]), np.concatenate([own_weight, rest_weight])
    source = np.arange(len(scores)) < len(own)
    result = np.empty(scores.shape[1])
    for column in range(scores.shape[1]):
        _, true, false = _curve(scores[:, column], source, weights)
        result[column] = (np.diff(true, prepend=0) * true / (true + false)).sum() / true[-1]
    return result


def _at_threshold(
    own: np.ndarray,
    rest: np.ndarray,
    own_weight: np.ndarray,
    rest_weight: np.ndarray,
    threshold: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision (0 if no cell is above the threshold), recall and their F-measure."""
    true, false = own_weight @ (own >= threshold), rest_weight @ (rest >= threshold)
    positives = own_weight.sum()
    precision = np.divide(true, true + false, out=np.zeros(len(true)), where=true + false > 0)
    return precision, true / positives, _f_beta(true, false, positives)


def _summarised(found: _HeldOut, sizes: np.ndarray, some: np.ndarray, against: int) -> Quality:
    """Quality for some of the sizes."""
    auroc, error = _area(found.placements, found.inverse, np.concatenate(found.weights))
    measures = {"auroc": auroc, "auroc_se": error}
    by_fold = np.stack(found.by_fold)
    for i, name in enumerate(("average_precision", "precision", "recall", "f_beta")):
        measures[name] = by_fold[:, i].mean(0)
        n = len(by_fold)
        spread = by_fold[:, i].std(0, ddof=1) if n > 1 else np.full(len(sizes), np.nan)
        measures[f"{name}_se"] = DEPENDENCE * spread / np.sqrt(n)
    near = np.full((2, len(sizes)), np.nan)
    if found.near:
        n_near = sum(len(part) for part in found.near_inverse)
        near = np.stack(_area(found.near, found.near_inverse, np.ones(n_near)))
    measures["auroc_against"], measures["auroc_against_se"] = near
    rules = np.array(found.rules)
    spread = rules.std(0, ddof=1) if len(rules) > 1 else np.full(2, np.nan)
    error_of = DEPENDENCE * spread / np.sqrt(len(rules))
    rule: dict[str, float] = {}
    for i, name in enumerate(("precision", "recall")):
        rule |= {name: float(rules[:, i].mean()), f"{name}_se": float(error_of[i])}
    measures = {name: values[some] for name, values in measures.items()}
    n_own, n_rest = (sum(len(p) for p in part) for part in (found.placements, found.inverse))
    # Without a single error, the standard error would be 0.
    least = 0.5 / min(n_own, n_rest)
    size = _panel_size(sizes[some], auroc[some], np.maximum(error[some], least))
    return Quality(sizes[some], measures, rule, against, size)


def _area(
    placements: list[np.ndarray], inverse: list[np.ndarray], weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Area under the ROC curve over all folds, and its standard error (DeLong et al. 1988).

    Cells are compared with cells of the same fold only.
    """
    own, rest = np.concatenate(placements), np.concatenate(inverse)
    share = weights / weights.sum()
    area = own.mean(0)
    of_own = own.var(0, ddof=1) / len(own) if len(own) > 1 else np.full(area.shape, np.nan)
    of_rest = share**2 @ (rest - share @ rest) ** 2
    return area, DEPENDENCE * np.sqrt(of_own + of_rest)


def _panel_size(sizes: np.ndarray, auroc: np.ndarray, error: np.ndarray) -> int:
    best = int(np.argmax(auroc))
    if not auroc[best] - 0.5 > CHANCE * error[best]:
        return 0
    return int(sizes[np.flatnonzero(auroc >= auroc[best] - error[best])[0]])
