"""Methods compared by their means over the seeds that both have, as they are shown."""

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from benchmarks.report.markdown import OURS, number, plural

BASELINES = (
    *("Wilcoxon, abs", "Wilcoxon, by score", "t-test, abs", "logistic regression, abs"),
    *("L1 logistic regression", "COSG", "JSD specificity", "NS-Forest", "DESeq2", "GCE", "GRS"),
)
#: The default of ``ace.tl.explain`` without a model.
DEFAULT = "ace panel"
#: A level that is drawn beside rankings.
CAUSAL = "20 causal genes"


@dataclass(frozen=True)
class Pair:
    """A method and a rival on the seeds that both have; ``note`` says if one has others."""

    name: str
    own: pd.Series
    theirs: pd.Series
    note: str

    def margin(self, best: int, decimals: int | None = None) -> float:
        """Lead of the method, by means as they are shown with so many decimals."""
        own, theirs = self.own.mean(), self.theirs.mean()
        if decimals is not None:
            own, theirs = shown(own, decimals), shown(theirs, decimals)
        return float((own - theirs) * best)


def is_baseline(name: str) -> bool:
    """Whether a ranking is not of this package."""
    return name.split()[0] not in OURS and name != CAUSAL


def values(rows: pd.DataFrame, metric: str, method: str) -> pd.Series:
    """A number for each seed; empty if it was not measured."""
    if metric not in rows:
        return pd.Series(dtype=float)
    own = rows[rows["method"] == method].astype({metric: float})  # no rows have no number type
    return own.groupby("seed")[metric].mean().dropna()


def pairs(rows: pd.DataFrame, metric: str, method: str, rivals: Collection[str]) -> list[Pair]:
    """The method and each rival; without numbers if they have no seed in common."""
    own, found = values(rows, metric, method), []
    for name in rivals:
        if name != method:
            theirs = values(rows, metric, name)
            common = own.index.intersection(theirs.index)
            fewer = len(common) < max(len(own), len(theirs))
            note = f" (on {plural(len(common))} that both have)" if fewer else ""
            found.append(Pair(name, own[common], theirs[common], note))
    return found


def hardest(found: Collection[Pair], best: int = 1, decimals: int = 3) -> Pair:
    """The rival that is least behind, or most ahead."""
    return min(found, key=lambda pair: (pair.margin(best, decimals), pair.margin(best)))


def meets(value: float, level: float, best: int) -> bool:
    """Whether a number is at a level or beyond; sums of stored digits are not exact."""
    return bool((value - level) * best >= -1e-9)


def shown(value: float, decimals: int) -> float:
    """The number as it is read with so many decimals."""
    return float(f"{value:.{decimals}f}")


def telling(value: float, level: float, best: int, decimals: int) -> int:
    """Fewest decimals, of `decimals` or more, that show the number on its side of the level."""
    holds = meets(value, level, best)
    return next((n for n in range(decimals, 9) if meets(shown(value, n), level, best) == holds), 9)


def mean_sd(found: pd.Series, decimals: int) -> str:
    return number(found.mean(), found.std(), decimals)


def named(text: str) -> tuple[str, ...]:
    """Methods named in a table of claims or choices: ``"baselines"``, or names with ``|``."""
    return BASELINES if text == "baselines" else tuple(filter(None, text.split("|")))
