"""Run all benchmarks.

    python benchmarks/run.py --quick               a small form of all, about ten minutes
    python benchmarks/run.py                       what the documentation shows, some hours
    python benchmarks/run.py --only curves speed   one script or the other

The full form keeps its results in benchmarks/results, which the documentation is made from;
the quick one in benchmarks/results/quick. Both continue where they were stopped. Real data are
read from the folder that ACE_DATA_DIR names; without it, only bundled and simulated sets are run.
Each script can be run alone, with more options: see --help of each.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
FULL = "python benchmarks/run.py"
#: The small form of scripts that have no word for it, or run many sets.
QUICK = {
    "train_speed": ["--seeds", "0", "--rounds", "2"],
    "panels": ["--quick", "--data", "pbmc3k", "pbmc68k", "symsim_140_clean", "simulated"],
}


def scripts() -> list[Path]:
    """Every script here but this one, and what turns results into tables."""
    return [
        path
        for path in sorted(HERE.glob("[a-z]*.py"))
        if path.name not in (Path(__file__).name, "render.py")
    ]


def main(arguments: list[str] | None = None) -> int:
    """Run the scripts one after the other; give the number of those that failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    every = [script.stem for script in scripts()]
    parser.add_argument("--quick", action="store_true", help="a small form of all")
    parser.add_argument("--only", nargs="+", choices=every, default=every, metavar="SCRIPT")
    options = parser.parse_args(arguments)
    folder = HERE / "results" / ("quick" if options.quick else "")
    failed, begin = [], time.perf_counter()
    for script in scripts():
        if script.stem not in options.only:
            continue
        print(f"=== {script.name}", flush=True)
        start = time.perf_counter()
        arguments = ["--out", str(folder / f"{script.stem}.json")]
        if options.quick:
            arguments += QUICK.get(script.stem, ["--quick"])
        if subprocess.run([sys.executable, str(script), *arguments]).returncode:
            failed.append(script.name)
        print(f"=== {script.name}: {time.perf_counter() - start:.0f} s", flush=True)
    tables = HERE / "results" / "quick" / "tables"
    sys.path.insert(0, str(HERE))
    from render import render

    render(folder, tables)
    print(f"Results: {folder}\nTables and figures: {tables}")
    print(f"What the papers claim and what came out: {tables / 'claims.md'}")
    if options.quick:
        minutes = (time.perf_counter() - begin) / 60
        print(f"This was the quick form, in {minutes:.0f} min: few methods, one seed.")
        print(f"All methods, seeds and sizes, in some hours: {FULL}")
    if failed:
        print(f"Failed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
