"""Rules in words: thresholds on a few genes that select the cells of a group."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: Largest number of conditions of a rule.
MAX_CONDITIONS = 3
#: Number of leading genes that conditions are chosen from.
N_GENES = 8
#: Smallest increase of the F-measure by a further condition.
MIN_GAIN = 0.01
#: Precision counts more than recall, as for NS-Forest.
BETA = 0.5


class Condition(NamedTuple):
    """A gene is above a threshold, or at most the threshold."""

    gene: int
    threshold: float
    above: bool


def fit_rule(x: np.ndarray, weights: np.ndarray, source: np.ndarray) -> list[Condition]:
    """Choose conditions that together select the source cells.

    One condition is added at a time: of all genes and thresholds, the one with the largest
    :math:`F_{0.5}`, until it increases by less than 0.01. After each, the thresholds of the others
    are chosen again.

    Parameters
    ----------
    x
        Values of the genes, shape ``(n_cells, n_genes)``.
    weights
        Weight of each cell.
    source
        Whether each cell is of the source.

    Returns
    -------
    The conditions, at least one unless all genes are constant.
    """
    rule: list[Condition] = []
    selected = np.ones(len(x), dtype=bool)
    positives, reached = float(weights[source].sum()), 0.0
    for _ in range(2 * MAX_CONDITIONS):
        if len(rule) == MAX_CONDITIONS:
            break
        found = [
            _best_threshold(x[selected, gene], weights[selected], source[selected], positives)
            for gene in range(x.shape[1])
        ]
        gene = int(np.argmax([measure for measure, _, _ in found]))
        measure, threshold, above = found[gene]
        if measure < reached + (MIN_GAIN if rule else 1e-12):
            break
        rule.append(Condition(gene, threshold, above))
        rule, reached = _refined(_merged(rule), x, weights, source, measure)
        selected = selects(rule, x)
    return rule


def _merged(rule: list[Condition]) -> list[Condition]:
    """Leave out a condition that a later one on the same gene implies."""
    last = rule[-1]
    return [c for c in rule[:-1] if (c.gene, c.above) != (last.gene, last.above)] + [last]


def _refined(
    rule: list[Condition], x: np.ndarray, weights: np.ndarray, source: np.ndarray, reached: float
) -> tuple[list[Condition], float]:
    """Choose each threshold again, given the other conditions."""
    positives = float(weights[source].sum())
    for i in range(len(rule) - 1):
        others = rule[:i] + rule[i + 1 :]
        rest = selects(others, x)
        measure, threshold, above = _best_threshold(
            x[rest, rule[i].gene], weights[rest], source[rest], positives
        )
        if measure > reached:
            rule = [*rule[:i], Condition(rule[i].gene, threshold, above), *rule[i + 1 :]]
            reached = measure
    return rule, reached


def selects(rule: list[Condition], x: np.ndarray) -> np.ndarray:
    """Which cells fulfil all conditions, shape ``(n_cells,)``; none if there are no conditions."""
    chosen = np.full(len(x), bool(rule))
    for gene, threshold, above in rule:
        chosen &= (x[:, gene] > threshold) == above
    return chosen


def precision_and_recall(
    chosen: np.ndarray, weights: np.ndarray, source: np.ndarray
) -> tuple[float, float]:
    """Precision (0 if no cell is chosen) and recall."""
    true, every = weights[chosen & source].sum(), weights[chosen].sum()
    return float(true / every) if every else 0.0, float(true / weights[source].sum())


def in_words(rule: list[Condition], names: list[str]) -> str:
    """The rule as text, such as ``"CD79A > 0.8 and NKG7 ≤ 0.4"``."""
    return " and ".join(
        f"{names[gene]} {'>' if above else '≤'} {threshold:.3g}" for gene, threshold, above in rule
    )


def _best_threshold(
    values: np.ndarray, weights: np.ndarray, source: np.ndarray, positives: float
) -> tuple[float, float, bool]:
    """Largest F-measure of one gene, its threshold, and whether values above are selected."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    # Thresholds lie halfway between neighbouring values.
    ends = np.flatnonzero(np.diff(ordered))
    if len(ends) == 0:
        return 0.0, 0.0, True
    true = np.cumsum(np.where(source[order], weights[order], 0.0))
    every = np.cumsum(weights[order])
    best = (0.0, 0.0, True)
    for above in (True, False):
        hits = true[-1] - true[ends] if above else true[ends]
        chosen = every[-1] - every[ends] if above else every[ends]
        measure = (1 + BETA**2) * hits / (chosen + BETA**2 * positives)
        at = int(np.argmax(measure))
        if measure[at] > best[0]:
            halfway = (float(ordered[ends[at]]) + float(ordered[ends[at] + 1])) / 2
            best = (float(measure[at]), halfway, above)
    return best
