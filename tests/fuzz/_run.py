"""Run cases by number. A seed and a number determine the call."""

from __future__ import annotations

import inspect
import logging
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tests.fuzz import _calls
from tests.fuzz._cells import odd_cells, pick
from tests.fuzz._drawn import Insane
from tests.fuzz._judge import LONGEST, changes, snapshot, unclear
from tests.fuzz._metrics import metric

#: Fraction of results that are written to a file and read back.
WRITTEN = 0.3


@dataclass
class Outcome:
    """Outcome of a call."""

    seed: int
    number: int
    function: str
    ended: str  # "result" or "error"
    message: str = ""
    findings: list[str] = field(default_factory=list)
    about: str = ""

    def __str__(self) -> str:
        return (
            f"--seed {self.seed} --only {self.number}  {self.function}: "
            f"{'; '.join(self.findings) or self.ended}  [{self.about}]"
        )


def run_case(seed: int, number: int) -> Outcome:
    """Run one call and judge its result."""
    rng = np.random.default_rng([seed, number])
    name = pick(rng, _calls.WEIGHTS)
    outcome = Outcome(seed, number, name, "result")
    with (
        tempfile.TemporaryDirectory() as temporary,
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        folder = Path(temporary)
        if name == "metric":
            adata = None
            call, outcome.about = metric(rng, folder)
        else:
            make, counts = _calls.ON_CELLS[name]
            adata = odd_cells(rng, folder, counts=counts)
            call = make(rng, adata)
            outcome.about = _describe(adata, call)
        n_before = len(caught)
        _judge(outcome, call, adata, folder, rng)
        if adata is not None and adata.isbacked:
            adata.file.close()
        outcome.findings += _bad_warnings(caught[n_before:])
    return outcome


def _judge(
    outcome: Outcome, call: Any, adata: Any, folder: Path, rng: np.random.Generator
) -> None:
    writes = rng.random() < WRITTEN and adata is not None and not adata.isbacked
    could_be_written = writes and _calls.unreadable(adata.copy(), folder) is None
    before = None if adata is None else snapshot(adata)
    result = None
    try:
        result = call()
    except Insane as error:
        outcome.findings.append(f"incorrect result: {error}")
    except Exception as error:  # noqa: BLE001 (every error is judged)
        outcome.ended, outcome.message = "error", f"{type(error).__name__}: {error}"
        problem = unclear(error)
        outcome.findings += [] if problem is None else [problem]
        if before is not None:
            # If training fails, what the set-up wrote remains.
            is_set_up = inspect.getclosurevars(call).nonlocals.get("is_set_up")
            allowed = _calls.WRITES["model"] if is_set_up else ()
            outcome.findings += [f"after the error {c}" for c in changes(before, adata, allowed)]
        return
    if before is None:
        return
    key = (
        inspect.getclosurevars(call)
        .nonlocals.get("given", {})
        .get("key_added", _calls.DEFAULT_KEYS.get(outcome.function, ""))
    )
    allowed = tuple(place.format(key=key) for place in _calls.WRITES[outcome.function])
    outcome.findings += [f"besides, {c}" for c in changes(before, adata, allowed)]
    if could_be_written and result is not None:
        problem = _calls.unreadable(result, folder)
        outcome.findings += [] if problem is None else [f"result cannot be stored: {problem}"]


def _bad_warnings(caught: list[warnings.WarningMessage]) -> list[str]:
    """Warnings that users cannot act on: of numerical problems, or too long."""
    found = []
    for warning in caught:
        text = str(warning.message)
        if issubclass(warning.category, RuntimeWarning):
            found.append(
                f"RuntimeWarning at {Path(warning.filename).name}:{warning.lineno}: {text}"
            )
        elif len(text) > LONGEST:
            found.append(f"warning of {len(text)} characters")
    return found


def _describe(adata: Any, call: Any) -> str:
    """Describe the drawn call, for the report."""
    known = inspect.getclosurevars(call).nonlocals
    drawn = {
        name: getattr(value, "given", value)
        for name, value in known.items()
        if name in ("given", "setup", "build", "fit", "name")
    }
    kind = "backed " * adata.isbacked + "view " * adata.is_view + type(adata.X).__name__
    dtype = getattr(adata.X, "dtype", None)
    return f"{adata.shape} {kind} {dtype}, ct {adata.obs['ct'].dtype}; {_brief(drawn)}"


def _brief(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_brief(v)}" for k, v in value.items()) + "}"
    if type(value).__module__.startswith(("ace", "anndata")):
        return type(value).__name__
    return f"{value!r:.200}"


def run(seed: int, numbers: range | list[int], *, verbose: bool = False) -> list[Outcome]:
    """Run cases, and print those with findings."""
    quiet()
    outcomes = []
    for number in numbers:
        outcome = run_case(seed, number)
        outcomes.append(outcome)
        if outcome.findings or verbose:
            print(outcome, outcome.message if verbose else "", flush=True)
    return outcomes


def quiet() -> None:
    """Silence the loggers of libraries."""
    logging.disable(logging.CRITICAL)


def table(outcomes: list[Outcome]) -> str:
    """Number of calls by function and outcome."""
    counts = Counter((o.function, "finding" if o.findings else o.ended) for o in outcomes)
    lines = [f"{'function':20s} results  clear errors  findings"]
    for name in _calls.WEIGHTS:
        row = [counts[name, end] for end in ("result", "error", "finding")]
        lines.append(f"{name:20s} {row[0]:7d}  {row[1]:12d}  {row[2]:8d}")
    total = [
        sum(n for (_, end), n in counts.items() if end == e)
        for e in ("result", "error", "finding")
    ]
    lines.append(f"{'all':20s} {total[0]:7d}  {total[1]:12d}  {total[2]:8d}")
    return "\n".join(lines)
