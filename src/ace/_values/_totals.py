"""Classify cells by their totals, which are equal after normalisation, and by their spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ace._values._kinds import NAMES, Values
from ace._values._sampled_cells import SAME_TOTAL, power, same

if TYPE_CHECKING:
    from ace._values._kinds import Kind
    from ace._values._sampled_cells import SampledCells

#: A larger logarithm would mean more than 4e8 counts (a million in base 2).
LARGEST_LOGARITHM = 20.0


def judge_totals(cells: SampledCells, bases: list[float]) -> Values:
    """Classify by the totals of the cells, which are equal after normalisation, and spread."""
    largest = float(cells.data.max())
    total = common_total(cells.totals(same))
    if total is not None:
        return Values("normalised", total=total)
    for base in bases:
        total = common_total(cells.totals(power(base)))
        if total is not None:
            return Values("log-normalised", total=total, base=base)
    if common_total(cells.totals(np.square)) is not None:
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
            return mixed(cells, {"log-normalised": logged, linear: ~logged})
    large = cells.high > LARGEST_LOGARITHM
    if min((~large).sum(), large.sum()) >= 10 and 0.05 < large.mean() < 0.95:
        apart = np.quantile(cells.high[large], 0.05) / np.quantile(cells.high[~large], 0.95)
        rest = judge_totals(cells.of(~large), bases)
        if rest.is_log and apart > 1.5:
            return mixed(cells, {rest.kind: ~large, linear: large}, certain=rest.certain)
    return Values(linear)


def mixed(cells: SampledCells, parts: dict[str, np.ndarray], *, certain: bool = True) -> Values:
    shown = [
        f"{NAMES[kind]} in rows such as {', '.join(map(str, cells.rows[which][:3]))}"
        for kind, which in parts.items()
    ]
    return Values("mixed", certain, detail=" and ".join(shown))


def common_total(totals: np.ndarray) -> float | None:
    """Common total of the cells; ``None`` if they differ."""
    finite = totals[np.isfinite(totals)]
    if len(totals) < 3 or len(finite) < 0.95 * len(totals):
        return None
    low, middle, high = np.quantile(finite, [0.05, 0.5, 0.95])
    if high - low > SAME_TOTAL * middle:
        return None
    return float(f"{middle:.4g}")


def _modal(totals: np.ndarray) -> np.ndarray:
    """Cells whose total is within 0.1 % of the most common total."""
    finite = np.sort(totals[np.isfinite(totals)])
    if not len(finite):
        return np.zeros(len(totals), dtype=bool)
    number = np.searchsorted(finite, finite * 1.001) - np.arange(len(finite))
    low = finite[number.argmax()]
    return (totals >= low) & (totals < low * 1.001)


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


def uneven(totals: np.ndarray, plain: np.ndarray) -> str:
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


def _has_unit_variance(cells: SampledCells) -> bool:
    """Whether every gene has a variance of 1, as ``sc.pp.scale(zero_center=False)`` leaves it."""
    part = cells.part.tocsc()
    seen = np.flatnonzero(np.diff(part.indptr) >= 30)
    if len(seen) < 30:  # with few genes, this may be due to chance
        return False
    part = part[:, seen]
    mean = np.asarray(part.mean(axis=0)).ravel()
    square = np.asarray(part.multiply(part).mean(axis=0)).ravel()
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    low, middle, high = np.quantile(deviation, [0.25, 0.5, 0.75])
    return bool(0.97 < middle < 1.03 and high - low < 0.08 * middle)
