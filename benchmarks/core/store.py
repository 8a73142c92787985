"""Results as tidy tables: a CSV file per experiment, a row per value.

A run is identified by data, protocol, setting, method and seed, and was made by a revision: those
which the experiment, the model and the method declare, joined by dots. ``group`` is a group of
cells and ``at`` a number of genes, a gene or an index, where a value belongs to one. Arrays that
are only drawn (coordinates of cells, images) are stored beside the table in an NPZ file.
"""

import json
import os
import platform
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

RESULTS = Path(__file__).parents[1] / "results"
KEYS = ["data", "protocol", "setting", "method", "seed"]
COLUMNS = [*KEYS, "revision", "metric", "group", "at", "value"]
PACKAGES = (
    "ace-sc anndata captum cosg nsforest numpy pandas pydeseq2 scanpy scikit-learn scipy "
    "scvi-tools torch"
).split()
#: Numbers by ``"metric"`` or ``"metric@at"``, or by a pair of that and a group.
Values = dict[Any, Any]


class Task(NamedTuple):
    """What identifies a run."""

    data: str
    protocol: str = ""
    setting: str = ""
    method: str = ""
    seed: int = 0

    def __str__(self) -> str:
        """Everything but what is empty."""
        return ", ".join(str(part) for part in self if part != "")


class Table:
    """Results of one experiment, which can be read and added to."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self.path = name, Path(folder) / f"{name}.csv"
        self.frame = read(self.path)

    def has(self, task: Task, revision: str) -> bool:
        """Whether the table holds this run, made by this revision."""
        same = (self.frame[KEYS] == list(task)).all(axis=1) & (self.frame["revision"] == revision)
        return bool(same.any())

    def add(self, task: Task, revision: str, values: Values) -> None:
        """Write a run to disk."""
        values = dict(values)
        arrays = values.pop("arrays", {})
        # A mean over seeds must be of one revision.
        same_but_seed = (self.frame[KEYS[:-1]] == list(task[:-1])).all(axis=1)
        replaced = (self.frame["seed"] == task.seed) | (self.frame["revision"] != revision)
        rows = pd.DataFrame([(*task, revision, *row) for row in tidy(values)], columns=COLUMNS)
        self.frame = pd.concat([self.frame[~(same_but_seed & replaced)], rows])
        write(self.frame, self.path)
        if arrays:
            stored = _arrays(self.path)
            stored |= {"|".join([*map(str, task), k]): np.asarray(v) for k, v in arrays.items()}
            np.savez_compressed(self.path.with_suffix(".npz"), **stored)
        file = self.path.with_name("environment.json")
        machines = json.loads(file.read_text()) if file.exists() else {}
        machines[self.name] = environment()
        file.write_text(json.dumps(dict(sorted(machines.items())), indent=1) + "\n")


class Results:
    """The results of a folder, read when they are needed."""

    def __init__(self, folder: Path = RESULTS) -> None:
        self.folder = Path(folder)
        self._tidy = cache(lambda name: read(self.folder / f"{name}.csv"))
        self._wide = cache(lambda name: widened(self._tidy(name)))

    def rows(self, name: str, **where: Any) -> pd.DataFrame:
        """A row per run and a column per value (``auroc@18``), without empty columns."""
        found = _where(self._wide(name), where)
        return found.dropna(axis=1, how="all") if len(found) else found[[*KEYS, "revision"]]

    def values(self, name: str, **where: Any) -> pd.DataFrame:
        """The tidy table itself."""
        return _where(self._tidy(name), where)

    def arrays(self, name: str) -> dict[Task, dict[str, np.ndarray]]:
        """Arrays of each run that has some."""
        found: dict[Task, dict[str, np.ndarray]] = {}
        for key, array in _arrays(self.folder / f"{name}.csv").items():
            *parts, seed, name = key.split("|")
            found.setdefault(Task(*parts, seed=int(seed)), {})[name] = array
        return found

    def environments(self) -> dict[str, dict[str, Any]]:
        """What each experiment ran on, as of its last run."""
        file = self.folder / "environment.json"
        return json.loads(file.read_text()) if file.exists() else {}


def tidy(values: Values) -> list[tuple[str, str, str, float]]:
    """Metric, group, at and value of each number that is not missing."""
    rows = []
    for key, value in values.items():
        name, group = key if isinstance(key, tuple) else (key, "")
        metric, _, at = name.partition("@")
        if value is not None and not np.isnan(value):
            rows.append((metric, str(group), at, float(value)))
    return rows


def widened(frame: pd.DataFrame) -> pd.DataFrame:
    """A row per run, a column per value that belongs to no group."""
    own = frame[frame["group"] == ""]
    column = own["metric"].where(own["at"] == "", own["metric"] + "@" + own["at"])
    wide = own.assign(column=column).pivot(
        index=[*KEYS, "revision"], columns="column", values="value"
    )
    return wide.reset_index().rename_axis(columns=None)


def read(path: Path) -> pd.DataFrame:
    """A tidy table; empty if there is no file."""
    types = dict.fromkeys(COLUMNS, str) | {"seed": int, "value": float}
    if not path.exists():
        return pd.DataFrame({k: pd.Series(dtype=v) for k, v in types.items()})
    return pd.read_csv(path, dtype=types, keep_default_na=False)


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write a table, whole or not at all, ordered by run, with five decimals."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = frame.sort_values(KEYS, kind="stable")
    unfinished = path.with_suffix(".tmp")
    short = frame["value"].round(5).map("{:.12g}".format)
    frame.assign(value=short).to_csv(unfinished, index=False)
    unfinished.replace(path)


@cache
def environment() -> dict[str, Any]:
    """Versions and the machine, as far as they bear on numbers and times."""
    installed = {package.name: package.version for package in distributions()}
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": len(affinity(0)) if affinity else os.cpu_count(),
        "packages": {k: installed[k] for k in PACKAGES if k in installed},
    }


def _arrays(path: Path) -> dict[str, np.ndarray]:
    file = path.with_suffix(".npz")
    return dict(np.load(file, allow_pickle=False)) if file.exists() else {}


def _where(frame: pd.DataFrame, where: dict[str, Any]) -> pd.DataFrame:
    for key, value in where.items():
        frame = frame[frame[key] == value]
    return frame
