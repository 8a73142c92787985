"""The command line: ``python -m benchmarks {list,run,render}``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks.core.store import RESULTS


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the number of runs that failed."""
    options = _parser().parse_args(arguments)
    return options.command(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add = commands.add_parser("list", help="experiments with their data sets and methods")
    add.set_defaults(command=_list)
    add = commands.add_parser("run", help="run experiments; runs with a result are not repeated")
    add.add_argument("experiments", nargs="*", help="names of experiments (default: all)")
    add.add_argument("--quick", action="store_true", help="a small form of each experiment")
    for name in ("data", "protocols", "settings", "methods"):
        add.add_argument(f"--{name.rstrip('s')}", dest=name, nargs="+", metavar="NAME")
    add.add_argument("--seeds", nargs="+", type=int)
    add.add_argument("--results", type=Path, help="folder; --quick has one of its own")
    add.set_defaults(command=_run)
    add = commands.add_parser("render", help="turn results into tables and figures")
    add.add_argument("--results", type=Path, default=RESULTS)
    add.add_argument("--out", type=Path, default=RESULTS / "quick" / "tables")
    add.set_defaults(command=_render)
    return parser


def _list(options: argparse.Namespace) -> int:
    from benchmarks.experiments import EXPERIMENTS

    for experiment in EXPERIMENTS.values():
        print(f"{experiment.name}: {experiment.title}")
        print(f"  data:    {', '.join(experiment.data)}")
        print(f"  methods: {', '.join(experiment.methods())}")
    return 0


def _run(options: argparse.Namespace) -> int:
    from benchmarks.core.experiment import run
    from benchmarks.experiments import EXPERIMENTS

    unknown = set(options.experiments) - set(EXPERIMENTS)
    if unknown:
        sys.exit(f"unknown experiments {sorted(unknown)}; there are {', '.join(EXPERIMENTS)}")
    folder = options.results or (RESULTS / "quick" if options.quick else RESULTS)
    given = {k: getattr(options, k) for k in ("data", "protocols", "settings", "methods", "seeds")}
    failed, start = 0, time.perf_counter()
    for name in options.experiments or EXPERIMENTS:
        print(f"=== {name}", flush=True)
        failed += run(EXPERIMENTS[name], folder, quick=options.quick, **given)
    minutes = (time.perf_counter() - start) / 60
    print(
        f"{minutes:.0f} min; results in {folder}: `python -m benchmarks render --results {folder}`"
    )
    return failed


def _render(options: argparse.Namespace) -> int:
    from benchmarks.report import render

    for path in render(options.results, options.out):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
