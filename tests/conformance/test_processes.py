"""Distributed training in two processes ends with the same model in both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.conformance.conftest import ModelCase

SCRIPT = Path(__file__).with_name("two_processes.py")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the final models of both processes."""
    folder = tmp_path_factory.mktemp("processes")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)], capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def read(folder: Path, name: str) -> list[dict[str, np.ndarray]]:
    return [dict(np.load(folder / f"{name} {rank}.npz")) for rank in (0, 1)]


def test_processes_agree(case: ModelCase, folder: Path) -> None:
    first, second = read(folder, case.name)
    assert np.isfinite(first["outputs"]).all()
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)
    assert len(first["history_train_loss"]) == 2
    assert f"history_{case.validation_metric}" in first


def test_two_processes_equal_one(folder: Path) -> None:
    """Minibatches are the same, so without other randomness only rounding errors differ."""
    two, one = read(folder, "no dropout in two")[0], read(folder, "no dropout in one")[0]
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


def test_no_temporary_files_remain(folder: Path) -> None:
    assert {path.suffix for path in folder.iterdir()} == {".npz"}
