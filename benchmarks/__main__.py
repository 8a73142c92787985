"""The command line: ``python -m benchmarks {list,run,render}``."""

import argparse
import sys
from pathlib import Path

from benchmarks.core.store import RESULTS

CHOSEN = ("data", "protocols", "settings", "methods", "seeds")


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the number of runs that failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="experiments with their data sets and methods")
    add = commands.add_parser("run", help="run experiments; runs with a result are not repeated")
    add.add_argument("experiments", nargs="*", help="names of experiments (default: all)")
    add.add_argument("--quick", action="store_true", help="a small form of each experiment")
    for name in CHOSEN:
        word = int if name == "seeds" else str
        option = name if name == "seeds" else name.rstrip("s")
        add.add_argument(f"--{option}", dest=name, nargs="+", type=word, metavar="NAME")
    add.add_argument("--results", type=Path, help="folder; --quick has one of its own")
    add = commands.add_parser("render", help="turn results into tables and figures")
    add.add_argument("--results", type=Path, default=RESULTS)
    add.add_argument("--out", type=Path, default=RESULTS / "quick" / "tables")
    options = parser.parse_args(arguments)
    if options.command == "run":
        return _run(options)
    if options.command == "render":
        from benchmarks.report import render

        print(*render(options.results, options.out), sep="\n")
    else:
        from benchmarks.experiments import EXPERIMENTS

        for experiment in EXPERIMENTS.values():
            print(f"{experiment.name}: {experiment.title}")
            data = dict.fromkeys(name for block in experiment.runs for name in block["data"])
            print(f"  data:    {', '.join(data)}")
            print(f"  methods: {', '.join(experiment.methods())}")
    return 0


def _run(options: argparse.Namespace) -> int:
    from benchmarks.core.experiment import run
    from benchmarks.experiments import EXPERIMENTS

    if unknown := set(options.experiments) - set(EXPERIMENTS):
        sys.exit(f"unknown experiments {sorted(unknown)}; there are {', '.join(EXPERIMENTS)}")
    folder = options.results or (RESULTS / "quick" if options.quick else RESULTS)
    wanted, failed = {name: getattr(options, name) for name in CHOSEN}, 0
    for name in options.experiments or EXPERIMENTS:
        print(f"=== {name}", flush=True)
        failed += run(EXPERIMENTS[name], folder, quick=options.quick, **wanted)
    print(f"results in {folder}: `python -m benchmarks render --results {folder}`")
    return failed


if __name__ == "__main__":
    sys.exit(main())
