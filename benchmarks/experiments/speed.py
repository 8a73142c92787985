"""Experiments on cost: explanations, epochs of training, label transfer, SCARE, and a GPU.

What is compared runs in one process and in turns; times are medians after a first call or epoch,
which compiles and loads. Memory is measured in a fresh process. A comparison is a function in the
table of its experiment at the end, by protocol; it is called with the task, its method and
whether the form is quick.
"""

import warnings
from collections.abc import Callable
from functools import lru_cache, partial
from statistics import median
from typing import Any

import anndata as ad
import numpy as np
import scanpy as sc

import ace
from benchmarks.core.data import GROUP, SOURCES, files, load, log_normalise, simulated_counts
from benchmarks.core.experiment import Entry, Experiment, experiment, revision
from benchmarks.core.measure import Cost, in_fresh_process, measure
from benchmarks.core.store import Task, Values
from benchmarks.experiments import scare_models, transfer, transfer_cells
from benchmarks.experiments import speed_models as models
from benchmarks.experiments.rankings import judge, prepare
from benchmarks.methods.rankings import DEFAULT, rankings, to_panels

SIMULATED = "simulated counts"
#: Calls after the first, and seconds of a first call from which one more is enough.
REPEATS, LONG = 5, 10.0
STEPS, QUICK_STEPS = 5000, 100
KEY = "speed"


def _summary(costs: list[Cost]) -> Values:
    """The first call apart, unless it is the only one: it compiles and loads."""
    later = [cost.seconds for cost in costs[1:] or costs]
    found = {"seconds": median(later), "seconds_first": costs[0].seconds}
    found["peak_mb"] = max(cost.peak_mb for cost in costs)
    return found | {f"seconds_all@{i}": seconds for i, seconds in enumerate(later)}


# -- explanations ---------------------------------------------------------------------------------


def explain(adata: ad.AnnData, **options: Any) -> None:
    """The default method, or others by options."""
    ace.tl.explain(adata, GROUP, key_added=KEY, progress=False, **options)


def _wilcoxon(adata: ad.AnnData) -> None:
    sc.tl.rank_genes_groups(adata, GROUP, method="wilcoxon", use_raw=False, key_added=KEY)


CALLS = {"ace.tl.explain": explain, "scanpy Wilcoxon": _wilcoxon}


@lru_cache(maxsize=1)
def _costs(protocol: str, data: str, quick: bool) -> dict[str, list[Cost]]:
    """Costs of all methods, which take turns on the same cells."""
    if protocol == "wilcoxon":
        adata = load(data)
        sc.pp.pca(adata, random_state=0)
        calls: dict[str, Callable[[], Any]] = {k: partial(v, adata) for k, v in CALLS.items()}
    else:
        cells, _ = prepare(Task(data))
        calls = {
            name: partial(method.run, cells)
            for name, method in _explanations().items()
            if method.run and (SOURCES[data].counts or not method.counts)
        }
    costs: dict[str, list[Cost]] = {name: [] for name in calls}
    for number in range((2 if quick else REPEATS) + 1):
        for name, call in calls.items():
            slow = number > 0 and costs[name][0].seconds > LONG
            if not slow or (number == 1 and not quick):
                costs[name].append(measure(call)[1])
    return costs


def _same_cells(task: Task, method: Any, quick: bool) -> Values:
    return _summary(_costs(task.protocol, task.data, quick)[task.method])


def _many_cells(task: Task, method: Any, quick: bool) -> Values:
    return in_fresh_process(
        _on_many_cells, task.method, int(task.setting), 2 if quick else REPEATS
    )


def _on_many_cells(name: str, size: int, repeats: int) -> Values:
    """Prepare the cells and call a function on them; run in a fresh process."""
    warnings.simplefilter("ignore")
    adata = log_normalise(simulated_counts(size))
    del adata.layers["counts"]
    sc.pp.pca(adata, random_state=0)
    # Wilcoxon takes minutes on the large matrix: one call after the first is enough.
    n_calls = (repeats if name == "ace.tl.explain" else 1) + 1
    return models.matrix(adata.X) | _summary(
        [measure(partial(CALLS[name], adata))[1] for _ in range(n_calls)]
    )


