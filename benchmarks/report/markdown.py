"""Markdown tables: mean ± standard deviation over seeds, ours first, the best in bold."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

#: What the name of a ranking of this package begins with, in the order of the tables.
OURS = ("ace", "ACE", "KRATOS", "SCNYM", "SCARE", "SCVI", "SCANVI")
#: Rankings with the default of ``ace.tl.explain``.
DEFAULTS = ("ace panel", "ACE + panel", "KRATOS + panel")


class Column(NamedTuple):
    """How a value is shown: title, decimals, and which end is best (0: neither).

    ``*`` at the end of a field, and in the title, stands for the groups that there are.
    """

    field: str
    title: str
    decimals: int = 3
    best: int = 0


def data(name: str, filled: int = 0) -> pd.DataFrame:
    """A table of ``report/data``; empty cells of its first `filled` columns repeat those above."""
    table = pd.read_csv(Path(__file__).parent / "data" / f"{name}.csv", dtype=str)
    first = table.columns[:filled]
    table[first] = table[first].ffill()
    return table.fillna("")


#: Titles of the data sets, in the order of tables and figures, and short forms.
TITLES, SHORT = (data("sets").set_index("data")[form].to_dict() for form in ("title", "short"))


LINES = {"dashed": (0, (4, 1.5)), "dotted": (0, (1, 1)), "dashdot": (0, (5, 1, 1, 1))}


def styles(figure: str) -> dict[str, dict[str, Any]]:
    """How methods are drawn, see ``data/styles.csv``."""
    found = {}
    for row in data("styles").query("figure == @figure").to_dict("records"):
        style = {k: v for k, v in row.items() if v and k not in ("figure", "name")}
        style |= {k: float(style[k]) for k in ("linewidth", "zorder") if k in style}
        style |= {"linestyle": LINES[style["linestyle"]]} if "linestyle" in style else {}
        found[row["name"]] = style
    return found


@cache
def columns(table: str) -> tuple[Column, ...]:
    """The columns of a table, see ``data/columns.csv``."""
    rows = data("columns").query("table == @table")
    return tuple(
        Column(field, title, int(decimals), int(best))
        for _, field, title, decimals, best in rows.itertuples(index=False)
    )


def mean_table(rows: pd.DataFrame, by: str, columns: Sequence[Column]) -> str:
    """A line for each value of `by`; of one seed, a stored standard error is the spread."""
    columns = [
        column._replace(field=field, title=column.title.replace("*", field.partition(":")[2]))
        for column in columns
        for field in rows.columns
        if fnmatchcase(field, column.field) and rows[field].notna().any()
    ]
    grouped = rows.groupby(by, sort=False)
    fields = [c.field for c in columns]
    mean, spread, n_seeds = (
        grouped[fields].mean(),
        grouped[fields].std(),
        grouped["seed"].nunique(),
    )
    for field in fields if rows["seed"].nunique() == 1 else []:
        if (error := field.replace("@", "_sem@")) in rows and "@" in field:
            spread[field] = spread[field].fillna(grouped[error].mean())
    counted = n_seeds.nunique() > 1
    lines = []
    for name in sorted(mean.index, key=_rank):
        cells = [f"{name} (default)" if name in DEFAULTS else str(name)]
        cells += [str(n_seeds[name])] if counted else []
        for field, _, decimals, best in columns:
            values = mean[field]
            text = number(values[name], spread.loc[name, field], decimals)
            top = values.max() if best > 0 else values.min()
            # All that look the same as the best are best.
            same = best and text and f"{values[name]:.{decimals}f}" == f"{top:.{decimals}f}"
            cells.append(f"**{text}**" if same and len(mean) > 1 else text)
        lines.append(cells)
    return markdown([by, *(["seeds"] if counted else []), *(c.title for c in columns)], lines)


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]], n_words: int = 1) -> str:
    """A table; all but the first `n_words` columns are numbers."""
    rule = ["---" if i < n_words else "---:" for i in range(len(head))]
    return "".join("| " + " | ".join(line) + " |\n" for line in (head, rule, *lines))


def classed(text: str, name: str) -> str:
    """A table with a style of its own, see docs/_static/tables.css."""
    return f"```{{table}}\n:class: {name}\n\n{text}```\n"


def number(mean: float, spread: float, decimals: int) -> str:
    """Mean ± standard deviation, without a deviation that is missing or rounds to 0."""
    if pd.isna(mean):
        return ""
    text = f"{mean:,.{decimals}f}"
    hidden = pd.isna(spread) or round(spread, decimals) == 0
    return text if hidden else f"{text} ± {spread:.{decimals}f}"


def plural(n: int, word: str = "seed") -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def where(text: str) -> dict[str, Any]:
    """Values that rows have: ``"data=kang;setting=CTRL"``."""
    return dict(pair.split("=", 1) for pair in text.split(";")) if text else {}


def ordered(values: Any, order: Iterable[str]) -> list[str]:
    """Values in a given order, others behind."""
    known = [v for v in order if v in set(values)]
    return known + sorted(set(values) - set(known))


def _rank(name: str) -> tuple[int, str]:
    return next((i for i, start in enumerate(OURS) if name.startswith(start)), len(OURS)), name
