"""Results as JSON: a row per run, and what it ran on. A run whose row is there is not repeated."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

HERE = Path(__file__).parent
SOURCE = HERE.parent / "src" / "ace"
RESULTS = HERE / "results"

_PACKAGES = (
    "ace-sc anndata captum cosg nsforest numpy pandas pydeseq2 scanpy scikit-learn scipy "
    "scvi-tools torch"
).split()

Row = dict[str, Any]


class Results:
    """Rows of one JSON file.

    Parameters
    ----------
    path
        The file; read if it exists.
    keys
        Names of the fields that tell runs apart. A row with the same keys is replaced.
    """

    def __init__(self, path: Path, keys: tuple[str, ...]) -> None:
        self.path = path
        self.keys = keys
        rows = json.loads(path.read_text())["rows"] if path.exists() else []
        self._rows = {self._key(row): row for row in rows}

    def _key(self, row: Row) -> tuple[Any, ...]:
        return tuple(row.get(name) for name in self.keys)

    def _but_seed(self, row: Row) -> tuple[Any, ...]:
        return tuple(row.get(name) for name in self.keys if name != "seed")

    def get(self, row: Row) -> Row | None:
        """Give the row with these keys if it was made by the same code."""
        found = self._rows.get(self._key(row))
        return found if found and found.get("code") == row.get("code") else None

    def keep_only(self, field: str, known: Collection[str]) -> None:
        """Forget rows of what no longer exists; written with the next row."""
        self._rows = {key: row for key, row in self._rows.items() if row.get(field) in known}

    def add(self, row: Row) -> None:
        """Keep a row, on disk at once, and forget those of other seeds by other code.

        A mean over seeds must be of one thing.
        """
        other = [
            key
            for key, kept in self._rows.items()
            if kept.get("code") != row.get("code") and self._but_seed(kept) == self._but_seed(row)
        ]
        for key in other:
            del self._rows[key]
        self._rows[self._key(row)] = _rounded(row)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        ordered = sorted(self._rows.values(), key=lambda r: [str(k) for k in self._key(r)])
        lines = ",\n".join("  " + json.dumps(r, ensure_ascii=False) for r in ordered)
        head = json.dumps(environment(), ensure_ascii=False)
        unfinished = self.path.with_suffix(".tmp")
        unfinished.write_text(f'{{"environment": {head},\n"rows": [\n{lines}\n]}}\n')
        unfinished.replace(self.path)  # whole or not at all


def environment() -> dict[str, Any]:
    """Versions and the machine, as far as they bear on numbers and times."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "packages": versions,
    }


def code_key(*folders: str, files: tuple[str, ...] = ()) -> str:
    """Fingerprint of the code that a result depends on: folders of ``ace``, files here."""
    paths = [HERE / name for name in files]
    if folders:  # what all rooms use
        paths += sorted(SOURCE.glob("_*.py"))
    for folder in folders:
        paths += sorted((SOURCE / folder).rglob("*.py"))
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:10]


def _rounded(row: Row) -> Row:
    return {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}
