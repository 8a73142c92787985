"""Inequalities between kept numbers, with the words that tell them: what claims are judged by.

Two methods are compared by their means over the seeds that both have, as they are shown: a
difference that the digits do not show is none. With a level the mean itself is compared, and shown
with as many digits as tell on which side it is. Nothing here knows a claim.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd
from _tables import number, read

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

#: What the name of a ranking begins with if it comes from this package, whatever it explains.
OWN = ("ace ", "ACE ", "KRATOS ", "SCVI ", "SCANVI ")
#: What the papers and users compare with, whether or not it can be run here.
BASELINES = (
    *("Wilcoxon, abs", "Wilcoxon, by score", "t-test, abs", "logistic regression, abs"),
    *("L1 logistic regression", "COSG", "JSD specificity", "NS-Forest", "DESeq2", "GCE", "GRS"),
)
#: Levels that are drawn beside rankings, and are none.
LEVELS = ("20 causal genes",)


@dataclass
class Evidence:
    """The kept results of a folder, read when they are asked for."""

    folder: Path
    _frames: dict[str, pd.DataFrame] = field(default_factory=dict)

    def rows(self, name: str, **where: object) -> pd.DataFrame:
        """Rows of a file with these values; an empty frame if there are none."""
        if name not in self._frames:
            self._frames[name] = read(self.folder / f"{name}.json")
        found = self._frames[name]
        for key, value in where.items():
            if key not in found:
                return found.iloc[:0]
            found = found[found[key] == value]
        return found


@dataclass(frozen=True)
class Part:
    """One inequality of a claim: what is said of it, whether it holds, from how many seeds.

    ``holds`` is None if it was not measured; ``missing`` are methods that it names and that were
    not, so that what holds does so without them.
    """

    said: str
    holds: bool | None
    n_seeds: int = 0
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pair:
    """A method and a rival on the seeds that both have; ``note`` says if one has others."""

    name: str
    own: pd.Series
    theirs: pd.Series
    note: str

    def margin(self, best: int, decimals: int | None = None) -> float:
        """How far the method is ahead, by means as they are shown with so many digits."""
        own, theirs = self.own.mean(), self.theirs.mean()
        if decimals is not None:
            own, theirs = rounded(own, decimals), rounded(theirs, decimals)
        return float((own - theirs) * best)

    def said(self, decimals: int) -> str:
        """Both means."""
        own, theirs = shown(self.own, decimals), shown(self.theirs, decimals)
        return f"{own}, {theirs} of {self.name}{self.note}"


def is_baseline(name: str) -> bool:
    """Whether a ranking is not ours."""
    return not name.startswith(OWN) and name not in LEVELS


def default_of(rows: pd.DataFrame) -> str:
    """The ranking of ``ace.tl.explain`` without a word, which has no model."""
    if "default" in rows:
        marked = rows.loc[rows["default"].eq(True), "method"]
        found = [name for name in marked.unique() if name.startswith("ace ")]
        if found:
            return found[0]
    return "ace panel"


def against(
    rows: pd.DataFrame,
    column: str,
    method: str,
    others: Callable[[str], bool] | Collection[str],
    *,
    best: int,
    label: str = "",
    decimals: int = 3,
) -> Part:
    """Whether a method is better than each of others; the one that it is least ahead of is said.

    Parameters
    ----------
    rows
        Of one data set and protocol, with the columns ``method`` and ``seed``.
    column
        What is compared.
    method
        The name of the one.
    others
        The names of the others, or what tells them. Names that were not measured are said, and
        are `missing`.
    best
        1 if more is better, -1 if less is.
    label
        Said before it.
    decimals
        Digits that are shown, and compared.
    """
    if not len(values(rows, column, method)):
        return Part(_labelled(label, f"{method} not measured"), None)
    pairs, missing = rivals(rows, column, method, others)
    if not pairs:
        named = "a baseline" if callable(others) else ", ".join(others)
        return Part(_labelled(label, f"{named} not measured"), None)
    pair = hardest(pairs, best, decimals)
    without = f", without {', '.join(missing)}" if missing else ""
    said = _labelled(label, pair.said(decimals) + without)
    return Part(said, pair.margin(best, decimals) > 0, len(pair.own), missing)


def rivals(
    rows: pd.DataFrame,
    column: str,
    method: str,
    others: Callable[[str], bool] | Collection[str],
) -> tuple[list[Pair], tuple[str, ...]]:
    """Others that a method can be compared with, and those that it cannot for want of numbers."""
    own = values(rows, column, method)
    names = filter(others, means(rows, column).index) if callable(others) else others
    pairs = [paired(own, values(rows, column, name), name) for name in names if name != method]
    there = [pair for pair in pairs if len(pair.own)]
    return there, tuple(pair.name for pair in pairs if not len(pair.own))


def hardest(pairs: Collection[Pair], best: int, decimals: int) -> Pair:
    """The rival that is least behind, or most ahead."""
    return min(pairs, key=lambda pair: (pair.margin(best, decimals), pair.margin(best)))


def paired(own: pd.Series, theirs: pd.Series, name: str = "") -> Pair:
    """Numbers of two methods on the seeds that both have."""
    mine, other = own[own.index.isin(theirs.index)], theirs[theirs.index.isin(own.index)]
    fewer = len(mine) < max(len(own), len(theirs))
    note = f" (on {n_seeds(len(mine))} that both have)" if fewer else ""
    return Pair(name, mine, other, note)


def reaches(
    rows: pd.DataFrame,
    column: str,
    method: str,
    level: float,
    *,
    best: int,
    label: str = "",
    decimals: int = 3,
) -> Part:
    """Whether a method reaches a level: at least (`best` 1) or at most (-1)."""
    own = values(rows, column, method)
    if not len(own):
        return Part(_labelled(label, f"{method} not measured"), None)
    digits = telling(own.mean(), level, best, decimals)
    said = f"{shown(own, digits)}, {'at least' if best > 0 else 'at most'} {level:g}"
    return Part(_labelled(label, said), meets(own.mean(), level, best), len(own))


def meets(value: float, level: float, best: int) -> bool:
    """Whether a number is at a level or beyond; sums of kept digits are not exact."""
    return bool((value - level) * best >= -1e-9)


def telling(value: float, level: float, best: int, decimals: int) -> int:
    """Digits to show of a number, so that it is shown on the side of the level where it is."""
    return agreeing(
        lambda digits: meets(rounded(value, digits), level, best),
        meets(value, level, best),
        decimals,
    )


def agreeing(seen: Callable[[int], bool], holds: bool, decimals: int) -> int:
    """The fewest digits, of `decimals` or more, by which one sees what holds."""
    return next((n for n in range(decimals, 9) if seen(n) == holds), 9)


def percent(share: float, level: float, best: int = 1, decimals: int = 1) -> str:
    """A share that is compared with a level, in percent."""
    return f"{100 * share:.{telling(100 * share, 100 * level, best, decimals)}f}%"


def rounded(value: float, decimals: int) -> float:
    """The number that is read where it is shown."""
    return float(f"{value:.{decimals}f}")


def n_seeds(number: int) -> str:
    """Say a number of seeds."""
    return f"{number} {'seed' if number == 1 else 'seeds'}"


def values(rows: pd.DataFrame, column: str, method: str) -> pd.Series:
    """One number for each seed; none if it was not measured. Rows without seeds are of one."""
    if not {"method", column} <= set(rows):
        return pd.Series(dtype=float)
    of_method = rows[rows["method"] == method]
    found = of_method[column].astype(float)
    seeds = of_method["seed"] if "seed" in of_method else pd.Series(0, of_method.index)
    return found.groupby(seeds, dropna=False).mean().dropna()


def shown(found: pd.Series, decimals: int) -> str:
    """Mean ± sd."""
    return number(found.mean(), found.std(), decimals)


def means(rows: pd.DataFrame, column: str) -> pd.Series:
    """The mean of each method that has one."""
    if not {"method", column} <= set(rows):
        return pd.Series(dtype=float)
    return rows.groupby("method")[column].mean().astype(float).dropna()


def _labelled(label: str, said: str) -> str:
    return f"{label}: {said}" if label else said
