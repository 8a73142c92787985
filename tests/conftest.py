"""What every test may use: real cells, the folder of larger data sets, and a fixed seed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
import pytest
import torch

# Before anything imports pyplot: no test opens a window.
matplotlib.use("Agg")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Start every test from the same state, whichever ran before it."""
    np.random.seed(0)  # noqa: NPY002 (libraries below us draw from the global state)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _no_open_figures() -> Iterator[None]:
    """Close what a test drew: matplotlib warns beyond twenty figures, and warnings are errors."""
    yield
    from matplotlib import pyplot as plt

    plt.close("all")


@pytest.fixture(scope="session")
def _pbmc_original() -> AnnData:
    import ace

    return ace.datasets.pbmc68k()


@pytest.fixture
def pbmc(_pbmc_original: AnnData) -> AnnData:
    """700 real blood cells with counts and log-normalised X; a copy for each test."""
    return _pbmc_original.copy()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data named by ``ACE_DATA_DIR``; tests that need it skip without it."""
    value = os.environ.get("ACE_DATA_DIR")
    if not value:
        pytest.skip("needs real data: set ACE_DATA_DIR to the folder that holds it")
    folder = Path(value)
    if not folder.is_dir():
        pytest.skip(f"needs real data: ACE_DATA_DIR={value} is not a folder")
    return folder
