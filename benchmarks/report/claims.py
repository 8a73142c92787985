"""What the papers claim and what the default was to reach, judged by the stored results.

The claims are in ``data/claims.csv``, a row per inequality; empty cells of the first columns
repeat the row above. A claim is a sentence and its inequalities: a metric of a method against
rivals or a level. Two methods are compared by their means over common seeds as they are shown, a
level by the mean itself. A claim holds if all inequalities do, partly if some do.
"""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from benchmarks.core.store import Results
from benchmarks.report import evidence as e
from benchmarks.report.derived import derived
from benchmarks.report.markdown import classed, data, markdown, plural, where

HOLDS, PARTLY, FAILS, UNKNOWN = "holds", "partly", "does not hold", "not measured"
SO_FAR = ", as far as measured"
COLOURS = {HOLDS: "success", PARTLY: "warning", FAILS: "danger", UNKNOWN: "muted"}
SIGNS = {True: "✓", False: "✗", None: "–"}
#: Within so much of the best AUROC, the less redundant panel is the better one.
CLOSE = 0.001


@dataclass(frozen=True)
class Part:
    """One inequality."""

    metric: str
    method: tuple[str, ...]  # of several, the best one
    rows: tuple[str, dict[str, Any]]  # experiment, and the values that its rows have
    rivals: tuple[str, ...] = ()  # to be better than, or
    level: float | None = None  # to be reached; without both, the number is only shown
    best: int = 1  # -1 if less is better
    label: str = ""
    decimals: int = 3
    slack: float = 0.0  # by how much it may be worse than the rivals
    tie: str = ""  # metric, less of which decides where the lead of a rival is below CLOSE


@dataclass(frozen=True)
class Claim:
    """A sentence, what was published, its inequalities, and others that are shown beside them."""

    source: str
    claim: str
    published: str
    section: str
    parts: list[Part]
    beside: list[Part]


@dataclass(frozen=True)
class Found:
    """An inequality that was judged. ``holds`` is None if it was not measured."""

    text: str
    holds: bool | None
    n_seeds: int = 0
    missing: tuple[str, ...] = field(default=())


def judge(part: Part, results: Results) -> Found:
    name, where = part.rows
    rows = derived(results, name, where)
    means = {name: e.values(rows, part.metric, name).mean() for name in part.method}
    method = max(means, key=lambda name: (pd.notna(means[name]), means[name] * part.best))
    label = f"{part.label}: " if part.label else ""
    own = e.values(rows, part.metric, method)
    if not len(own):
        return Found(f"{label}{method} not measured", None)
    if part.level is None and not part.rivals:
        return Found(label + e.mean_sd(own, part.decimals), True, len(own))
    if part.level is not None:
        mean, level = own.mean(), part.level
        decimals = e.telling(mean, level, part.best, part.decimals)
        text = (
            f"{e.mean_sd(own, decimals)}, {'at least' if part.best > 0 else 'at most'} {level:g}"
        )
        return Found(label + text, e.meets(mean, level, part.best), len(own))
    pairs = e.pairs(rows, part.metric, method, part.rivals)
    missing = tuple(pair.name for pair in pairs if not len(pair.own))
    pairs = [pair for pair in pairs if len(pair.own)]
    if not pairs:
        return Found(f"{label}{', '.join(part.rivals)} not measured", None)
    pair, decimals = e.hardest(pairs, part.best, part.decimals), part.decimals
    holds, more = pair.margin(part.best, decimals) > 0, ""
    if part.slack:
        holds = e.meets(pair.margin(part.best), -part.slack, 1)
    elif part.tie and not holds and e.meets(pair.margin(part.best), -CLOSE, 1):
        ahead = tuple(other.name for other in pairs if other.margin(part.best, decimals) <= 0)
        less = judge(Part(part.tie, (method,), part.rows, ahead, best=-1), results)
        holds, more = less.holds, f"; {part.tie.partition('@')[0]}: {less.text}"
    if part.slack or (part.tie and not holds and not more):
        bound = part.slack or CLOSE
        seen = (n for n in range(decimals, 9) if e.meets(pair.margin(1, n), -bound, 1) == holds)
        decimals = next(seen, 9)
    without = f", without {', '.join(missing)}" if missing else ""
    both = f"{e.mean_sd(pair.own, decimals)}, {e.mean_sd(pair.theirs, decimals)} of {pair.name}"
    return Found(f"{label}{both}{pair.note}{without}{more}", holds, len(pair.own), missing)


