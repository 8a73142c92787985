"""The form of the tables of the documentation: mean ± sd over seeds, the best in bold."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Column:
    """How a field is shown: title, decimals, and which end is best (0: neither)."""

    field: str
    title: str
    decimals: int = 3
    best: int = 0


#: What of ours a method begins with, in the order of the tables: without a model, then with one.
OURS = ("ace", "ACE", "KRATOS", "SCNYM", "SCARE", "SCVI", "SCANVI")


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Rows of a file of results; none if there is no file."""
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []


def read(path: Path) -> pd.DataFrame:
    """The same as a frame."""
    return pd.DataFrame(rows_of(path))


def mean_table(
    rows: pd.DataFrame,
    by: str,
    columns: Sequence[Column],
    error_of: Callable[[str], str] | None = None,
) -> str:
    """Give a line for each value of `by`, ours first, with mean ± sd, and the best in bold.

    How many seeds each has is told where they differ. ``error_of`` names the field that holds the
    spread of another, for what has one row only.
    """
    columns = tuple(c for c in columns if c.field in rows and rows[c.field].notna().any())
    grouped = rows.groupby(by, sort=False)
    fields = [c.field for c in columns]
    mean = grouped[fields].mean()
    spread = grouped[fields].std()
    for field in fields if error_of else ():
        if error_of(field) in rows:
            spread[field] = spread[field].fillna(grouped[error_of(field)].mean())
    n_seeds = grouped["seed"].nunique() if "seed" in rows else None
    counted = n_seeds is not None and n_seeds.nunique() > 1
    lines = []
    for name in sorted(mean.index, key=_rank):
        chosen = rows[rows[by] == name]
        is_default = "default" in chosen and bool(chosen["default"].eq(True).any())
        cells = [f"{name} (default)" if is_default else str(name)]
        cells += [str(n_seeds[name])] if counted else []
        for column in columns:
            values = mean[column.field]
            text = number(values[name], spread.loc[name, column.field], column.decimals)
            best = values.max() if column.best > 0 else values.min()
            # All that look the same as the best are best.
            same = f"{values[name]:.{column.decimals}f}" == f"{best:.{column.decimals}f}"
            is_best = column.best and same and text and len(mean) > 1
            cells.append(f"**{text}**" if is_best else text)
        lines.append(cells)
    head = [by, *(["seeds"] if counted else []), *(c.title for c in columns)]
    return markdown(head, lines)


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]], n_words: int = 1) -> str:
    """A table; all but the first `n_words` columns are numbers."""
    rule = ["---" if i < n_words else "---:" for i in range(len(head))]
    return "".join("| " + " | ".join(line) + " |\n" for line in (head, rule, *lines))


def classed(text: str, name: str) -> str:
    """A table that the documentation gives a form of its own, see docs/_static/tables.css."""
    return f"```{{table}}\n:class: {name}\n\n{text}```\n"


def plain(rows: pd.DataFrame) -> str:
    """Give a table of a file that nothing here knows about."""
    fields = [
        name
        for name in rows
        if name != "code" and not rows[name].map(lambda v: isinstance(v, (list, dict))).any()
    ]
    if not len(rows):
        return ""
    lines = [fields, ["---:" if is_numeric_dtype(rows[f]) else "---" for f in fields]]
    lines += [[_value(row[f]) for f in fields] for _, row in rows.iterrows()]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _value(value: Any) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.4g}"
    return "" if value is None else str(value)


def number(mean: float, spread: float, decimals: int) -> str:
    """Mean ± sd, without a spread that is none or does not show."""
    if pd.isna(mean):
        return ""
    text = f"{mean:,.{decimals}f}"
    if pd.isna(spread) or round(spread, decimals) == 0:
        return text
    return f"{text} ± {spread:.{decimals}f}"


def seeds(rows: pd.DataFrame) -> str:
    """Say how many seeds there were; that some have fewer is seen in a column of the table."""
    n = rows["seed"].nunique()
    return f"({n} seeds)" if n > 1 else "(1 seed)"


def _rank(name: str) -> tuple[int, str]:
    """Sort ours first, what it is compared with by name."""
    return next((i for i, start in enumerate(OURS) if name.startswith(start)), len(OURS)), name


def ordered(values: Any, order: Sequence[str]) -> list[str]:
    """Values in a given order, what it does not name behind."""
    known = [v for v in order if v in values]
    return known + sorted(v for v in values if v not in order)


def environment(paths: Iterable[Path]) -> str:
    """Say what the numbers were made with; each file its own line if they differ."""
    lines: dict[str, list[str]] = {}
    for path in sorted(paths):
        found = json.loads(path.read_text(encoding="utf-8")).get("environment")
        if not found:
            continue
        packages = ", ".join(f"{k} {v}" for k, v in found.get("packages", {}).items())
        machine = f"{found.get('system')}, {found.get('cpus')} CPUs"
        line = f"Python {found.get('python')}, {machine}; {packages}"
        lines.setdefault(line, []).append(path.stem)
    return "".join(f"- {', '.join(names)}: {line}\n" for line, names in lines.items())
