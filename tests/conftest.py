"""Shared fixtures: real cells, the folder of larger data sets, and a fixed seed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import matplotlib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from hypothesis import settings

# Set before pyplot is imported, so that no test opens a window.
matplotlib.use("Agg")

# Use the same examples in every run, so that unrelated changes do not fail.
# To search for new failures: pytest --hypothesis-profile=explore.
settings.register_profile("reproducible", derandomize=True)
settings.register_profile("explore", max_examples=1000)
settings.load_profile("reproducible")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from anndata import AnnData


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Seed the global random states, so that tests do not depend on their order."""
    np.random.seed(0)  # noqa: NPY002 (dependencies use the global state)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _no_open_figures() -> Iterator[None]:
    """Close all figures, because matplotlib warns beyond 20, and warnings are errors."""
    yield
    from matplotlib import pyplot as plt

    plt.close("all")


@pytest.fixture(scope="session")
def _pbmc_original() -> AnnData:
    import ace

    return ace.datasets.pbmc68k_reduced()


@pytest.fixture
def pbmc(_pbmc_original: AnnData) -> AnnData:
    """700 real blood cells with counts and log-normalised X; a copy for each test."""
    return _pbmc_original.copy()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real data, ``ACE_DATA_DIR``; tests that need it are skipped if it is not set."""
    value = os.environ.get("ACE_DATA_DIR")
    if not value:
        pytest.skip("needs real data: set ACE_DATA_DIR to the folder that holds it")
    folder = Path(value)
    if not folder.is_dir():
        pytest.skip(f"needs real data: ACE_DATA_DIR={value} is not a folder")
    return folder


# -- contents of objects ----------------------------------------------------------------------

PLACES = ("X", "layers", "obs", "var", "uns", "obsm", "varm", "obsp", "varp")


def contents(value: Any, *, exact: bool) -> Any:
    """Convert an object to nested Python values; ``exact`` includes their types."""
    if isinstance(value, ad.AnnData):
        found = {place: contents(getattr(value, place), exact=exact) for place in PLACES}
    elif isinstance(value, Mapping):
        found = {key: contents(item, exact=exact) for key, item in value.items()}
    elif isinstance(value, pd.DataFrame):
        columns = {str(k): contents(v.array, exact=exact) for k, v in value.items()}
        named = [value.index.name, value.columns.name] if exact else []
        found = {"columns": columns, "index": [str(i) for i in value.index], "names": named}
    elif isinstance(value, pd.Categorical):
        found = [contents(value.categories, exact=exact), value.codes.tolist(), value.ordered]
    elif sp.issparse(value):
        found = contents(value.toarray(), exact=exact)
    elif isinstance(value, np.ndarray) and value.dtype.names:
        found = {name: contents(value[name], exact=exact) for name in value.dtype.names}
    elif isinstance(value, list | tuple) or getattr(value, "shape", ()):
        array = np.asarray(value)
        if array.dtype.kind in "iufb":
            found = (array.shape, array.astype(np.float64).tobytes())
        else:
            found = [contents(item, exact=exact) for item in array.tolist()]
    elif isinstance(value, float | np.floating) and np.isnan(value):
        found = "NaN"
    else:
        found = value.item() if isinstance(value, np.generic) else value
    return (type(value), str(getattr(value, "dtype", "")), found) if exact else found


@pytest.fixture(scope="session")
def snapshot() -> Callable[[ad.AnnData], Any]:
    """Copy the contents of an object, to compare them after a call."""
    return partial(contents, exact=True)


@pytest.fixture(scope="session")
def survives_files() -> Callable[..., ad.AnnData]:
    """Check that an object is unchanged by Zarr and h5ad; return the one read from h5ad."""

    def check(adata: ad.AnnData, formats: Sequence[str] = ("zarr", "h5ad")) -> ad.AnnData:
        before = contents(adata, exact=False)
        for name in formats:
            with tempfile.TemporaryDirectory() as folder:
                getattr(adata, f"write_{name}")(f"{folder}/x.{name}")
                read = getattr(ad, f"read_{name}")(f"{folder}/x.{name}")
            assert contents(read, exact=False) == before
        return read

    return check
