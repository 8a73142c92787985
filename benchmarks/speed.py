"""What an explanation costs, side by side with what it is compared to.

    python benchmarks/speed.py --help

wilcoxon
    ``ace.tl.explain`` against ``sc.tl.rank_genes_groups(method="wilcoxon")`` on PBMC3k (1838
    genes): the same matrix, the same process, in turns.
baselines
    The default of ``ace.tl.explain`` against every baseline on PBMC3k (2000 genes, PCA given): the
    same cells, the same process, in turns. What takes long is called once after the first time.
scale
    10 000 and 100 000 cells × 2000 genes, 8 % non-zero, 10 groups, PCA given: seconds, and peak
    memory above the loaded matrix. A fresh process for each.
adversarial
    The proximal solver against the published one (5000 subgradient steps) on PBMC3k: seconds,
    fraction of cells flipped, and AUROC of the panels on held-out cells.

Times are medians over calls that follow a first one, whose time is given too: it includes what is
compiled or loaded once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import scanpy as sc
from _data import GROUP, SOURCES, available, load
from _measure import measure
from _rankings import rankings, to_panels
from _results import RESULTS, Results, code_key
from panels import judge, prepare

import ace

if TYPE_CHECKING:
    from collections.abc import Callable

    from _rankings import Cells

KEYS = ("comparison", "subject", "size", "seed")
N_GENES = 2000
SCALES = (10_000, 100_000)
SUBGRADIENT_STEPS = 5000
#: Seconds of a first call from which on a second one has to do.
LONG = 10.0
CHILDREN = {"explain": "ace.tl.explain", "wilcoxon": "scanpy Wilcoxon"}

Row = dict[str, Any]


def main(arguments: list[str] | None = None) -> None:
    """Run the comparisons asked for."""
    options = _parse(arguments)
    if options.child:
        print(json.dumps(_child(options.child, Path(options.file), options.size, options.repeats)))
        return
    results = Results(options.out, KEYS)
    code = code_key("explain", "nn", "tl", files=("speed.py", "_data.py", "_measure.py"))
    for name in options.only:
        print(f"{name} ...", flush=True)
        COMPARISONS[name](results, code, options)


def _keep(results: Results, row: Row, make: Callable[[], Row]) -> None:
    """Make and keep a row, unless the same code made it before."""
    if results.get(row):
        return
    row |= make()
    results.add(row)
    shown = {k: v for k, v in row.items() if k not in ("code", "comparison")}
    print("  " + ", ".join(f"{k} {v}" for k, v in shown.items()), flush=True)


def _explain(adata: ad.AnnData, **options: Any) -> None:
    ace.tl.explain(adata, GROUP, key_added="speed", progress=False, **options)


def _wilcoxon(adata: ad.AnnData) -> None:
    sc.tl.rank_genes_groups(adata, GROUP, method="wilcoxon", use_raw=False, key_added="speed")


def _summary(costs: list[Any]) -> Row:
    """First call apart, unless it is the only one: it compiles and loads what later ones find."""
    later = costs[1:] or costs
    return {
        "seconds": median(c.seconds for c in later),
        "seconds_first": costs[0].seconds,
        "seconds_all": [c.seconds for c in later],
        "peak_mb": max(c.peak_mb for c in costs),
    }


def compare_wilcoxon(results: Results, code: str, options: argparse.Namespace) -> None:
    """Alternate between both, so that what else the machine does hits both."""
    reason = available("pbmc3k_processed")
    if reason:
        print(f"  skipped: {reason}")
        return
    subjects = {"ace.tl.explain": _explain, "scanpy Wilcoxon": _wilcoxon}
    rows = [{"comparison": "wilcoxon", "subject": s, "code": code} for s in subjects]
    if all(results.get(row) for row in rows):
        return
    adata = load("pbmc3k_processed")
    sc.pp.pca(adata, random_state=0)
    costs: dict[str, list[Any]] = {s: [] for s in subjects}
    with warnings.catch_warnings():
        # Fold changes of scaled values.
        warnings.simplefilter("ignore")
        for _ in range(options.repeats + 1):
            for subject, call in subjects.items():
                costs[subject].append(measure(partial(call, adata))[1])
    for row in rows:
        _keep(results, row, partial(_summary, costs[row["subject"]]))


def compare_baselines(results: Results, code: str, options: argparse.Namespace) -> None:
    """Take turns between the default and all baselines; the quick form on the bundled cells."""
    data = "pbmc68k" if options.quick else "pbmc3k"
    reason = available(data)
    if reason:
        print(f"  skipped: {reason}")
        return
    compared = {
        name: method
        for name, method in rankings().items()
        if method.baseline or (method.default and method.model is None)
        if SOURCES[data].counts or not method.counts
    }
    rows = {
        name: {"comparison": "baselines", "subject": name, "code": f"{code}-{method.code}"}
        for name, method in compared.items()
    }
    if all(results.get(row) for row in rows.values()):
        return
    cells, _ = prepare(data, "in-sample fixed", 0)
    costs: dict[str, list[Any]] = {name: [] for name in compared}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(options.repeats + 1):
            for name, method in compared.items():
                slow = number > 0 and costs[name][0].seconds > LONG
                if slow and (options.quick or number > 1):
                    continue
                costs[name].append(measure(partial(method.rank, cells))[1])
    for name, row in rows.items():
        row |= {"data": data, "default": compared[name].default}
        _keep(results, row, partial(_summary, costs[name]))


def compare_scale(results: Results, code: str, options: argparse.Namespace) -> None:
    """Prepare in one process, explain in another, whose memory holds nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            rows = {
                child: {"comparison": "scale", "subject": subject, "size": size, "code": code}
                for child, subject in CHILDREN.items()
                if child == "explain" or not options.quick
            }
            if all(results.get(row) for row in rows.values()):
                continue
            file = Path(folder) / f"{size}.h5ad"
            _run_child("prepare", file, size, options.repeats)
            for child, row in rows.items():
                _keep(results, row, partial(_run_child, child, file, size, options.repeats))
            file.unlink()