def _solver(task: Task, method: Any, quick: bool) -> Values:
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
        **cost._asdict(),
        # Over cells, not over groups.
        "flip_rate": np.average(found["flip_rate"], weights=found["n_cells"]),
        "l1": found["l1"].mean(),
        "n_features": found["n_features"].mean(),
        **judge(judged, panels, (3, 5, 10, 18), 25, task.seed, nested=False),
    }


def _explanations() -> dict[str, Any]:
    ours = {"ace.tl.explain": Entry(revision=revision(DEFAULT)), "scanpy Wilcoxon": Entry()}
    solvers = dict.fromkeys(("proximal", "subgradient"), Entry(revision=revision("adversarial")))
    names = {name: r for name, r in rankings().items() if r.baseline or name == f"ace {DEFAULT}"}
    return ours | solvers | names


def _has_speed(task: Task, method: Any) -> bool:
    """Which methods belong to which comparison."""
    if (task.data == SIMULATED) != bool(task.setting):
        return False
    if task.protocol == "adversarial":
        return task.method in ("proximal", "subgradient")
    if task.protocol == "baselines":
        fits = bool(method.run) and (SOURCES[task.data].counts or not method.counts)
        return fits and task.seed == 0
    return task.method in CALLS and task.seed == 0


# -- the experiments ------------------------------------------------------------------------------


def _experiment(name: str, calls: dict[str, Any], methods: Any, **grid: Any) -> Experiment:
    def run(task: Task, method: Any, prepared: None, quick: bool) -> Values:
        call = calls.get(task.protocol) or calls[""]
        return call(task, method, quick)

    return experiment(name, run, methods, **({"files": _files} | grid))


def _files(data: str) -> tuple[str, ...]:
    return files(data) if data in SOURCES else ()


SPEED = _experiment(
    "speed",
    {"scale": _many_cells, "adversarial": _solver, "": _same_cells},
    _explanations,
    applies=_has_speed,
)
TRAIN_SPEED = _experiment(
    "train_speed",
    {"": models.against_a_loop},
    lambda: {
        "KRATOS.train": Entry(models.kratos_loop, revision("KRATOS")),
        "ACE.train": Entry(models.ace_loop, revision("ACE")),
    },
)
TIMED = (transfer_cells.OURS, transfer_cells.LOGISTIC, "SCANVI")


TRANSFER_SPEED = _experiment(
    "transfer_speed",
    {"task": models.task, "memory": models.memory},
    transfer.methods,
    applies=lambda task, method: (
        task.method in TIMED
        and (task.protocol == "task" or (task.method == transfer_cells.OURS and task.seed == 0))
    ),
)
SCARE_SPEED = _experiment(
    "scare_speed",
    {"epoch": models.scare_epochs, "fssf": models.fssf, "memory": models.memory},
    lambda: {name: scare_models.METHODS[name] for name in (scare_models.OURS, scare_models.PLAIN)},
    applies=lambda task, method: (
        (task.data == SIMULATED) == (task.protocol == "memory")
        and (task.protocol == "epoch") == (task.setting == "")
        and (task.protocol == "fssf" or task.method == scare_models.OURS)
        and (task.protocol == "epoch" or task.seed == 0)
    ),
    files=lambda data: (*_files(data), scare_models.GO_FILE) if data == "kang" else (),
)
GPU = _experiment(
    "gpu",
    {
        "": lambda task, method, quick: models.compared(task.data, task.method, task.seed, quick)[
            task.protocol
        ]
    },
    lambda: {name: Entry(revision=revision(name)) for name in models.ON_GPU},
    protocols=lambda data: tuple(models.devices()),
    applies=lambda task, method: len(models.devices()) > 1 or "gpu: torch finds no GPU",
)
