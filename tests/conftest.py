"""What every test may use: real cells, the folder of larger data sets, and a fixed seed."""

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

# Before anything imports pyplot: no test opens a window.
matplotlib.use("Agg")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


# -- what an object holds ---------------------------------------------------------------------

PLACES = ("X", "layers", "obs", "var", "uns", "obsm", "varm", "obsp", "varp")


def contents(value: Any, *, exact: bool) -> Any:
    """Everything that is in an object, deeply, as plain Python; ``exact``: with its types."""
    if isinstance(value, ad.AnnData):
        # An empty place of a lazily made mapping is no content.
        found = {place: contents(getattr(value, place), exact=exact) for place in PLACES}
    elif isinstance(value, Mapping):
        found = {key: contents(item, exact=exact) for key, item in value.items()}
        found = found if exact else dict(sorted(found.items()))
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
    elif isinstance(
        value, np.ndarray | pd.Index | list | tuple | pd.api.extensions.ExtensionArray
    ):
        found = [contents(item, exact=exact) for item in np.asarray(value).tolist()]
    elif isinstance(value, float) and np.isnan(value):
        found = "NaN"
    else:
        found = value.item() if isinstance(value, np.generic) else value
    return (type(value), str(getattr(value, "dtype", "")), found) if exact else found


@pytest.fixture(scope="session")
def snapshot() -> Callable[[ad.AnnData], Any]:
    """Everything that is in an object, to be compared with what is there after a call."""
    return partial(contents, exact=True)


@pytest.fixture(scope="session")
def survives_files() -> Callable[[ad.AnnData], ad.AnnData]:
    """Check that an object comes back from h5ad and from Zarr as it was; give the former."""

    def check(adata: ad.AnnData) -> ad.AnnData:
        before = contents(adata, exact=False)
        with tempfile.TemporaryDirectory() as folder:
            adata.write_zarr(f"{folder}/x.zarr")
            assert contents(ad.read_zarr(f"{folder}/x.zarr"), exact=False) == before
            adata.write_h5ad(f"{folder}/x.h5ad")
            read = ad.read_h5ad(f"{folder}/x.h5ad")
        assert contents(read, exact=False) == before
        return read

    return check
