"""Classify the values of sampled cells.

Most matrices are derived from counts. Within a cell, counts are multiples of a single count, also
after the cell is scaled and after a logarithm is undone, for any selection of genes. Where this
does not hold (corrected counts, transcripts per million), the totals of the cells are used, and if
genes are missing, the spread of the values.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ace._values._kinds import CONSTANT, Values
from ace._values._sampled_cells import LARGEST_MULTIPLE, SAME_TOTAL, TOLERANCE, power, same
from ace._values._totals import LARGEST_LOGARITHM, common_total, judge_totals, mixed, uneven

if TYPE_CHECKING:
    from ace._values._sampled_cells import SampledCells, Undo

#: Values needed to use the multiples of one cell, or of all cells pooled.
FEWEST_MULTIPLES, FEWEST_POOLED = 6, 30
#: Number of certain cells needed to contradict the others.
FEWEST_CONTRADICTING = 2


def judge(cells: SampledCells, base: float | None) -> Values:
    """Classify the values; ``base`` is the expected base of a logarithm, if any."""
    if not cells.n or (np.ptp(cells.data) == 0 and cells.data[0] != 1):
        return Values("unknown", certain=False, detail=CONSTANT)
    negative = cells.low < 0
    whole = (cells.count(cells.data != np.rint(cells.data)) == 0) & ~negative
    if whole.all():
        return Values("binary" if cells.data.max() == 1 else "counts")
    bases = list(dict.fromkeys([base or math.e, math.e, 2.0, 10.0]))
    # Cells with few values other than one may be of any kind.
    counted = whole & (cells.count(cells.data > 1) >= 3)
    if negative.any():
        return _judge_negative(cells, negative, counted, bases)
    if counted.sum() < FEWEST_CONTRADICTING:
        return _judge_positive(cells, bases)
    rest = _judge_positive(cells.of(~whole), bases)
    if _contradict(cells, counted, rest):
        return mixed(cells, {"counts": counted, rest.kind: ~whole}, certain=rest.certain)
    return rest


def _judge_negative(
    cells: SampledCells, negative: np.ndarray, counted: np.ndarray, bases: list[float]
) -> Values:
    """Classify a matrix with negative values, which every cell should then have."""
    scaled = cells.of(negative)
    share = np.quantile(scaled.count(scaled.data < 0) / scaled.size, 0.05)
    odd = ~negative & ((1 - share) ** cells.size < 1e-6)
    if odd.sum() >= FEWEST_CONTRADICTING:
        counted = counted & odd
        if counted.sum() >= FEWEST_CONTRADICTING:
            return mixed(cells, {"counts": counted, "scaled": negative})
        rest = _judge_positive(cells.of(odd), bases)
        return mixed(cells, {rest.kind: odd, "scaled": negative})
    return Values("scaled")


def _contradict(cells: SampledCells, counted: np.ndarray, rest: Values) -> bool:
    """Whether cells with counts are inconsistent with the kind of the other cells."""
    counts = cells.of(counted)
    if rest.is_log and rest.base != 2.0:
        return True  # only logarithms to base 2 of counts can be whole, such as log2(1 + 3)
    if rest.is_log:
        # Some ratios are whole by chance: (e³ - 1) / (e² - 1) is 2.99.
        undone = counts.totals(power(2.0))
        if rest.total is not None:
            return bool(np.mean(np.abs(undone / rest.total - 1) > SAME_TOTAL) > 0.5)
        tried, found = counts.multiples(power(2.0))
        return bool(found.sum() < 0.5 * max(tried.sum(), 1))
    if rest.kind != "normalised" or counted.mean() < 0.03:
        return False  # corrections leave some counts unchanged
    if rest.total is None:
        return rest.certain
    return bool(np.mean(np.abs(counts.totals(same) / rest.total - 1) > SAME_TOTAL) > 0.5)


def _judge_positive(cells: SampledCells, bases: list[float]) -> Values:
    """Classify by multiples of one count; if there are none, by totals."""
    ways: list[tuple[str, float | None, Undo]] = [
        ("linear", None, same),
        *[("log", base, power(base)) for base in bases],
        ("root", None, np.square),
    ]
    # The first match is used: the logarithm of a small value is close to the value itself.
    free = np.ones(cells.n, dtype=bool)
    nothing = np.zeros(cells.n, dtype=np.int64)
    fits, fitting = [], []
    for _, _, undo in ways:
        tried, found = cells.multiples(undo) if free.any() else (nothing, nothing)
        fits.append((tried, found))
        fitting.append(free & (tried >= FEWEST_MULTIPLES) & (found >= 0.9 * tried))
        free = free & ~fitting[-1]
    number = [int(which.sum()) for which in fitting]
    if sum(number) >= max(FEWEST_CONTRADICTING, 0.1 * cells.n):
        linear, logged = fitting[0], np.any(fitting[1:-1], axis=0)
        best = ways[int(np.argmax(number))]
        others = free if free.sum() >= 10 and free.mean() > 0.05 else np.zeros_like(free)
        if best[0] == "log":  # too large for a logarithm
            others = others | (free & (cells.high > LARGEST_LOGARITHM))
        rest = Values("unknown", certain=False)
        if others.sum() >= FEWEST_CONTRADICTING:
            rest = judge_totals(cells.of(others), bases)
        if min(linear.sum(), logged.sum()) >= FEWEST_CONTRADICTING:
            return mixed(cells, {"normalised": linear, "log-normalised": logged})
        if (best[0] == "log" and rest.is_linear) or (best[0] == "linear" and rest.is_log):
            kind = "log-normalised" if best[0] == "log" else "normalised"
            return mixed(cells, {kind: ~free, rest.kind: others}, certain=rest.certain)
        return _multiples(cells, best)
    for way, (tried, found) in zip(ways, fits, strict=True):  # few values per cell: pool the cells
        if tried.sum() >= FEWEST_POOLED and found.sum() >= 0.9 * tried.sum():
            return _multiples(cells, way)
    return judge_totals(cells, bases)


def _multiples(cells: SampledCells, way: tuple[str, float | None, Undo]) -> Values:
    """Classify values that are multiples of one count after this transformation."""
    kind, base, undo = way
    if kind == "root":
        return Values("unknown")
    totals = cells.totals(undo)
    total = common_total(totals)
    if kind == "log":
        plain = _hold_counts(cells, undo)
        if total is None and plain.mean() > 0.95:
            return Values("log counts", base=base)
        return Values("log-normalised", total=total, base=base, detail=uneven(totals, plain))
    if total is not None:
        return Values("normalised", total=total)
    # Normalisation makes the totals of cells more alike than their counts were.
    plain = np.log(totals)
    if np.var(plain) < 0.5 * np.var(plain - np.log(cells.low)):
        return Values("normalised")
    # A corrected count of one is less than one.
    if np.quantile(cells.low, 0.9) < 1 + TOLERANCE:
        return Values("decimal counts")
    return Values("normalised", certain=False)


def _hold_counts(cells: SampledCells, undo: Undo) -> np.ndarray:
    """Which cells hold counts that were not normalised, once the logarithm is undone."""
    values = undo(cells.data)
    small = values < LARGEST_MULTIPLE
    values = np.where(small, values, 0)  # infinite values are not near any whole number
    number = np.maximum(cells.count(small), 1)
    whole = cells.count(small & (np.abs(values - np.rint(values)) < TOLERANCE)) >= 0.95 * number
    # A normalised cell may have a factor that is a whole number: all its values are multiples.
    lowest = np.minimum.reduceat(undo(cells.data), cells.starts)
    ratio = values / lowest[cells.row]
    multiple = cells.count(small & (np.abs(ratio - np.rint(ratio)) < TOLERANCE)) >= 0.95 * number
    return whole & ((lowest < 1 + TOLERANCE) | ~multiple)
