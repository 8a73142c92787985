"""An experiment is a grid of data sets, protocols, settings, methods and seeds, and a function."""

import sys
import time
import tomllib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import ace
from benchmarks.core.data import available
from benchmarks.core.store import Table, Task, Values

FOLDER = Path(__file__).parents[1] / "experiments"
#: The values of a dimension, or what gives those of a data set.
Choices = Iterable[str] | Mapping[str, Iterable[str]] | Callable[[str], Iterable[str]]


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
    slow: bool = False  # run by name only, or with fewer seeds
    random: bool = True  # depends on the seed, the cells being the same
    baseline: bool = False  # not of this package


@dataclass(frozen=True)
class Experiment:
    """What is run, and how; grid and title are in ``experiments/grids.toml``."""

    name: str
    title: str
    run: Callable[[Task, Any, Any, bool], Values]  # task, method, what was prepared, quick
    methods: Callable[[], Mapping[str, Any]]  # by name, each with a ``revision``
    data: Iterable[str]
    protocols: Choices = ("",)
    settings: Choices = ("",)
    seeds: Iterable[int] = (0, 1, 2)
    meant: Callable[[str, Any], bool] = lambda name, method: True  # to be run if none is named
    prepare: Callable[[Task], Any] | None = None  # what tasks of different methods share
    applies: Callable[[Task, Any], bool | str] = lambda task, method: True  # or why not
    quick: Mapping[str, Any] = field(default_factory=dict)  # fields of the quick form
    files: Callable[[str], tuple[str, ...]] = lambda data: ()  # in ACE_DATA_DIR
    revision: int = 1  # raised when the protocol or its data change such that numbers do

    def chosen(self, quick: bool, **given: Any) -> tuple[Self, list[str] | None]:
        """The experiment of a form with what the command line names, and the methods' names."""
        changes = dict(self.quick) if quick else {}
        changes |= {name: tuple(values) for name, values in given.items() if values}
        methods = changes.pop("methods", None)
        return replace(self, **changes), methods

    def tasks(self, methods: Mapping[str, Any]) -> Iterator[Task]:
        """Every combination that is possible; those of one setting follow each other."""
        for data in self.data:
            missing = available(*self.files(data))
            if missing:
                print(f"skipped {data}: {missing}", flush=True)
                continue
            for protocol in _choices(self.protocols, data):
                for setting in _choices(self.settings, data):
                    for seed in self.seeds:
                        for method in methods:
                            yield Task(data, protocol, setting, method, seed)


def _choices(values: Any, data: str) -> Iterable[str]:
    if isinstance(values, Mapping):
        return values[data]
    return values(data) if callable(values) else values


def experiment(name: str, run: Any, methods: Any, **options: Any) -> Experiment:
    """An experiment whose title and grid are in ``experiments/grids.toml``."""
    return Experiment(name, run=run, methods=methods, **(GRIDS[name] | options))


def run(experiment: Experiment, folder: Path, *, quick: bool = False, **given: Any) -> int:
    """Run what an experiment has not run yet; returns the number of failures."""
    experiment, names = experiment.chosen(quick, **given)
    known = experiment.methods()
    names = names or [name for name, method in known.items() if experiment.meant(name, method)]
    if unknown := sorted(set(names) - set(known)):
        if not quick or given.get("methods"):
            sys.exit(f"unknown methods {unknown}; there are {sorted(known)}")
    methods = {name: known[name] for name in names if name in known}
    table, reasons, counts = Table(folder, experiment.name), set(), {"done": 0, "failed": 0}
    previous, prepared = None, None
    for task in experiment.tasks(methods):
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
