"""Experiment on the cost of explanations: seconds and memory.

What is compared runs in one process and in turns; times are medians after a first call or epoch,
which compiles and loads. Memory is measured in a fresh process.
"""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from statistics import median
from typing import Any

import anndata as ad
import numpy as np
import scanpy as sc
from scipy import sparse

import ace
from benchmarks.core.data import (
    GROUP,
    SOURCES,
    files,
    load,
    log_normalise,
    simulated_counts,
)
from benchmarks.core.experiment import Entry, Experiment, revision
from benchmarks.core.measure import Cost, measure
from benchmarks.core.store import Task, Values
from benchmarks.experiments.rankings import judge, prepare
from benchmarks.methods.rankings import DEFAULT, Ranking, rankings, to_panels

SIMULATED = "simulated counts"
#: Calls after the first, and seconds of a first call from which one more is enough.
REPEATS, LONG = 5, 10.0
STEPS, QUICK_STEPS = 5000, 100
KEY = "speed"


def in_fresh_process(call: Callable[..., Any], *arguments: Any) -> Any:
    """A call whose process holds nothing else."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(call, *arguments).result()


def megabytes(X: sparse.csr_matrix) -> float:
    """Size of a sparse matrix."""
    return (X.data.nbytes + X.indices.nbytes + X.indptr.nbytes) / 1024**2


def _summary(costs: list[Cost]) -> Values:
    """The first call apart, unless it is the only one: it compiles and loads."""
    later = [cost.seconds for cost in costs[1:] or costs]
    return {
        "seconds": median(later),
        "seconds_first": costs[0].seconds,
        "peak_mb": max(cost.peak_mb for cost in costs),
        **{f"seconds_all@{i}": seconds for i, seconds in enumerate(later)},
    }


# -- explanations ---------------------------------------------------------------------------------


def explain(adata: ad.AnnData, **options: Any) -> None:
    """The default method, or others by options."""
    ace.tl.explain(adata, GROUP, key_added=KEY, progress=False, **options)


def _wilcoxon(adata: ad.AnnData) -> None:
    sc.tl.rank_genes_groups(adata, GROUP, method="wilcoxon", use_raw=False, key_added=KEY)


CALLS = {"ace.tl.explain": explain, "scanpy Wilcoxon": _wilcoxon}


@lru_cache(maxsize=1)
def _in_turns(protocol: str, data: str, quick: bool) -> dict[str, list[Cost]]:
    """Costs of all methods, which take turns on the same cells."""
    if protocol == "wilcoxon":
        adata = load(data)
        sc.pp.pca(adata, random_state=0)
        calls: dict[str, Callable[[], Any]] = {k: partial(v, adata) for k, v in CALLS.items()}
    else:
        cells, _ = prepare(Task(data))
        calls = {
            name: partial(method.rank, cells)
            for name, method in _explanations().items()
            if isinstance(method, Ranking) and (SOURCES[data].counts or not method.counts)
        }
    costs: dict[str, list[Cost]] = {name: [] for name in calls}
    for number in range((2 if quick else REPEATS) + 1):
        for name, call in calls.items():
            slow = number > 0 and costs[name][0].seconds > LONG
            if not slow or (number == 1 and not quick):
                costs[name].append(measure(call)[1])
    return costs


def _on_many_cells(name: str, size: int, repeats: int) -> Values:
    """Prepare the cells and call a function on them; run in a fresh process."""
    warnings.simplefilter("ignore")
    adata = log_normalise(simulated_counts(size))
    del adata.layers["counts"]
    sc.pp.pca(adata, random_state=0)
    # Wilcoxon takes minutes on the large matrix: one call after the first is enough.
    n_calls = (repeats if name == "ace.tl.explain" else 1) + 1
    costs = [measure(partial(CALLS[name], adata))[1] for _ in range(n_calls)]
    density = adata.X.nnz / np.prod(adata.shape)
    return {"matrix_mb": megabytes(adata.X), "density": density} | _summary(costs)


def _solver(task: Task, quick: bool) -> Values:
    """A solver on half of the cells, its panels judged on the other."""
    cells, judged = prepare(task._replace(protocol="held-out"))
    steps = QUICK_STEPS if quick else STEPS
    options = {} if task.method == "proximal" else {"max_steps": steps}
    options |= {"method": "adversarial", "random_state": task.seed}
    _, cost = measure(partial(explain, cells.adata, solver=task.method, **options))
    result = cells.adata.uns[KEY]
    found = result["diagnostics"]
    panels = to_panels(cells.adata, result["names"])
    return {
        "steps": options.get("max_steps"),
        "seconds": cost.seconds,
        "peak_mb": cost.peak_mb,
        # Over cells, not over groups.
        "flip_rate": np.average(found["flip_rate"], weights=found["n_cells"]),
        "l1": found["l1"].mean(),
        "n_features": found["n_features"].mean(),
        **judge(judged, panels, (3, 5, 10, 18), 25, task.seed, nested=False),
    }


def _speed(task: Task, method: Any, prepared: None, quick: bool) -> Values:
    if task.protocol in ("wilcoxon", "baselines"):
        return _summary(_in_turns(task.protocol, task.data, quick)[task.method])
    if task.protocol == "scale":
        repeats = 2 if quick else REPEATS
        return in_fresh_process(_on_many_cells, task.method, int(task.setting), repeats)
    return _solver(task, quick)


def _explanations() -> dict[str, Any]:
    ours = {"ace.tl.explain": Entry(revision=revision(DEFAULT)), "scanpy Wilcoxon": Entry()}
    solvers = dict.fromkeys(("proximal", "subgradient"), Entry(revision=revision("adversarial")))
    names = {name: r for name, r in rankings().items() if r.baseline or name == f"ace {DEFAULT}"}
    return ours | solvers | names


def _has_speed(task: Task, method: Any) -> bool:
    """Which methods belong to which comparison."""
    if task.protocol == "adversarial":
        return task.method in ("proximal", "subgradient")
    if task.protocol == "baselines":
        fits = isinstance(method, Ranking) and (SOURCES[task.data].counts or not method.counts)
        return fits and task.seed == 0
    return task.method in CALLS and task.seed == 0


COMPARISONS = {
    "pbmc3k_processed": ("wilcoxon",),
    "pbmc3k": ("baselines", "adversarial"),
    "pbmc68k": ("wilcoxon", "baselines"),
    SIMULATED: ("scale",),
}
SPEED = Experiment(
    "speed",
    "Cost of an explanation beside Wilcoxon, all baselines, more cells and the published solver.",
    _speed,
    _explanations,
    data=("pbmc3k_processed", "pbmc3k", SIMULATED),
    protocols=COMPARISONS.__getitem__,
    settings=lambda data: ("10000", "100000") if data == SIMULATED else ("",),
    applies=lambda task, method: (
        _has_speed(task, method) and (task.data == SIMULATED) == bool(task.setting)
    ),
    quick={"data": ("pbmc68k", SIMULATED), "settings": ("", "10000"), "seeds": (0,)},
    files=lambda data: () if data == SIMULATED else files(data),
)
