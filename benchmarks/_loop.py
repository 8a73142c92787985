"""Runs of rankings one after the other: what is there is not repeated, a failure costs itself."""

from __future__ import annotations

import sys
import time
from itertools import product
from typing import TYPE_CHECKING, Any

from _data import SOURCES, available
from _evidence import BASELINES
from _rankings import rankings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from _rankings import Ranking
    from _results import Results, Row

    #: What tells settings apart (data, seed, …), and the method that is run there.
    Task = tuple[dict[str, Any], Ranking]


def chosen(
    results: Results,
    names: Iterable[str] | None,
    meant: Callable[[Ranking], bool],
    known: dict[str, Ranking] | None = None,
) -> list[Ranking]:
    """Give the methods of these names, or those that are meant if none is named.

    Rows of methods that no longer exist are forgotten; what only is not installed does exist.
    """
    known = rankings() if known is None else known
    results.keep_only("method", {*known, *BASELINES})
    if not names:
        return [method for method in known.values() if meant(method)]
    unknown = sorted(set(names) - set(known))
    if unknown:
        sys.exit(f"unknown methods {unknown}; there are {sorted(known)}")
    return [known[name] for name in names]


def at_hand(data: Iterable[str]) -> list[str]:
    """Sets that can be read here; of the others it is said why not."""
    reasons = {name: available(name) for name in data}
    for name, reason in reasons.items():
        if reason:
            print(f"skipped {name}: {reason}", flush=True)
    return [name for name, reason in reasons.items() if not reason]


def tasks(settings: Iterable[dict[str, Any]], methods: Iterable[Ranking]) -> list[Task]:
    """Each setting with each method that can read its data."""
    return [
        (setting, method)
        for setting, method in product(settings, methods)
        if SOURCES[setting["data"]].counts or not method.counts
    ]


def run(
    results: Results,
    to_do: Sequence[Task],
    judging: str,
    *,
    prepare: Callable[..., Any],
    make: Callable[[Ranking, Any, Row], Row],
    shown: Callable[[Row], str],
) -> None:
    """Make the rows that are not there yet.

    Parameters
    ----------
    results
        Where rows are kept.
    to_do
        Settings and methods; those of one setting follow each other.
    judging
        Fingerprint of the code that judges.
    prepare
        Called with a setting, for what its methods share.
    make
        Called with the method, what was prepared, and the row so far; gives the numbers.
    shown
        What is printed of a row.
    """
    print(f"{len(to_do)} runs; results in {results.path}", flush=True)
    start, previous, prepared, done = time.perf_counter(), None, None, 0
    for number, (setting, method) in enumerate(to_do, 1):
        row: Row = {**setting, "method": method.name, "code": f"{judging}-{method.code}"}
        if results.get(row):
            continue
        if previous != setting:
            previous, prepared = setting, prepare(**setting)
        said = ", ".join(str(value) for value in (*setting.values(), method.name))
        try:
            row |= {"default": method.default, "baseline": method.baseline}
            row |= make(method, prepared, row)
        except Exception as error:  # noqa: BLE001 (one failing method must not cost the others)
            print(f"FAILED {said}: {error!r}", file=sys.stderr)
            continue
        results.add(row)
        done += 1
        elapsed = time.perf_counter() - start
        print(f"[{number}/{len(to_do)}, {elapsed:.0f} s] {said}: {shown(row)}", flush=True)
    print(f"{done} runs done, {len(to_do) - done} kept or failed.", flush=True)
