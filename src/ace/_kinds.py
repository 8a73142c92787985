"""The judgement behind :mod:`ace._values`: what a sample of cells tells about a matrix.

Most matrices are made of counts, and that shows cell by cell: counts are multiples of one count,
whatever a cell was scaled to, and so are the values once a logarithm is undone. This holds for
any selection of genes. Where it does not (corrected counts, transcripts per million), the totals
of the cells tell, and without all genes only how far the values are spread.
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

#: How messages call what the values are.
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

#: What :attr:`Values.detail` says of a matrix that tells nothing.
CONSTANT = "all values are the same"
#: A logarithm above this would be that of more than 4e8 counts (of a million in base 2).
LARGEST_LOGARITHM = 20.0
#: Totals that differ less (from the 5th to the 95th percentile) are one total.
SAME_TOTAL = 0.02
#: Multiples of a cell's unit that are looked at, and how near to whole ones they have to be.
LARGEST_MULTIPLE, TOLERANCE = 10.0, 0.02
#: Values that a cell, or the whole sample, needs to be judged by its multiples.
FEWEST_MULTIPLES, FEWEST_POOLED = 6, 30
#: Cells that are enough to contradict the others, if each of them is certain.
FEWEST_CONTRADICTING = 2


@dataclass(frozen=True)
class Values:
    """What the values of a matrix are.

    Parameters
    ----------
    kind
        ``"normalised"`` is without a logarithm, ``"log counts"`` without a normalisation.
    certain
        Whether nothing else would give such values.
    total
        Total of every cell before the logarithm, where all have the same.
    median
        Median total of the cells before the logarithm, over the genes that were looked at.
    base
        Base of the logarithm.
    detail
        How parts of the matrix differ, if they do.
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
        """Whether they are proportional to counts."""
        return self.kind in ("counts", "decimal counts", "normalised")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, to be saved."""
        return asdict(self)


class SampledCells:
    """Cells that have a value other than 0, and what can be said of each.

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
        """Number of values of each cell that are so."""
        return np.bincount(self.row[which], minlength=self.n)

    def multiples(self, undo: Undo) -> tuple[np.ndarray, np.ndarray]:
        """How many values of each cell could be multiples of its unit, and how many are.

        The unit is the lowest value, or a half or third of it: a cell may have no single count.
        """
        values = np.minimum(undo(self.data), np.finfo(float).max)
        with np.errstate(over="ignore"):
            ratio = values / np.minimum.reduceat(values, self.starts)[self.row]
        ratio[ratio > 3 * LARGEST_MULTIPLE] = 0.0  # too large to tell anything
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
        # The unit itself is one of its multiples, and says nothing.
        tried = (ratio > 1.05 * parts) & (ratio < LARGEST_MULTIPLE)
        ratio = np.where(tried, ratio, 0)  # what overflowed is infinite
        near = tried & (np.abs(ratio - np.rint(ratio)) < TOLERANCE)
        return self.count(tried), self.count(near)


def same(values: np.ndarray) -> np.ndarray:
    """Undo nothing."""
    return values


def power(base: float) -> Undo:
    """Undo the logarithm of 1 + x."""
    factor = math.log(base)

    def undo(values: np.ndarray) -> np.ndarray:
        # No cell has e³⁵ counts: what is too large for a logarithm stays out.
        exponents = values * factor
        return np.expm1(np.where(exponents < 35.0, exponents, np.inf))

    return undo


def judge(cells: SampledCells, base: float | None) -> Values:
    """Tell what the values are, ``base`` being that of the logarithm if there should be one."""
    if not cells.n or (np.ptp(cells.data) == 0 and cells.data[0] != 1):
        return Values("unknown", certain=False, detail=CONSTANT)
    negative = cells.low < 0
    whole = (cells.count(cells.data != np.rint(cells.data)) == 0) & ~negative
    if whole.all():
        return Values("binary" if cells.data.max() == 1 else "counts")
    bases = list(dict.fromkeys([base or math.e, math.e, 2.0, 10.0]))
    # Cells of ones and little else may be of any kind.
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
    """Judge a matrix with values below zero, which then every cell should have."""
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
    """Whether cells that hold counts are none of those that the rest is made of."""
    counts = cells.of(counted)
    if rest.is_log and rest.base != 2.0:
        return True  # no logarithm of a count is whole, but in base 2: log2(1 + 3) is
    if rest.is_log:
        # By chance some quotients are whole, too: (e³ - 1) / (e² - 1) is 2.99.
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


