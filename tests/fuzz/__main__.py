"""Run many cases: ``python -m tests.fuzz --n 2000 --seed 0``."""

from __future__ import annotations

import argparse
import sys

from tests.fuzz._run import run, table


def main() -> int:
    """Run the cases; return 1 if there is a finding."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--n", type=int, default=2000, help="number of calls")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="number of the first case")
    parser.add_argument("--only", type=int, nargs="*", help="numbers of cases to run again")
    parser.add_argument("--verbose", action="store_true", help="print every case")
    given = parser.parse_args()
    numbers = given.only or range(given.start, given.start + given.n)
    outcomes = run(given.seed, numbers, verbose=given.verbose or bool(given.only))
    print(table(outcomes))
    return int(any(outcome.findings for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
