"""Check AnnData and MuData arguments; find the AnnData to read and the one to write to."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData, Raw

from ace._listed import listed

if TYPE_CHECKING:
    from typing import TypeGuard

    from mudata import MuData

#: Function that reads each type of file, for messages.
_READERS = {
    ".h5ad": "anndata.read_h5ad",
    ".h5mu": "mudata.read_h5mu",
    ".zarr": "anndata.read_zarr",
    ".loom": "anndata.io.read_loom",
    ".h5": "scanpy.read_10x_h5",
}


def is_mudata(value: Any) -> TypeGuard[MuData]:
    """Whether a value is a MuData; avoids importing mudata, which is slow."""
    mudata = sys.modules.get("mudata")
    return mudata is not None and isinstance(value, mudata.MuData)


def annotated(adata: Any, name: str = "adata", *, reads_matrix: bool = True) -> AnnData:
    """Return ``adata`` if its matrix and columns can be read; otherwise raise.

    Parameters
    ----------
    adata
        Object passed by the user.
    name
        Name of the argument, for messages.
    reads_matrix
        Whether anything besides ``obs``, ``var`` and ``uns`` is read.

    Raises
    ------
    TypeError
        If it is not an AnnData.
    ValueError
        If it was opened lazily, or is a view of an AnnData on disk.
    """
    if not isinstance(adata, AnnData):
        raise TypeError(f"{name} must be an AnnData, got {_what(adata, name)}")
    if not isinstance(adata.obs, pd.DataFrame) or not isinstance(adata.var, pd.DataFrame):
        raise ValueError(
            f"{name} was opened with anndata.experimental.read_lazy, and its obs and var are not "
            f"in memory. Load it first, `{name} = {name}.to_memory()`, or open it with "
            "`anndata.read_h5ad(path, backed='r')`."
        )
    if reads_matrix and adata.is_view and adata.isbacked:
        # anndata cannot slice such a view, and would read the whole matrix.
        raise ValueError(
            f"{name} is a view of an AnnData on disk, which cannot be read. Pass the full object "
            "(models read the rows given by indices=...), or load the view, "
            f"`{name} = {name}.to_memory()`."
        )
    return adata


def _what(value: Any, name: str) -> str:
    """Describe what was passed instead of an AnnData, and how to convert it."""
    if isinstance(value, str | os.PathLike):
        path = os.fspath(value)
        ending = os.path.splitext(str(path).rstrip("/"))[1]
        if ending in _READERS or os.path.exists(path):
            reader = _READERS.get(ending, "anndata.read_h5ad")
            return f"the path {path!r}. Read the file first: `{name} = {reader}({path!r})`."
        return f"{value!r}. Pass the AnnData first, and the column of obs as groupby={value!r}."
    if is_mudata(value):
        return (
            f"a MuData with the modalities {listed(value.mod)}. Pass the AnnData of one of them, "
            f"`mdata.mod[{next(iter(value.mod), 'rna')!r}]`."
        )
    if isinstance(value, Raw):
        return f"the raw attribute of one. Convert it: `{name}.raw.to_adata()`."
    if isinstance(value, pd.DataFrame | np.ndarray):
        return (
            f"{type(value).__name__}. Convert it, with cells in rows and genes in columns: "
            "`anndata.AnnData(...)`."
        )
    return f"{value!r}." if value is None else f"{type(value).__name__}."


@dataclass(frozen=True)
class Cells:
    """Cells passed to a function of :mod:`ace.tl`.

    Parameters
    ----------
    adata
        AnnData to read. For a MuData, it shares the matrices of one modality, and its ``obs`` also
        has the columns of the MuData.
    written
        AnnData to write to: the one passed, or that of the modality.
    whole
        Object passed by the user.
    modality
        Name of the modality, ``None`` for an AnnData.
    """

    adata: AnnData
    written: AnnData
    whole: Any
    modality: str | None = None

    def column(self, name: Any) -> Any:
        """Resolve a prefixed column name of a MuData to the column of the modality.

        mudata calls the copy of ``mdata.mod["rna"].obs["leiden"]`` ``mdata.obs["rna:leiden"]``.
        """
        prefix = f"{self.modality}:"
        if self.modality is None or not isinstance(name, str) or not name.startswith(prefix):
            return name
        own, obs = name.removeprefix(prefix), self.adata.obs
        if own not in obs:
            return name
        copied = obs[name] if name in obs else obs[own]
        return own if copied.astype(object).equals(obs[own].astype(object)) else name

    def copied(self) -> Cells:
        """Return the same cells, with results written to a copy of the user's object."""
        whole = self.whole.copy()
        written = whole if self.modality is None else whole.mod[self.modality]
        return Cells(self.adata, written, whole, self.modality)


def cells_of(adata: Any, modality: str | None, *, model: Any = None, name: str = "adata") -> Cells:
    """Return the cells of an AnnData, or of one modality of a MuData.

    Parameters
    ----------
    adata
        AnnData or MuData.
    modality
        Name of the modality; ``None`` for the one that ``model`` was set up with.
    model
        A model, if the cells are read through one.
    name
        Name of the argument, for messages.

    Raises
    ------
    TypeError, ValueError
        As in :func:`annotated`; or if ``modality`` is missing for a MuData, or given for an
        AnnData.
    """
    if not is_mudata(adata):
        cells = annotated(adata, name)
        if modality is not None:
            raise ValueError(
                f"modality={modality!r} chooses a modality of a MuData, but {name} is an AnnData: "
                "leave modality out."
            )
        return Cells(cells, cells, cells)
    if modality is None:
        modality = getattr(model, "_modality", None)
    if modality not in adata.mod:
        wrong = "" if modality is None else f", got {modality!r}"
        raise ValueError(
            f"{name} is a MuData: pass the modality to read, modality=..., one of "
            f"{listed(adata.mod)}{wrong}."
        )
    part = annotated(adata.mod[modality], f"{name}.mod[{modality!r}]")
    return Cells(_with_columns(part, adata, name), part, adata, modality)


def _with_columns(part: AnnData, mdata: MuData, name: str) -> AnnData:
    """Return the modality with the columns of the MuData added; shares all matrices."""
    obs = aligned_obs(mdata, part, name)
    more = [column for column in obs.columns if column not in part.obs]
    if not more:
        return part
    return AnnData(
        part.X,
        obs=pd.concat([part.obs, obs[more]], axis=1),
        var=part.var,
        uns=part.uns,
        obsm=dict(part.obsm),
        varm=dict(part.varm),
        layers=dict(part.layers),
    )


def aligned_obs(mdata: MuData, part: AnnData, name: str = "mdata") -> pd.DataFrame:
    """Return ``obs`` of a MuData for the cells of a modality, in their order.

    Raises
    ------
    ValueError
        If cell names are not unique, or the MuData lacks cells of the modality.
    """
    if mdata.obs_names.equals(part.obs_names):
        return mdata.obs
    if not mdata.obs_names.is_unique or not part.obs_names.is_unique:
        raise ValueError(
            f"names of cells are not unique in {name}, so its rows cannot be matched to those of "
            f"the modality. Make them unique in each modality, `adata.obs_names_make_unique()`, "
            f"and call `{name}.update()`."
        )
    rows = mdata.obs_names.get_indexer(part.obs_names)
    if (rows < 0).any():
        raise ValueError(
            f"{name} lacks {int((rows < 0).sum())} cells of its modality. Call "
            f"`{name}.update()` after changing a modality."
        )
    return mdata.obs.iloc[rows].set_axis(part.obs_names)
