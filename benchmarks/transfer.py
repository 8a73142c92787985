"""Transfer labels to cells of another experiment: SCNYM, its parts left out, and other methods.

    python benchmarks/transfer.py --help

Labels are given for the cells of one domain of a data set; the cells of all others have none. The
default settings of ``ace.model.SCNYM`` were chosen on one of the tasks, Kang CTRL → STIM; nothing
was chosen on any other.

transfer
    Accuracy, balanced accuracy, macro F1, and expected calibration error (ten bins).
novelty
    A type is taken out of the labelled cells: are its cells told from those of known types?
    Area under the ROC curve of each method's score of novelty; and at the threshold that keeps
    95 % of labelled cells that were held out, the share of hidden cells flagged and of known
    ones kept.
damage
    A tenth of the given labels replaced by another, or a type five times rarer than it was.

scNym's own code and celltypist need environments of their own: name their interpreters by options,
or in ACE_BENCH_SCNYM and ACE_BENCH_CELLTYPIST. Without, they are skipped. In an environment each:

    pip install celltypist==1.7.1 "scikit-learn<1.8" "anndata<0.13"
    pip install torch scanpy ConfigArgParse tensorboard && pip install --no-deps scnym==0.3.2
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _results import RESULTS, Results
from _transfer_data import SOURCES, Cells, Change, available, common_types, load
from _transfer_methods import (
    CELLTYPIST,
    ITS_NOVELTY,
    ITS_OWN,
    LOGISTIC,
    OUR_PUBLISHED,
    OURS,
    PRESETS,
    SCANVI,
    SVM,
    Method,
    methods,
    timed,
)
from _transfer_scores import judge, judge_novelty

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = ("comparison", "data", "source", "change", "method", "seed")
DATA = ("kang", "pbmc_symphony", "cellmix")
BUNDLED = ("pbmc68k",)
COMPARISONS = ("transfer", "novelty", "damage")
LINEAR = (LOGISTIC, f"{LOGISTIC}, variable genes", SVM, f"{SVM}, variable genes")
#: Presets and published code are compared on the first set only, which has two directions.
FIRST = DATA[0]
EVERY = (OURS, *LINEAR, SCANVI, CELLTYPIST)
ON_FIRST = (*(f"{OURS}, {preset}" for preset in PRESETS), ITS_OWN)
NOVELTY = (
    *(f"{OURS}, new_identity", OURS, f"{OURS}, supervised", OUR_PUBLISHED),
    *(LOGISTIC, f"{LOGISTIC}, variable genes", ITS_NOVELTY),
)
DAMAGE = (OURS, *LINEAR)
QUICK = (OURS, f"{OURS}, new_identity", *LINEAR)
#: Types that are made rarer.
RARER = ("B", "NK")


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for and not yet there."""
    options = _parse(arguments)
    known = methods({"scnym": options.scnym_python, "celltypist": options.celltypist_python})
    unknown = sorted(set(options.methods or ()) - set(known))
    if unknown:
        sys.exit(f"unknown methods {unknown}; there are {sorted(known)}")
    results = Results(options.out, KEYS)
    results.keep_only("method", known)
    said: set[str] = set()
    for data in options.data:
        if available(data):
            print(f"skipped {data}: {available(data)}", flush=True)
            continue
        for comparison in options.only:
            if comparison != "transfer" and data not in (FIRST, *BUNDLED):
                continue
            for source, change, seed in tasks(comparison, data, options):
                cells = None
                for name in asked(comparison, data, options):
                    method = known[name]
                    reason = left_out(name, method, data, seed, change, options)
                    if reason and reason not in said:
                        print(f"skipped {reason}", flush=True)
                        said.add(reason)
                    row = {
                        "comparison": comparison, "data": data, "source": source,
                        "change": str(change), "method": name, "seed": seed, "code": method.code,
                    }  # fmt: skip
                    if reason is not None or results.get(row):
                        continue
                    cells = cells or load(data, source, change, seed)
                    _add(results, row, method, cells, change)


