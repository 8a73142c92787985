"""Experiments on cost: explanations, epochs of training, label transfer, SCARE, and a GPU.

What is compared runs in one process and in turns; times are medians after a first call or epoch,
which compiles and loads. Memory is measured in a fresh process. A comparison is a function in the
table of its experiment at the end, by protocol; it is called with the task, its method and
whether the form is quick.
"""

import warnings
from functools import lru_cache, partial
from statistics import median
from typing import Any

import numpy as np

from benchmarks.core.data import SOURCES, files, log_normalise, pca, simulated_counts
from benchmarks.core.experiment import GRIDS, Entry, Experiment, experiment, revision
from benchmarks.core.measure import Cost, in_fresh_process, measure
from benchmarks.core.store import Task, Values
from benchmarks.experiments import scare_models, transfer
from benchmarks.experiments import speed_models as models
from benchmarks.experiments.rankings import TOP, judge, prepare
from benchmarks.methods.rankings import DEFAULT, KEY, Cells, explained, rankings

SIMULATED = "simulated counts"
#: Calls after the first, and seconds of a first call from which one more is enough.
REPEATS, LONG = 5, 10.0
STEPS, QUICK_STEPS = 5000, 100
SOLVERS = ("proximal", "subgradient")


def _summary(costs: list[Cost]) -> Values:
    """The first call apart, unless it is the only one: it compiles and loads."""
    later = [cost.seconds for cost in costs[1:] or costs]
    found = {"seconds": median(later), "seconds_first": costs[0].seconds}
    return found | {"peak_mb": max(cost.peak_mb for cost in costs)}


#: Beside each other, alone and on many cells; others are judged together.
COMPARED = {"ace.tl.explain": f"ace {DEFAULT}", "scanpy Wilcoxon": "Wilcoxon, by score"}


def _explanations() -> dict[str, Entry]:
    every = rankings()
    solvers = dict.fromkeys(SOLVERS, Entry(revision=revision("adversarial")))
    own = {name: r for name, r in every.items() if r.baseline or name == f"ace {DEFAULT}"}
    return {name: every[of] for name, of in COMPARED.items()} | solvers | own


def _fits(task: Task, method: Entry) -> bool:
    """Which methods take turns on the same cells."""
    if task.protocol == "wilcoxon":
        return task.method in COMPARED
    readable = SOURCES[task.data].counts or not method.counts
    return readable and task.method not in (*COMPARED, *SOLVERS)


@lru_cache(maxsize=1)
def _costs(task: Task, quick: bool) -> dict[str, list[Cost]]:
    """Costs of all methods, which take turns on the same cells."""
    cells, _ = prepare(task._replace(protocol=""))
    calls = {
        name: partial(method.run, cells)
        for name, method in _explanations().items()
        if _fits(task._replace(method=name), method)
    }
    costs: dict[str, list[Cost]] = {name: [] for name in calls}
    for number in range((2 if quick else REPEATS) + 1):
        for name, call in calls.items():
            slow = number > 0 and costs[name][0].seconds > LONG
            if not slow or (number == 1 and not quick):
                costs[name].append(measure(call)[1])
    return costs


def _same_cells(task: Task, method: Entry, quick: bool) -> Values:
    return _summary(_costs(task._replace(method=""), quick)[task.method])


def _many_cells(task: Task, method: Entry, quick: bool) -> Values:
    # Wilcoxon takes minutes on the large matrix: one call after the first is enough.
    ours = task.method == "ace.tl.explain"
    n_calls = 1 + (1 if not ours else 2 if quick else REPEATS)
    return in_fresh_process(_on_many_cells, task.method, int(task.setting), n_calls)


def _on_many_cells(name: str, size: int, n_calls: int) -> Values:
    """Prepare the cells and call a method on them; run in a fresh process."""
    warnings.simplefilter("ignore")
    adata = log_normalise(simulated_counts(size))
    del adata.layers["counts"]
    cells, method = Cells(pca(adata), 0), _explanations()[name]
    costs = [measure(partial(method.run, cells))[1] for _ in range(n_calls)]
    return models.matrix(adata.X) | _summary(costs)


def _solver(task: Task, method: Entry, quick: bool) -> Values:
    """A solver on half of the cells, its panels judged on the other."""
    cells, judged = prepare(task._replace(protocol="held-out"))
    steps = QUICK_STEPS if quick else STEPS
    options = {} if task.method == "proximal" else {"max_steps": steps}
    options |= {"method": "adversarial", "random_state": task.seed}
    panels, cost = measure(partial(explained, cells.adata, solver=task.method, **options))
    found = cells.adata.uns[KEY]["diagnostics"]
    return {
        "steps": options.get("max_steps"),
        **cost._asdict(),
        # Over cells, not over groups.
        "flip_rate": np.average(found["flip_rate"], weights=found["n_cells"]),
        "l1": found["l1"].mean(),
        "n_features": found["n_features"].mean(),
        **judge(judged, panels, TOP, 25, task.seed, nested=False),
    }


def _experiment(name: str, calls: dict[str, Any], methods: Any, **grid: Any) -> Experiment:
    def run(task: Task, method: Any, prepared: None, quick: bool) -> Values:
        call = calls.get(task.protocol) or calls[""]
        return call(task, method, quick)

    return experiment(name, run, methods, **({"files": files} | grid))


SPEED = _experiment(
    "speed",
    {"scale": _many_cells, "adversarial": _solver, "": _same_cells},
    _explanations,
    meant=lambda name, method: name not in (*COMPARED, *SOLVERS),
    applies=lambda task, method: task.protocol != "baselines" or _fits(task, method),
)
TRAIN_SPEED = _experiment(
    "train_speed",
    {"": models.against_a_loop},
    lambda: {
        "KRATOS.train": Entry(models.kratos_loop, revision("KRATOS")),
        "ACE.train": Entry(models.ace_loop, revision("ACE")),
    },
)
TRANSFER_SPEED = _experiment(
    "transfer_speed", {"task": models.task, "memory": models.memory}, transfer.methods
)
SCARE_SPEED = _experiment(
    "scare_speed",
    {"epoch": models.scare_epochs, "fssf": models.fssf, "memory": models.memory},
    lambda: scare_models.METHODS,
    files=lambda data: scare_models.files(data) if data in scare_models.FILES else (),
)
GPU = _experiment(
    "gpu",
    {"": models.on_device},
    lambda: {name: Entry(revision=revision(name)) for name in models.ON_GPU},
    applies=lambda task, method: len(models.devices()) > 1 or "gpu: torch finds no GPU",
    **{
        form: [block | {"protocols": [*models.devices()]} for block in GRIDS["gpu"][form]]
        for form in ("runs", "quick")
    },
)
