"""Rules in words."""

from __future__ import annotations

import numpy as np
import pytest

from ace.explain._rules import (
    Condition,
    _merged,
    fit_rule,
    in_words,
    precision_and_recall,
    selects,
)


def _cells(seed=0, n=400):
    rng = np.random.default_rng(seed)
    source = np.arange(n) < n // 4
    x = rng.uniform(0, 1, (n, 3)).astype(np.float32)
    return x, source, np.ones(n)


def test_a_planted_rule_is_found():
    """Source cells are high in gene 1 and low in gene 2; others fulfil one condition at most."""
    x, source, weights = _cells()
    x[source, 1] += 2
    x[~source, 2] += 2
    x[~source & (np.arange(400) % 2 == 0), 1] += 2
    x[~source & (np.arange(400) % 2 == 1), 2] -= 2
    rule = fit_rule(x, weights, source)
    assert {(c.gene, c.above) for c in rule} == {(1, True), (2, False)}
    assert all(1 < c.threshold < 2.3 for c in rule)
    assert precision_and_recall(selects(rule, x), weights, source) == (1, 1)
    assert in_words([Condition(1, 0.8, True), Condition(0, 0.4, False)], ["NKG7", "CD79A"]) == (
        "CD79A > 0.8 and NKG7 ≤ 0.4"
    )


def test_one_condition_suffices_if_it_is_perfect():
    x, source, weights = _cells(1)
    x[source, 0] += 5
    (condition,) = fit_rule(x, weights, source)
    assert condition.gene == 0
    assert 1 < condition.threshold < 5.0


def test_the_threshold_has_the_best_f_measure():
    """Compared with all thresholds, with weights and ties."""
    rng = np.random.default_rng(2)
    x = rng.integers(0, 6, (80, 1)).astype(np.float32)
    source, weights = rng.random(80) < x[:, 0] / 8, rng.uniform(0.5, 2, 80)
    rule = fit_rule(x, weights, source)

    def f_measure(rule):
        precision, recall = precision_and_recall(selects(rule, x), weights, source)
        return 1.25 * precision * recall / max(0.25 * precision + recall, 1e-9)

    best = max(
        f_measure([Condition(0, t, above)])
        for t in (0.5, 1.5, 2.5, 3.5, 4.5)
        for above in (True, False)
    )
    assert f_measure(rule[:1]) == pytest.approx(best)


def test_an_implied_condition_is_left_out():
    first, last = Condition(1, 0.3, True), Condition(1, 0.9, True)
    other = Condition(1, 2.0, False)
    assert _merged([first, other, last]) == [other, last]
    assert _merged([other, last]) == [other, last]


def test_constant_genes_have_no_rule():
    x, source, weights = _cells()
    rule = fit_rule(np.zeros_like(x), weights, source)
    assert rule == []
    assert not selects(rule, x).any()
    assert precision_and_recall(selects(rule, x), weights, source) == (0, 0)
