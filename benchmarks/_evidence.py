"""Inequalities between kept numbers, with the words that tell them: what claims are judged by.

Means over seeds are compared, as they are shown: a difference that the digits shown do not show is
none. Nothing here knows a claim.
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

    ``holds`` is None if it was not measured.
    """

    said: str
    holds: bool | None
    n_seeds: int = 0


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
    """Whether a method is better than the best of others.

    Parameters
    ----------
    rows
        Of one data set and protocol, with the columns ``method`` and ``seed``.
    column
        What is compared.
    method
        The name of the one.
    others
        The names of the others, or what tells them.
    best
        1 if more is better, -1 if less is.
    label
        Said before it.
    decimals
        Digits that are shown, and compared.
    """
    own = values(rows, column, method)
    found = means(rows, column)
    meant = others if callable(others) else others.__contains__
    theirs = found[[name for name in found.index if meant(name) and name != method]]
    if not len(own) or not len(theirs):
        named = "a baseline" if callable(others) else ", ".join(others)
        return Part(_labelled(label, f"{method if not len(own) else named} not measured"), None)
    rival = str(theirs.idxmax() if best > 0 else theirs.idxmin())
    mean, level = round(own.mean(), decimals), round(theirs[rival], decimals)
    said = f"{shown(own, decimals)}, {shown(values(rows, column, rival), decimals)} of {rival}"
    return Part(_labelled(label, said), bool((mean - level) * best > 0), len(own))


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
    holds = bool((round(own.mean(), decimals) - level) * best >= 0)
    said = f"{shown(own, decimals)}, {'at least' if best > 0 else 'at most'} {level:g}"
    return Part(_labelled(label, said), holds, len(own))


def values(rows: pd.DataFrame, column: str, method: str) -> pd.Series:
    """One number for each seed; none if it was not measured."""
    if not {"method", column} <= set(rows):
        return pd.Series(dtype=float)
    of_method = rows[rows["method"] == method]
    found = of_method[column].astype(float)
    if "seed" in of_method:
        return found.groupby(of_method["seed"], dropna=False).mean().dropna()
    return found.dropna()


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
