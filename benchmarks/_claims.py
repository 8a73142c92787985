"""What the papers claim and what we set out to reach, judged by the kept results.

A claim is taken apart into inequalities, each of which holds or does not by means over seeds
(`_evidence`). The verdict follows from them by one rule (`verdict`); none is written by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from _evidence import Evidence, Part
from _tables import classed, markdown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

HOLDS, PARTLY, FAILS, UNKNOWN = "holds", "partly", "does not hold", "not measured"
SO_FAR = ", as far as measured"
COLOURS = {HOLDS: "success", PARTLY: "warning", FAILS: "danger", UNKNOWN: "muted"}
SIGNS = {True: "✓", False: "✗", None: "–"}


@dataclass(frozen=True)
class Claim:
    """A sentence, what was published for it, and how it is judged.

    ``judge`` gives the inequalities, ``note`` what is said beside them and decides nothing.
    """

    source: str
    claim: str
    published: str
    judge: Callable[[Evidence], Sequence[Part]]
    note: Callable[[Evidence], str] | None = None
    section: str = ""


@dataclass(frozen=True)
class Finding:
    """A claim that was judged."""

    claim: Claim
    verdict: str
    measured: str


def verdict(parts: Sequence[Part]) -> str:
    """All inequalities hold, or none, or some; what was not measured is said."""
    known = [part.holds for part in parts if part.holds is not None]
    if not known:
        return UNKNOWN
    found = HOLDS if all(known) else PARTLY if any(known) else FAILS
    return found if len(known) == len(parts) else found + SO_FAR


def judge(claim: Claim, evidence: Evidence) -> Finding:
    """Judge one claim."""
    parts = list(claim.judge(evidence))
    missing = list(dict.fromkeys(name for part in parts for name in part.missing))
    if missing:
        parts.append(Part(f"not measured everywhere: {', '.join(missing)}", None))
    found = verdict(parts)
    if found == UNKNOWN:
        return Finding(claim, found, "")
    lines = [f"{SIGNS[part.holds]} {part.said}" for part in parts]
    if claim.note and (note := claim.note(evidence)):
        lines.append(note)
    numbers = sorted({part.n_seeds for part in parts if part.n_seeds})
    if numbers:
        to = f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
        lines.append(f"({to} {'seed' if to == '1' else 'seeds'})")
    return Finding(claim, found, "<br>".join(lines))


def tables(folder: Path) -> dict[str, str]:
    """Give the summary of the papers' claims, and of what we set out to reach."""
    import _claims_ace
    import _claims_kratos
    import _claims_labels
    import _claims_targets

    evidence = Evidence(folder)
    papers = {
        "ACE (Lu et al. 2021)": _claims_ace.CLAIMS,
        "Kratos (Zhou et al. 2022)": _claims_kratos.CLAIMS,
        "scNym (Kimmel and Kelley 2021)": _claims_labels.SCNYM,
        "scARE (Inecik and Theis 2023)": _claims_labels.SCARE,
    }
    found = {title: [judge(c, evidence) for c in claims] for title, claims in papers.items()}
    everything = [finding for findings in found.values() for finding in findings]
    text = f"{count(everything)}\n"
    for title, findings in found.items():
        text += f"\n**{title}**\n\n{summary(findings)}"
    targets = [judge(claim, evidence) for claim in _claims_targets.TARGETS]
    return {"claims": text, "targets": f"{count(targets)}\n\n{summary(targets, of='asked for')}"}


def count(findings: Sequence[Finding]) -> str:
    """Say how many hold."""
    words = {HOLDS: "hold", PARTLY: "hold in part", FAILS: "do not hold", UNKNOWN: UNKNOWN}
    numbers = {
        said: sum(f.verdict.removesuffix(SO_FAR) == word for f in findings)
        for word, said in words.items()
    }
    said = ", ".join(f"{n} {word}" for word, n in numbers.items() if n)
    unfinished = sum(f.verdict.endswith(SO_FAR) for f in findings)
    more = f"; of {unfinished}, a part was not measured" if unfinished else ""
    return f"Of {len(findings)}: {said}{more}."


def summary(findings: Sequence[Finding], of: str = "published") -> str:
    """A line for each claim, in the form that the documentation reads."""
    lines = []
    for finding in findings:
        claim = finding.claim
        source = f"[{claim.source}](#{claim.section})" if claim.section else claim.source
        said = f"{source}: {claim.claim}<br>*{of}: {claim.published}*"
        word = finding.verdict.removesuffix(SO_FAR)
        badge = f"{{bdg-{COLOURS[word]}}}`{word}`{finding.verdict.removeprefix(word)}"
        lines.append([said, finding.measured, badge])
    text = markdown(["claim", "measured here", "verdict"], lines, n_words=3)
    return classed(text, "claims")
