"""Which method when: situations, the call for each, and what was measured of it.

Situations are in ``data/choices.csv``, a row per line of what was measured: a metric of some
methods, and of the best of others. Ways to rank genes are in ``data/rankings.csv``, columns of
their table in ``data/rankings_columns.csv``.
"""

import numpy as np

from benchmarks.core.store import Results
from benchmarks.report import evidence as e
from benchmarks.report.derived import derived
from benchmarks.report.markdown import classed, data, markdown, number, plural, where

#: Behind the mean of a method that has fewer seeds than others of its column.
FEWER = " †"


def tables(results: Results) -> dict[str, str]:
    """The table of situations, and that of ways to rank genes."""
    lines = []
    for (wanted, use), rows in data("choices", filled=2).groupby(["wanted", "use"], sort=False):
        told = "<br>".join(filter(None, (_line(row, results) for row in rows.to_dict("records"))))
        lines.append([wanted, use, told or "*not measured*"])
    text = markdown(["you want", "use", "what was measured"], lines, n_words=3)
    return {"choices": classed(text, "choices"), "choices_rankings": _rankings(results)}


def _line(row: dict[str, str], results: Results) -> str:
    """A metric of some methods, and of the best of others; empty without the first of them."""
    rows = derived(results, row["experiment"], where(row["where"]))
    metric, names = row["metric"], e.named(row["methods"])
    pairs = e.pairs(rows, metric, names[0], sorted(e.named(row["others"])))
    if pairs := [pair for pair in pairs if len(pair.own)]:
        names = (*names, e.hardest(pairs, int(row["best"])).name)
    found = {name: e.values(rows, metric, name) for name in names}
    most = max(map(len, found.values()))
    told = [
        f"{name} {e.mean_sd(own, int(row['decimals']))}"
        + (f" ({plural(len(own))})" if len(own) < most else "")
        for name, own in found.items()
        if len(own)
    ]
    return f"{row['label']}: {'; '.join(told)}" if len(found[names[0]]) else ""


def _rankings(results: Results) -> str:
    """A line for each ranking, its figures on held-out cells and against the truth."""
    columns, head, purposes = [], ["ranking", "for"], data("rankings")
    shown = data("rankings_columns").itertuples(index=False)
    for title, name, wanted, metric, decimals in shown:
        rows = results.rows(name, **where(wanted))
        found = [e.values(rows, metric, method) for method in purposes["ranking"]]
        if most := max(map(len, found)):
            head.append(title)
            notes = [FEWER if 0 < len(own) < most else "" for own in found]
            means = [number(own.mean(), np.nan, int(decimals)) for own in found]
            columns.append([mean + note for mean, note in zip(means, notes, strict=True)])
    names = purposes.to_numpy().T
    lines = [line for line in zip(*names, *columns, strict=True) if any(line[2:])]
    missing = "*Not measured yet: `python -m benchmarks run panels`.*\n"
    return classed(markdown(head, lines, n_words=2), "rankings") if lines else missing