def simulated_counts(n_cells: int) -> ad.AnnData:
    """Counts of 10 groups, about 8 % of them not 0."""
    adata = ace.datasets.simulated_panels(
        n_cells, 10, 100, 100, N_GENES - 200, mean_counts=0.075, seed=0
    )
    adata.obs[GROUP] = adata.obs["group"]
    return adata


def _run_child(child: str, file: Path, size: int, repeats: int) -> Row:
    command = [sys.executable, __file__, "--child", child, "--file", str(file)]
    command += ["--size", str(size), "--repeats", str(repeats)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.strip().splitlines()[-1])


def _child(child: str, file: Path, size: int, repeats: int) -> Row:
    warnings.simplefilter("ignore")
    if child == "prepare":
        adata = simulated_counts(size)
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
        sc.pp.pca(adata, random_state=0)
        adata.write_h5ad(file)
        return {}
    adata = ad.read_h5ad(file)
    matrix = adata.X.data.nbytes + adata.X.indices.nbytes + adata.X.indptr.nbytes
    call = {"explain": _explain, "wilcoxon": _wilcoxon}[child]
    # Wilcoxon takes minutes on the large matrix: one call after the first is enough.
    n_calls = (repeats if child == "explain" else 1) + 1
    costs = [measure(partial(call, adata))[1] for _ in range(n_calls)]
    density = adata.X.nnz / np.prod(adata.shape)
    return {"matrix_mb": round(matrix / 1024**2, 1), "density": float(density)} | _summary(costs)


def compare_adversarial(results: Results, code: str, options: argparse.Namespace) -> None:
    """Both solvers on the same half of the cells, judged on the other."""
    reason = available("pbmc3k")
    if reason:
        print(f"  skipped: {reason}")
        return
    solvers = {
        "proximal": {"solver": "proximal"},
        "subgradient": {"solver": "subgradient", "max_steps": options.steps},
    }
    for seed in options.seeds:
        cells, judged = prepare("pbmc3k", "held-out", seed)
        for name, solver in solvers.items():
            row = {"comparison": "adversarial", "subject": name, "seed": seed}
            row["code"] = f"{code}-{options.steps}"
            _keep(results, row, partial(_judge_solver, cells, judged, solver, options.jobs))


def _judge_solver(cells: Cells, judged: ad.AnnData, solver: dict[str, Any], n_jobs: int) -> Row:
    call = partial(_explain, cells.adata, method="adversarial", random_state=cells.seed, **solver)
    _, cost = measure(call)
    result = cells.adata.uns["speed"]
    diagnostics = result["diagnostics"]
    # Over cells, not over groups.
    flipped = np.average(diagnostics["flip_rate"], weights=diagnostics["n_cells"])
    return {
        "steps": solver.get("max_steps"),
        "seconds": cost.seconds,
        "peak_mb": cost.peak_mb,
        "flip_rate": float(flipped),
        "l1": float(diagnostics["l1"].mean()),
        "n_features": float(diagnostics["n_features"].mean()),
        **judge(judged, to_panels(cells.adata, result["names"]), 25, n_jobs, cells.seed),
    }


COMPARISONS = {
    "wilcoxon": compare_wilcoxon,
    "baselines": compare_baselines,
    "scale": compare_scale,
    "adversarial": compare_adversarial,
}


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer repeats, steps and cells")
    parser.add_argument("--only", nargs="+", choices=COMPARISONS, default=list(COMPARISONS))
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--steps", type=int, help="subgradient steps (published: 5000)")
    parser.add_argument("--sizes", nargs="+", type=int, help="numbers of cells")
    parser.add_argument("--jobs", type=int, default=-1, help="processes of the judge")
    parser.add_argument("--out", type=Path, help="JSON file; runs that it has are not repeated")
    parser.add_argument("--child", choices=("prepare", *CHILDREN), help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    quick = options.quick
    options.repeats = options.repeats or (2 if quick else 5)
    options.seeds = options.seeds or ([0] if quick else [0, 1, 2])
    options.steps = options.steps or (100 if quick else SUBGRADIENT_STEPS)
    options.sizes = options.sizes or (SCALES[:1] if quick else SCALES)
    options.out = options.out or RESULTS / ("quick" if quick else "") / "speed.json"
    return options


if __name__ == "__main__":
    main()