def tasks(
    comparison: str, data: str, options: argparse.Namespace
) -> Iterator[tuple[str, Change, int]]:
    """Domains that have labels, what is done to these, and seeds."""
    types = common_types(data) if comparison != "transfer" else []
    changes = {
        "transfer": [Change()],
        "novelty": [Change("hidden", name) for name in types],
        "damage": [Change("wrong"), *(Change("rarer", n) for n in RARER if n in types)],
    }[comparison]
    if options.hidden and comparison == "novelty":
        changes = [change for change in changes if change.cell_type in options.hidden]
    if options.quick:
        changes = changes[:1]
    domains = [d for d in SOURCES[data].domains if not options.sources or d in options.sources]
    return product(domains[:1] if options.quick else domains, changes, options.seeds)


def asked(comparison: str, data: str, options: argparse.Namespace) -> list[str]:
    """Methods that take part."""
    if comparison == "transfer":
        taking_part = (*EVERY, *(ON_FIRST if data == FIRST else ()))
    else:
        taking_part = NOVELTY if comparison == "novelty" else DAMAGE
    wanted = options.methods or (QUICK if options.quick else taking_part)
    return [name for name in taking_part if name in wanted]


def left_out(
    name: str, method: Method, data: str, seed: int, change: Change, options: argparse.Namespace
) -> str | None:
    """Say why a method is not run, in no words where a row would only repeat another."""
    if method.python and not getattr(options, f"{method.python}_python"):
        return f"{name}: --{method.python}-python names no interpreter"
    if method.counts and not SOURCES[data].counts:
        return f"{name} on {data}: no counts"
    if name.endswith("variable genes") and SOURCES[data].few_genes:
        return ""
    once = change.kind == "hidden" and method.slow
    same = change.kind in ("", "hidden") and not method.random and data not in BUNDLED
    return "" if (once or same) and seed != options.seeds[0] else None


def _add(
    results: Results, row: dict[str, Any], method: Method, cells: Cells, change: Change
) -> None:
    start = time.perf_counter()
    try:
        answer, seconds = timed(method, cells)
        row |= {"seconds": seconds} | judge(answer, cells)
        if change.kind == "hidden" and answer.novelty is not None:
            row |= judge_novelty(answer, cells, change.cell_type)
    except Exception as error:  # noqa: BLE001 (one method must not cost the others)
        print(f"FAILED {row}: {error!r}", file=sys.stderr)
        return
    row |= {k: v for k, v in answer.said.items() if k != "seconds"}
    results.add(row)
    shown = ("accuracy", "balanced_accuracy", "ece", "auroc", "flagged", "kept")
    numbers = ", ".join(f"{k} {row[k]:.3f}" for k in shown if k in row)
    task = f"{row['data']} from {row['source']}, {row['change']}"
    elapsed = time.perf_counter() - start
    print(f"[{elapsed:.1f} s] {task}, {row['method']}, seed {row['seed']}: {numbers}", flush=True)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="bundled cells, one seed, a minute")
    parser.add_argument("--only", nargs="+", choices=COMPARISONS)
    parser.add_argument("--data", nargs="+", choices=SOURCES)
    parser.add_argument("--sources", nargs="+", help="domains that have labels")
    parser.add_argument("--hidden", nargs="+", help="types, of those that can be hidden")
    parser.add_argument("--methods", nargs="+", help="by name")
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--scnym-python", default=os.environ.get("ACE_BENCH_SCNYM"))
    parser.add_argument("--celltypist-python", default=os.environ.get("ACE_BENCH_CELLTYPIST"))
    parser.add_argument("--out", type=Path, help="JSON file; runs that it has are not repeated")
    options = parser.parse_args(arguments)
    options.seeds = options.seeds or ([0] if options.quick else [0, 1, 2])
    options.data = options.data or (["pbmc68k"] if options.quick else list(DATA))
    options.only = options.only or list(COMPARISONS)
    options.out = options.out or RESULTS / ("quick" if options.quick else "") / "transfer.json"
    return options


if __name__ == "__main__":
    main()
