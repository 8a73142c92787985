"""Classify the values of sampled cells, for :mod:`ace._values`.

Most matrices are derived from counts. Within a cell, counts are multiples of a single count, also
after the cell is scaled and after a logarithm is undone, for any selection of genes. Where this
does not hold (corrected counts, transcripts per million), the totals of the cells are used, and if
genes are missing, the spread of the values.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import scipy.sparse as sp

    Undo = Callable[[np.ndarray], np.ndarray]

Kind = Literal[
    "counts",
    "decimal counts",
    "normalised",
    "log-normalised",
    "log counts",
    "scaled",
    "binary",
    "mixed",
    "unknown",
]

#: Descriptions of the kinds, for messages.
NAMES: dict[str, str] = {
    "counts": "counts",
    "decimal counts": "counts with decimals (corrected for ambient RNA, or estimated)",
    "normalised": "normalised values without a logarithm",
    "log-normalised": "log-normalised values",
    "log counts": "logarithms of counts that were not normalised",
    "scaled": "scaled values (or values corrected for batches)",
    "binary": "only 0 and 1",
    "mixed": "values of several kinds",
    "unknown": "values of an unknown kind",
}

#: :attr:`Values.detail` of a constant matrix.
CONSTANT = "all values are the same"
#: A larger logarithm would mean more than 4e8 counts (a million in base 2).
LARGEST_LOGARITHM = 20.0
#: Relative range of totals (5th to 95th percentile) that still counts as equal.
SAME_TOTAL = 0.02
#: Largest multiple of a cell's unit that is used, and tolerance for being whole.
LARGEST_MULTIPLE, TOLERANCE = 10.0, 0.02
#: Values needed to use the multiples of one cell, or of all cells pooled.
FEWEST_MULTIPLES, FEWEST_POOLED = 6, 30
#: Number of certain cells needed to contradict the others.
FEWEST_CONTRADICTING = 2


@dataclass(frozen=True)
class Values:
    """Kind of values in a matrix.

    Parameters
    ----------
    kind
        Kind; ``"normalised"`` is not logged, ``"log counts"`` are not normalised.
    certain
        Whether no other kind would give such values.
    total
        Total of each cell before the logarithm, if it is the same for all.
    median
        Median total of the cells before the logarithm, over the genes used.
    base
        Base of the logarithm.
    detail
        How parts of the matrix differ, if they do; or why it is ``"unknown"`` or ``"scaled"``.
    """

    kind: Kind
    certain: bool = True
    total: float | None = None
    median: float | None = None
    base: float | None = None
    detail: str = ""

    @property
    def is_log(self) -> bool:
        """Whether the values are logarithms."""
        return self.kind in ("log-normalised", "log counts")

    @property
    def is_linear(self) -> bool:
        """Whether the values are proportional to counts."""
        return self.kind in ("counts", "decimal counts", "normalised")

    def to_dict(self) -> dict[str, Any]:
        """Convert to a dictionary, to be saved."""
        return asdict(self)


class SampledCells:
    """Sampled cells with a value other than 0, and statistics of each.

    Parameters
    ----------
    part
        Rows of the matrix, float64, without stored zeros.
    rows
        Their row numbers.
    """

    def __init__(self, part: sp.csr_array, rows: np.ndarray) -> None:
        kept = np.diff(part.indptr) > 0
        self.part = part if kept.all() else part[np.flatnonzero(kept)]
        self.rows = rows[kept]
        self.n = len(self.rows)
        self.data = self.part.data
        self.size = np.diff(self.part.indptr)
        self.row = np.repeat(np.arange(self.n), self.size)
        self.starts = self.part.indptr[:-1]
        if self.n:
            self.low = np.minimum.reduceat(self.data, self.starts)
            self.high = np.maximum.reduceat(self.data, self.starts)

    def of(self, chosen: np.ndarray) -> SampledCells:
        """Some of the cells."""
        return SampledCells(self.part[np.flatnonzero(chosen)], self.rows[chosen])

    def totals(self, undo: Undo) -> np.ndarray:
        """Total of each cell."""
        return np.bincount(self.row, undo(self.data), minlength=self.n)

    def count(self, which: np.ndarray) -> np.ndarray:
        """Number of selected values in each cell."""
        return np.bincount(self.row[which], minlength=self.n)

    def multiples(self, undo: Undo) -> tuple[np.ndarray, np.ndarray]:
        """Number of values per cell that could be multiples of its unit, and that are.

        The unit is the lowest value, or a half or third of it, as a cell may lack single counts.
        """
        values = np.minimum(undo(self.data), np.finfo(float).max)
        with np.errstate(over="ignore"):
            ratio = values / np.minimum.reduceat(values, self.starts)[self.row]
        ratio[ratio > 3 * LARGEST_MULTIPLE] = 0.0  # too large to be informative
        tried, found = self._near(ratio, 1)
        for parts in (2, 3):
            poor = found < 0.7 * tried
            if not poor.any():
                break
            more, near = self._near(ratio * parts, parts)
            better = poor & (near * np.maximum(tried, 1) > (found + 0.3 * tried) * more)
            tried, found = np.where(better, more, tried), np.where(better, near, found)
        return tried, found

    def _near(self, ratio: np.ndarray, parts: int) -> tuple[np.ndarray, np.ndarray]:
        # The unit itself is trivially a multiple.
        tried = (ratio > 1.05 * parts) & (ratio < LARGEST_MULTIPLE)
        ratio = np.where(tried, ratio, 0)  # what overflowed is infinite
        near = tried & (np.abs(ratio - np.rint(ratio)) < TOLERANCE)
        return self.count(tried), self.count(near)


def same(values: np.ndarray) -> np.ndarray:
    """Return the values unchanged."""
    return values


def power(base: float) -> Undo:
    """Return a function that undoes log(1 + x) to a base."""
    factor = math.log(base)

    def undo(values: np.ndarray) -> np.ndarray:
        # No cell has e³⁵ counts: larger values cannot be logarithms.
        exponents = values * factor
        return np.expm1(np.where(exponents < 35.0, exponents, np.inf))

    return undo


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
        return _mixed(cells, {"counts": counted, rest.kind: ~whole}, certain=rest.certain)
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
            return _mixed(cells, {"counts": counted, "scaled": negative})
        rest = _judge_positive(cells.of(odd), bases)
        return _mixed(cells, {rest.kind: odd, "scaled": negative})
    return Values("scaled")


def _contradict(cells: SampledCells, counted: np.ndarray, rest: Values) -> bool:
    """Whether cells with counts are inconsistent with the kind of the other cells."""
    counts = cells.of(counted)
    if rest.is_log and rest.base != 2.0:
        return True  # logarithms of counts are whole in base 2 only, such as log2(1 + 3)
    if rest.is_log:
        # Some ratios are whole by chance: (e³ - 1) / (e² - 1) is 2.99.
        undone = counts.totals(power(2.0))
        if rest.total is not None:
            return bool(np.mean(np.abs(undone / rest.total - 1) > SAME_TOTAL) > 0.5)
        tried, found = counts.multiples(power(2.0))
        return bool(found.sum() < 0.5 * max(tried.sum(), 1))
    if rest.kind != "normalised" or counted.mean() < 0.03:
        return False  # corrections leave some counts as they are
    if rest.total is None:
        return rest.certain
    return bool(np.mean(np.abs(counts.totals(same) / rest.total - 1) > SAME_TOTAL) > 0.5)


def _mixed(cells: SampledCells, parts: dict[str, np.ndarray], *, certain: bool = True) -> Values:
    shown = [
        f"{NAMES[kind]} in rows such as {', '.join(map(str, cells.rows[which][:3]))}"
        for kind, which in parts.items()
    ]
    return Values("mixed", certain, detail=" and ".join(shown))


# -- non-negative values ----------------------------------------------------------------------


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
            rest = _judge_totals(cells.of(others), bases)
        if min(linear.sum(), logged.sum()) >= FEWEST_CONTRADICTING:
            return _mixed(cells, {"normalised": linear, "log-normalised": logged})
        if (best[0] == "log" and rest.is_linear) or (best[0] == "linear" and rest.is_log):
            kind = "log-normalised" if best[0] == "log" else "normalised"
            return _mixed(cells, {kind: ~free, rest.kind: others}, certain=rest.certain)
        return _multiples(cells, best)
    for way, (tried, found) in zip(ways, fits, strict=True):  # few values a cell: all together
        if tried.sum() >= FEWEST_POOLED and found.sum() >= 0.9 * tried.sum():
            return _multiples(cells, way)
    return _judge_totals(cells, bases)


def _multiples(cells: SampledCells, way: tuple[str, float | None, Undo]) -> Values:
    """Classify values that are multiples of one count after this transformation."""
    kind, base, undo = way
    if kind == "root":
        return Values("unknown")
    totals = cells.totals(undo)
    total = _total(totals)
    if kind == "log":
        plain = _hold_counts(cells, undo)
        if total is None and plain.mean() > 0.95:
            return Values("log counts", base=base)
        return Values("log-normalised", total=total, base=base, detail=_uneven(totals, plain))
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


def _judge_totals(cells: SampledCells, bases: list[float]) -> Values:
    """Classify by the totals of the cells, which are equal after normalisation, and spread."""
    largest = float(cells.data.max())
    total = _total(cells.totals(same))
    if total is not None:
        return Values("normalised", total=total)
    for base in bases:
        total = _total(cells.totals(power(base)))
        if total is not None:
            return Values("log-normalised", total=total, base=base)
    if _total(cells.totals(np.square)) is not None:
        return Values("unknown")
    if _has_unit_variance(cells):
        return Values("scaled", detail="every gene has a variance of 1")
    if largest <= 1:
        return Values("unknown", certain=False)
    linear: Kind = "decimal counts" if np.mean(cells.data <= 1) > 0.15 else "normalised"
    if largest > LARGEST_LOGARITHM:
        return _judge_large(cells, linear, bases)
    # Totals and genes within a cell would not differ this much if these were logarithms.
    totals = cells.totals(power(bases[0]))
    if not np.isfinite(totals).all():
        return Values(linear)
    spread = float(np.subtract(*np.quantile(np.log(totals), [0.95, 0.05])))
    middle = np.array([np.median(v) for v in np.split(cells.data, cells.starts[1:])])
    width = float(np.median(cells.high / middle))
    if spread > 6.5 or width > 15:
        return Values(linear, certain=cells.n >= 10)
    if spread > 4.5 or width > 10:
        return Values("decimal counts" if linear == "decimal counts" else "unknown", certain=False)
    return Values("log-normalised", certain=False, base=bases[0], detail=_gap(totals))


def _judge_large(cells: SampledCells, linear: Kind, bases: list[float]) -> Values:
    """Classify a matrix with values too large for logarithms; some cells may be logged."""
    for base in bases:
        logged = _modal(cells.totals(power(base)))
        if logged.sum() >= max(10, 0.05 * cells.n):
            return _mixed(cells, {"log-normalised": logged, linear: ~logged})
    large = cells.high > LARGEST_LOGARITHM
    if min((~large).sum(), large.sum()) >= 10 and 0.05 < large.mean() < 0.95:
        apart = np.quantile(cells.high[large], 0.05) / np.quantile(cells.high[~large], 0.95)
        rest = _judge_totals(cells.of(~large), bases)
        if rest.is_log and apart > 1.5:
            return _mixed(cells, {rest.kind: ~large, linear: large}, certain=rest.certain)
    return Values(linear)


def _modal(totals: np.ndarray) -> np.ndarray:
    """Cells whose total is within 0.1 % of the most common total."""
    finite = np.sort(totals[np.isfinite(totals)])
    if not len(finite):
        return np.zeros(len(totals), dtype=bool)
    number = np.searchsorted(finite, finite * 1.001) - np.arange(len(finite))
    low = finite[number.argmax()]
    return (totals >= low) & (totals < low * 1.001)


def _total(totals: np.ndarray) -> float | None:
    """Common total of the cells; ``None`` if they differ."""
    finite = totals[np.isfinite(totals)]
    if len(totals) < 3 or len(finite) < 0.95 * len(totals):
        return None
    low, middle, high = np.quantile(finite, [0.05, 0.5, 0.95])
    if high - low > SAME_TOTAL * middle:
        return None
    return float(f"{middle:.4g}")


def _uneven(totals: np.ndarray, plain: np.ndarray) -> str:
    """Describe how cells were normalised differently; ``plain`` ones were not normalised."""
    if len(totals) < 20 or not np.isfinite(totals).all():
        return ""
    if 0.05 < plain.mean() < 0.95:
        return f"{plain.mean():.0%} of the cells were not normalised"
    equal = _modal(totals)
    # Selecting genes can only lower the total of a cell.
    more = (totals > 1.02 * totals[equal].max()).mean() if equal.any() else 0.0
    if not _gap(totals) and 0.2 <= equal.mean() < 0.9 and equal.sum() >= 5 and more >= 0.05:
        return f"only {equal.mean():.0%} of the cells have a total of {totals[equal][0]:.4g}"
    return _gap(totals)


def _gap(totals: np.ndarray) -> str:
    """Describe a gap in the totals: a factor of 3 or more without any cell."""
    ordered = np.sort(totals)
    fewest = max(5, len(ordered) // 20)
    steps = ordered[fewest:-fewest] / ordered[fewest - 1 : -fewest - 1]
    if len(ordered) < 20 or not len(steps) or steps.max() <= 3:
        return ""
    at = fewest + int(steps.argmax())
    low, high = np.median(ordered[:at]), np.median(ordered[at:])
    return f"the totals of some cells are near {low:.4g}, of others near {high:.4g}"


def _has_unit_variance(cells: SampledCells) -> bool:
    """Whether every gene has a variance of 1, as ``sc.pp.scale(zero_center=False)`` leaves it."""
    part = cells.part.tocsc()
    seen = np.flatnonzero(np.diff(part.indptr) >= 30)
    if len(seen) < 30:  # may be chance with few genes
        return False
    part = part[:, seen]
    mean = np.asarray(part.mean(axis=0)).ravel()
    square = np.asarray(part.multiply(part).mean(axis=0)).ravel()
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    low, middle, high = np.quantile(deviation, [0.25, 0.5, 0.75])
    return bool(0.97 < middle < 1.03 and high - low < 0.08 * middle)
