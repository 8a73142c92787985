"""Cells for the methods of scvi-tools, which read genes by position."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from mudata import MuData
from scipy.sparse import csr_matrix, issparse
from scvi.model.base import BaseModelClass

from ace import _compat

if TYPE_CHECKING:
    from collections.abc import Callable

    from ace.model.base._reader import MatrixReader
    from ace.model.scare import SCARE


def attach(model: SCARE, adata: AnnData | MuData) -> None:
    """Make other cells those of a model.

    Raises
    ------
    KeyError, ValueError
        If the cells lack something that the model reads.
    """
    if adata is None:
        raise ValueError("adata cannot be None.")
    model._covariates(adata)  # raises before anything is registered
    BaseModelClass._validate_anndata(model, adata)
    model._adata = adata
    model._adata_manager = model.get_anndata_manager(adata, required=True)
    model.registry_ = model._adata_manager.registry
    model.summary_stats = model._adata_manager.summary_stats


def in_gene_order(
    model: SCARE, adata: AnnData | MuData | None, validate: Callable[[Any], AnnData | MuData]
) -> AnnData | MuData:
    """Return registered cells in the gene order of a model.

    These are the model's own cells if they are in that order, and otherwise a copy of what the
    model reads: the user's object is neither registered nor changed.

    Parameters
    ----------
    model
        The model.
    adata
        The cells; ``None`` for those of the model.
    validate
        Registers cells and returns them, as scvi-tools does.
    """
    own = adata is None or adata is model.adata
    cells = model._cells(adata)
    in_order = own and np.array_equal(cells.var_names, model.var_names)
    # Made by the model itself, or the copy that it returned before.
    minified = _compat.minified_type(cells) is not None
    if in_order or minified or (adata is not None and adata is model._copied):
        return validate(adata)
    whole = model.adata if adata is None else adata
    model._covariates(adata)  # raises before anything is registered
    if model._copied is not None:  # scvi-tools would keep every copy as long as the model
        _compat.forget(model, model._copied)
        model._copied = None
    copied = copy_in_order(model._reader(whole), cells, model._feature_names, model.input_layer)
    if model._modality is not None:
        copied = in_mudata(copied, model._modality, whole)
    kept = model._adata, model.adata_manager
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_compat.small_category_warning)
        validate(copied)
    # scvi-tools would attach these cells to a model that was loaded without cells.
    model._adata, model._adata_manager = kept
    model._copied = copied
    return copied


def copy_in_order(
    reader: MatrixReader, cells: AnnData, genes: tuple[str, ...], layer: str | None
) -> AnnData:
    """Copy counts and ``obs`` of cells, with the genes of a model in its order.

    Parameters
    ----------
    reader
        Counts of the cells.
    cells
        The cells.
    genes
        Genes of the model.
    layer
        Layer that the model reads; ``None`` for ``X``.
    """
    part = reader.rows(np.arange(len(reader)))
    # scvi-tools checks sparse matrices only, not sparse arrays.
    x = csr_matrix(part) if issparse(part) else np.asarray(part)
    copied = AnnData(x, obs=cells.obs.copy(), var=pd.DataFrame(index=genes))
    if layer is not None:
        copied.layers[layer] = copied.X
    return copied


def in_mudata(copied: AnnData, modality: str, whole: AnnData | MuData | None) -> MuData:
    """Make a copied modality a MuData, with the columns of the others and of the whole.

    Parameters
    ----------
    copied
        Copy of the cells of a modality.
    modality
        Name of the modality.
    whole
        Object that the cells were copied from; its columns are those of ``copied`` unless it is
        a MuData.
    """
    parts, obs = {modality: copied}, copied.obs
    if isinstance(whole, MuData):
        obs = whole.obs
        parts |= {
            name: AnnData(obs=part.obs.copy())
            for name, part in whole.mod.items()
            if name != modality
        }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mudata announces how it will copy columns in future
        made = MuData(parts)
    for column in obs:
        made.obs[column] = obs[column]
    return made
