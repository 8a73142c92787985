"""An experiment is a function and lists of data sets, protocols, settings, methods and seeds."""

import sys
import time
import tomllib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import ace
from benchmarks.core.data import available
from benchmarks.core.store import Table, Task, Values

FOLDER = Path(__file__).parents[1] / "experiments"


def settings(name: str) -> dict[str, Any]:
    """A file of ``experiments``."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))


GRIDS = settings("grids")


@dataclass(frozen=True)
class Entry:
    """A method as an experiment knows it. ``revision`` is raised when its numbers change."""

    run: Callable[..., Any] | None = None
    revision: str = "1"
    model: str | None = None  # trained before, which is not counted
    counts: bool = False  # reads layers["counts"]
    slow: bool = False  # run by name only
    baseline: bool = False  # not of this package


Block = dict[str, Any]


@dataclass(frozen=True)
class Experiment:
    """What is run, and how; the runs and the title are in ``experiments/grids.toml``."""

    name: str
    title: str
    run: Callable[[Task, Any, Any, bool], Values]  # task, method, what was prepared, quick
    methods: Callable[[], Mapping[str, Any]]  # by name, each with a ``revision``
    runs: Sequence[Block]  # lists, of which every combination is run
    quick: Sequence[Block] = ()  # the small form
    meant: Callable[[str, Any], bool] = lambda name, method: True  # in blocks that name none
    prepare: Callable[[Task], Any] | None = None  # what tasks of different methods share
    applies: Callable[[Task, Any], bool | str] = lambda task, method: True  # or why not
    files: Callable[[str], tuple[str, ...]] = lambda data: ()  # in ACE_DATA_DIR
    revision: int = 1  # raised when the protocol or its data change such that numbers do

    def blocks(self, quick: bool, **wanted: Sequence[Any] | None) -> list[Block]:
        """The blocks of a form, cut down to what the command line wants of each list."""
        known = self.methods()
        named = (
            known if wanted.get("methods") else filter(lambda n: self.meant(n, known[n]), known)
        )
        default = {"protocols": [""], "settings": [""], "methods": [*named], "seeds": [0, 1, 2]}
        blocks = [default | block for block in (self.quick if quick else self.runs)]
        for block in blocks:  # what is not installed is left out
            block["methods"] = [name for name in block["methods"] if name in known]
        for key, values in wanted.items():
            there = {value for block in blocks for value in block[key]}
            if unknown := set(values or ()) - there:
                kind = f"unknown {key} of {self.name}"
                sys.exit(f"{kind}: {sorted(unknown)}; there are {sorted(there)}")
            for block in blocks if values else ():
                block[key] = [value for value in block[key] if value in values]
        return blocks

    def tasks(self, blocks: Sequence[Block]) -> Iterator[Task]:
        """Every combination in each block; those that share what is prepared follow each other."""
        order = ("data", "protocols", "settings", "seeds", "methods")
        skipped = set()
        for block in blocks:
            for data, protocol, setting, seed, method in product(*(block[key] for key in order)):
                if missing := available(*self.files(data)):
                    skipped.add(f"{data}: {missing}")
                else:
                    yield Task(data, protocol, setting, method, seed)
        for reason in sorted(skipped):
            print(f"skipped {reason}", flush=True)


def experiment(name: str, run: Any, methods: Any, **options: Any) -> Experiment:
    """An experiment whose title and runs are in ``experiments/grids.toml``."""
    return Experiment(name, run=run, methods=methods, **(GRIDS[name] | options))


def run(experiment: Experiment, folder: Path, *, quick: bool = False, **wanted: Any) -> int:
    """Run what an experiment has not run yet; returns the number of failures."""
    methods, blocks = experiment.methods(), experiment.blocks(quick, **wanted)
    table, reasons, counts = Table(folder, experiment.name), set(), {"done": 0, "failed": 0}
    previous, prepared = None, None
    for task in experiment.tasks(blocks):
        method = methods[task.method]
        applies = experiment.applies(task, method)
        if isinstance(applies, str) and applies not in reasons:
            print(f"skipped {applies}", flush=True)
            reasons.add(applies)
        revision = f"{experiment.revision}.{method.revision}"
        if applies is not True or table.has(task, revision):
            continue
        start = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                shared = task._replace(method="")
                if experiment.prepare and shared != previous:
                    previous, prepared = None, None  # frees the memory first
                    prepared = experiment.prepare(shared)
                    previous = shared
                values = experiment.run(task, method, prepared, quick)
        except Exception as error:  # noqa: BLE001 (a failing method must not stop the others)
            print(f"FAILED {task}: {error!r}", file=sys.stderr)
            counts["failed"] += 1
            continue
        table.add(task, revision, values)
        counts["done"] += 1
        print(f"[{time.perf_counter() - start:.0f} s] {task}: {_shown(values)}", flush=True)
    print(f"{experiment.name}: {counts['done']} runs done, {counts['failed']} failed.", flush=True)
    return counts["failed"]


def _shown(values: Values, most: int = 8) -> str:
    told = {k: v for k, v in values.items() if isinstance(k, str) and isinstance(v, float | int)}
    return ", ".join(f"{k} {v:.4g}" for k, v in list(told.items())[:most])


def revision(*subjects: str) -> str:
    """Revisions of models (``"ACE"``) and methods (``"panel"``) of the package, joined by dots."""
    of_methods = ace.explain.methods().get("revision", {})
    found = [
        getattr(ace.model, name).revision if name in ace.model.__all__ else of_methods.get(name, 1)
        for name in subjects
    ]
    return ".".join(map(str, found))