# -- values that are not negative --------------------------------------------------------------


def _judge_positive(cells: SampledCells, bases: list[float]) -> Values:
    """Judge by multiples of one count; where there are none, by totals."""
    ways: list[tuple[str, float | None, Undo]] = [
        ("linear", None, same),
        *[("log", base, power(base)) for base in bases],
        ("root", None, np.square),
    ]
    # The first way that fits counts: of small values the logarithm is the value itself.
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
    """Judge values that are multiples of one count, once undone this way."""
    kind, base, undo = way
    if kind == "root":
        return Values("unknown")
    totals = cells.totals(undo)
    total = _total(totals)
    if kind == "log":
        values = undo(cells.data)
        small = values < LARGEST_MULTIPLE
        values = np.where(small, values, 0)  # what is infinite has no distance from a whole number
        near = cells.count(small & (np.abs(values - np.rint(values)) < TOLERANCE))
        # One count is 1 there; 10 000 over a cell's total may be another whole number by chance.
        one = np.abs(np.minimum.reduceat(undo(cells.data), cells.starts) - 1) < TOLERANCE
        plain = one & (near >= 0.95 * np.maximum(cells.count(small), 1))
        if total is None and plain.mean() > 0.95:
            return Values("log counts", base=base)
        return Values("log-normalised", total=total, base=base, detail=_uneven(totals, plain))
    if total is not None:
        return Values("normalised", total=total)
    # Normalisation makes the totals of cells more alike than their counts were.
    plain = np.log(totals)
    if np.var(plain) < 0.5 * np.var(plain - np.log(cells.low)):
        return Values("normalised")
    # What a correction leaves of one count is less than one.
    if np.quantile(cells.low, 0.9) < 1 + TOLERANCE:
        return Values("decimal counts")
    return Values("normalised", certain=False)


def _judge_totals(cells: SampledCells, bases: list[float]) -> Values:
    """Judge by the totals of the cells, which a normalisation makes equal, and their spread."""
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
    # Were these logarithms, no cells would differ so much in their totals, nor genes in a cell.
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
    """Judge a matrix with values too large for logarithms, which some cells may still have."""
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
    """Which cells have the total that most cells have, to a thousandth."""
    finite = np.sort(totals[np.isfinite(totals)])
    if not len(finite):
        return np.zeros(len(totals), dtype=bool)
    number = np.searchsorted(finite, finite * 1.001) - np.arange(len(finite))
    low = finite[number.argmax()]
    return (totals >= low) & (totals < low * 1.001)


def _total(totals: np.ndarray) -> float | None:
    """Total of every cell, ``None`` if they differ."""
    finite = totals[np.isfinite(totals)]
    if len(totals) < 3 or len(finite) < 0.95 * len(totals):
        return None
    low, middle, high = np.quantile(finite, [0.05, 0.5, 0.95])
    if high - low > SAME_TOTAL * middle:
        return None
    return float(f"{middle:.4g}")


def _uneven(totals: np.ndarray, plain: np.ndarray) -> str:
    """How cells of one matrix were normalised differently; ``plain`` were not at all."""
    if len(totals) < 20 or not np.isfinite(totals).all():
        return ""
    if 0.05 < plain.mean() < 0.95:
        return f"{plain.mean():.0%} of the cells were not normalised"
    equal = _modal(totals)
    # A selection of genes takes from the totals of some cells, and never adds to one.
    more = (totals > 1.02 * totals[equal].max()).mean() if equal.any() else 0.0
    if not _gap(totals) and 0.2 <= equal.mean() < 0.9 and equal.sum() >= 5 and more >= 0.05:
        return f"only {equal.mean():.0%} of the cells have a total of {totals[equal][0]:.4g}"
    return _gap(totals)


def _gap(totals: np.ndarray) -> str:
    """Which totals are far apart: a gap by a factor of 3 that no cell falls into."""
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
    if len(seen) < 30:  # of few genes it may be chance
        return False
    part = part[:, seen]
    mean = np.asarray(part.mean(axis=0)).ravel()
    square = np.asarray(part.multiply(part).mean(axis=0)).ravel()
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    low, middle, high = np.quantile(deviation, [0.25, 0.5, 0.75])
    return bool(0.97 < middle < 1.03 and high - low < 0.08 * middle)