def verdict(found: list[bool | None]) -> str:
    """All inequalities hold, or none, or some; it is said if some were not measured."""
    known = [holds for holds in found if holds is not None]
    if not known:
        return UNKNOWN
    word = HOLDS if all(known) else PARTLY if any(known) else FAILS
    return word if len(known) == len(found) else word + SO_FAR


def judged(claim: Claim, results: Results) -> tuple[str, str]:
    """The verdict on a claim, and the line that shows what was measured."""
    found = [judge(part, results) for part in claim.parts]
    missing = list(dict.fromkeys(name for part in found for name in part.missing))
    if missing:
        found.append(Found(f"not measured everywhere: {', '.join(missing)}", None))
    word = verdict([part.holds for part in found])
    if word == UNKNOWN:
        return word, ""
    lines = [f"{SIGNS[part.holds]} {part.text}" for part in found]
    beside = [judge(part, results) for part in claim.beside]
    lines += [f"*{part.text}*" for part in beside if part.holds is not None]
    numbers = sorted({part.n_seeds for part in found if part.n_seeds})
    if numbers:
        several = f"{numbers[0]} to {numbers[-1]} seeds"
        lines.append(f"({several if len(numbers) > 1 else plural(numbers[0])})")
    return word, "<br>".join(lines)


def tables(results: Results) -> dict[str, str]:
    """The papers' claims, and the levels that the default was to reach."""
    found: dict[str, list[tuple[Claim, str, str]]] = {}
    for paper, claim in read():
        found.setdefault(paper, []).append((claim, *judged(claim, results)))
    targets = found.pop("targets")
    text = count([word for of_paper in found.values() for _, word, _ in of_paper]) + "\n"
    for title, of_paper in found.items():
        text += f"\n**{title}**\n\n{_summary(of_paper, 'published')}"
    summary = f"{count([word for _, word, _ in targets])}\n\n{_summary(targets, 'level')}"
    return {"claims": text, "targets": summary}


def read() -> list[tuple[str, Claim]]:
    table, found = data("claims", filled=5), []
    for (paper, source, claim), rows in table.groupby(["paper", "source", "claim"], sort=False):
        parts: dict[str, list[Part]] = {"judged": [], "beside": []}
        for row in rows.itertuples():
            parts[row.role].append(
                Part(
                    row.metric,
                    tuple(row.method.split("|")),
                    (row.experiment, where(row.where)),
                    e.named(row.rivals),
                    float(row.level) if row.level else None,
                    int(row.best),
                    row.label,
                    int(row.decimals),
                    float(row.slack or 0),
                    row.tie,
                )
            )
        first = rows.iloc[0]
        said = Claim(source, claim, first["published"], first["section"], *parts.values())
        found.append((paper, said))
    return found


def count(verdicts: list[str]) -> str:
    words = {HOLDS: "hold", PARTLY: "hold in part", FAILS: "do not hold", UNKNOWN: UNKNOWN}
    numbers = pd.Series([v.removesuffix(SO_FAR) for v in verdicts]).map(words).value_counts()
    told = ", ".join(f"{numbers[said]} {said}" for said in words.values() if said in numbers)
    unfinished = sum(v.endswith(SO_FAR) for v in verdicts)
    more = f"; of {unfinished}, a part was not measured" if unfinished else ""
    return f"Of {len(verdicts)}: {told}{more}."


def _summary(found: list[tuple[Claim, str, str]], of: str) -> str:
    lines = []
    for claim, word, measured in found:
        said = f"[{claim.source}](#{claim.section}): {claim.claim}<br>*{of}: {claim.published}*"
        plain = word.removesuffix(SO_FAR)
        badge = f"{{bdg-{COLOURS[plain]}}}`{plain}`{word.removeprefix(plain)}"
        lines.append([said, measured, badge])
    return classed(markdown(["claim", "measured here", "verdict"], lines, n_words=3), "claims")
