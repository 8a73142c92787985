"""Which method when: situations, the call for each, and what was measured of it.

Situations are in ``data/choices.csv``, a row per line of what was measured; ways to rank genes in
``data/rankings.csv``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.core.store import Results
from benchmarks.report import evidence as e
from benchmarks.report.derived import derived
from benchmarks.report.markdown import classed, data, markdown, number, plural, where

#: Behind the mean of a method that has fewer seeds than others of its column.
FEWER = " †"


@dataclass(frozen=True)
class Line:
    """A metric of some methods, and of the best of others in this very metric."""

    title: str
    metric: str
    methods: tuple[str, ...]
    rows: tuple[str, dict[str, Any]]
    decimals: int = 3
    best: int = 1
    others: tuple[str, ...] = ()

    def text(self, results: Results) -> list[str]:
        """The line, if the first of the methods was measured."""
        rows = derived(results, *self.rows)
        first = self.methods[0]
        if not len(e.values(rows, self.metric, first)):
            return []
        pairs = [p for p in e.pairs(rows, self.metric, first, sorted(self.others)) if len(p.own)]
        names = [*self.methods, *([e.hardest(pairs, self.best).name] if pairs else [])]
        found = {name: e.values(rows, self.metric, name) for name in names}
        most = max(map(len, found.values()))
        told = [
            f"{name} {e.mean_sd(own, self.decimals)}"
            + (f" ({plural(len(own))})" if len(own) < most else "")
            for name, own in found.items()
            if len(own)
        ]
        return [f"{self.title}: {'; '.join(told)}"]


#: Columns of the table of rankings: title, experiment and rows, metric, decimals.
PBMC = ("panels", {"data": "pbmc3k", "protocol": "held-out"})
FIELDS = (
    ("PBMC3k: AUROC @3", PBMC, "auroc@3", 3),
    ("@18", PBMC, "auroc@18", 3),
    ("redundancy", PBMC, "redundancy", 2),
    ("pancreas: AUROC @3", ("panels", {"data": "baron_mouse", "protocol": "held-out"}),
     "auroc@3", 3),
    ("simulated: noise of 20", ("panels", {"data": "symsim_140_clean", "protocol": "truth"}),
     "noise", 1),
    ("found again in other half", ("stability", {"data": "pbmc3k", "protocol": "halves"}),
     "jaccard", 2),
    ("seconds", PBMC, "seconds", 2),
)  # fmt: skip


def tables(results: Results) -> dict[str, str]:
    """The table of situations, and that of ways to rank genes."""
    lines = []
    for (wanted, use), rows in data("choices", filled=2).groupby(["wanted", "use"], sort=False):
        told = [text for row in rows.to_dict("records") for text in _line(row).text(results)]
        lines.append([wanted, use, "<br>".join(told) or "*not measured*"])
    text = markdown(["you want", "use", "what was measured"], lines, n_words=3)
    return {"choices": classed(text, "choices"), "choices_rankings": _rankings(results)}


def _line(row: dict[str, str]) -> Line:
    return Line(
        row["label"],
        row["metric"],
        e.named(row["methods"]),
        (row["experiment"], where(row["where"])),
        int(row["decimals"]),
        int(row["best"]),
        e.named(row["others"]),
    )


def _rankings(results: Results) -> str:
    """A line for each ranking, its figures on held-out cells and against the truth."""
    columns, head, purposes = [], ["ranking", "for"], data("rankings")
    for title, (name, of), metric, decimals in FIELDS:
        rows = results.rows(name, **of)
        found = [e.values(rows, metric, method) for method in purposes["ranking"]]
        most = max(map(len, found))
        if most:
            head.append(title)
            columns.append(
                [
                    number(own.mean(), np.nan, decimals) + (FEWER if 0 < len(own) < most else "")
                    for own in found
                ]
            )
    lines: Sequence[list[str]] = [
        [name, purpose, *cells]
        for (name, purpose), cells in zip(
            purposes.itertuples(index=False), zip(*columns, strict=True), strict=False
        )
        if any(cells)
    ]
    missing = "*Not measured yet: `python -m benchmarks run panels`.*\n"
    return classed(markdown(head, lines, n_words=2), "rankings") if lines else missing
