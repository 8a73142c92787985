"""From an AnnData to a group scorer."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scanpy as sc
import scipy.sparse as sp

from ace import _checks, _columns
from ace._listed import listed
from ace._matrix import read_rows
from ace.explain import EmbeddingScorer, LinearEmbedding, fit_clustering
from ace.explain._rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData

    from ace.explain import GroupScorer
    from ace.model.adapter._foreign import ForeignModel

logger = logging.getLogger(__name__)

#: Cells that prototypes are fitted to, in each group.
N_CELLS_FIT = 2000
#: Cells that a principal component analysis on the side is fitted to.
N_CELLS_PCA = 20_000
N_COMPONENTS = 50
#: Cells on which stored principal components are compared with the matrix.
N_CELLS_COMPARED = 100


@dataclass(frozen=True)
class Scored:
    """A scorer, which columns of the matrix are its features, and what else it takes of cells."""

    scorer: GroupScorer
    columns: np.ndarray
    context: Callable[[np.ndarray], np.ndarray] | None = None


def scorer_of_pca(
    adata: AnnData,
    matrix: Any,
    codes: np.ndarray,
    names: list[str],
    n_prototypes: int | None,
    random_state: int,
) -> Scored:
    """Explain through the principal components of this matrix, adata's own if they are."""
    rng = np.random.default_rng([random_state, 1])
    own = _own_pca(adata, matrix, rng)
    loadings, columns, offset = own or _pca(adata, matrix, rng, random_state)
    fit = _cells_to_fit(codes, len(names), rng)
    if own is not None:  # the very coordinates, already there
        z = np.asarray(adata.obsm["X_pca"])[fit]
    else:
        z = _project(read_rows(matrix, fit, columns), loadings) + offset
    clustering = fit_clustering(z, codes[fit], n_prototypes=n_prototypes, random_state=random_state)
    genes = adata.var_names[columns]
    scorer = EmbeddingScorer(LinearEmbedding(loadings, offset), clustering, names, genes)
    return Scored(scorer, columns)


def _own_pca(
    adata: AnnData, matrix: Any, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Stored loadings, their genes and offset, if ``obsm["X_pca"]`` really is this matrix's.

    Whether data were centred or not, cells' stored coordinates and their projection differ by one
    constant vector, which is the offset.
    """
    if "PCs" not in adata.varm or "X_pca" not in adata.obsm:
        return None
    loadings = np.asarray(adata.varm["PCs"], dtype=np.float64)
    stored = np.asarray(adata.obsm["X_pca"])
    columns = np.flatnonzero(np.abs(loadings).sum(1) > 0)
    if stored.shape[1] != loadings.shape[1] or len(columns) == 0:
        return None
    cells = np.sort(_sample(np.arange(adata.n_obs), N_CELLS_COMPARED, rng))
    loadings, stored = loadings[columns], stored[cells].astype(np.float64)
    projected = _project(read_rows(matrix, cells, columns), loadings)
    # A component's sign is arbitrary, and some files hold the two with opposite ones.
    sign = np.where(
        ((stored - stored.mean(0)) * (projected - projected.mean(0))).sum(0) < 0, -1, 1
    )
    offsets = stored - projected * sign
    offset = offsets.mean(0)
    if not np.abs(offsets - offset).max() <= 1e-2 * np.abs(stored).max():
        logger.info("adata.obsm['X_pca'] is not of this matrix; computing components on the side")
        return None
    return loadings * sign, columns, offset


def _pca(
    adata: AnnData, matrix: Any, rng: np.random.Generator, random_state: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Principal components of the highly variable genes (of all, if none are marked)."""
    columns = np.arange(adata.n_vars)
    if "highly_variable" in adata.var:
        marked = _columns.column_of(adata.var, "highly_variable", "adata.var")
        columns = columns[_columns.flags_of(marked, "adata.var['highly_variable']")]
    if len(columns) == 0:
        raise ValueError(
            "adata.var['highly_variable'] marks no gene, and there are no principal components of "
            "this matrix. Run sc.pp.highly_variable_genes(adata) and sc.pp.pca(adata) again."
        )
    cells = np.sort(_sample(np.arange(adata.n_obs), N_CELLS_PCA, rng))
    part = read_rows(matrix, cells, columns).astype(np.float32)
    n_components = min(N_COMPONENTS, min(part.shape) - 1)
    if n_components < 1:
        which = "highly variable genes" if "highly_variable" in adata.var else "genes"
        raise ValueError(
            f"principal components need two cells and two genes, got {part.shape[0]} cells x "
            f"{part.shape[1]} {which}. Use more genes, or explain through a model (model=...)."
        )
    total, squares = Rows(part).sums()
    _checks.varied(total / len(cells), squares / len(cells) - (total / len(cells)) ** 2)
    _, components, _, _ = sc.pp.pca(
        part, n_comps=n_components, return_info=True, random_state=random_state
    )
    loadings = np.ascontiguousarray(components.T, dtype=np.float64)
    mean = np.asarray(part.mean(0), dtype=np.float64).ravel()
    return loadings, columns, -mean @ loadings


def _project(part: Any, loadings: np.ndarray) -> np.ndarray:
    product = part @ loadings
    return product.toarray() if sp.issparse(product) else np.asarray(product)


def _cells_to_fit(codes: np.ndarray, n_groups: int, rng: np.random.Generator) -> np.ndarray:
    """Cells that prototypes are fitted to, in increasing order."""
    each = [_sample(np.flatnonzero(codes == g), N_CELLS_FIT, rng) for g in range(n_groups)]
    return np.sort(np.concatenate(each))


def _sample(rows: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    return rows if len(rows) <= n else rng.choice(rows, n, replace=False)


def reads_expression(model: Any) -> bool:
    """Whether it is a model of this package whose scorer takes nothing but the matrix."""
    return hasattr(model, "group_scorer") and not getattr(model, "_expects_counts", False)


def readable(model: Any, adata: AnnData) -> Any:
    """A model of log-normalised expression as it is, one of counts by its latent space."""
    if reads_expression(model):
        return model
    if isinstance(model, str):
        raise _checks.not_a_function_of_genes(adata, model)
    if not hasattr(model, "module"):
        raise _checks.not_a_model(model)
    # scvi-tools takes seconds to import: only a model of it waits for that.
    from ace.model.adapter._foreign import ForeignModel

    return ForeignModel(model, adata)


def matrix_of(model: Any, adata: AnnData, layer: str | None) -> Any:
    """Matrix that is explained: that of the layer, or what a foreign model makes of its counts."""
    if model is None or reads_expression(model):
        return _checks.matrix_of(adata, layer)
    return model.matrix


def name_of(model: Any) -> str:
    """Name of the embedding, as it is written."""
    if model is None:
        return "pca"
    return type(model).__name__ if reads_expression(model) else model.name


def layer_of_model(model: Any, layer: str | None) -> str | None:
    """Layer that a model reads; ``layer`` is what the user asked for, if anything."""
    input_layer = getattr(model, "input_layer", None)
    if layer is not None and layer != input_layer:
        own = "adata.X" if input_layer is None else f"layer {input_layer!r}"
        raise ValueError(
            f"layer={layer!r}, but the model was trained on {own}, which is what it is explained "
            "on: leave layer out."
        )
    return input_layer


def unlabelled_of(model: Any, groupby: str) -> Any:
    """Category of a model's own labels that is no group, ``None`` if there is none."""
    if getattr(model, "labels_key", None) != groupby:
        return None
    return getattr(model, "unlabeled_category", None)


def scorer_of_model(
    model: Any,
    adata: AnnData,
    groupby: str,
    names: list[str],
    n_prototypes: int | None,
    random_state: int,
) -> Scored:
    """Explain through a model of this package: anything with ``group_scorer``."""
    options = {} if n_prototypes is None else {"n_prototypes": n_prototypes}
    scorer = model.group_scorer(adata, groupby, random_state=random_state, **options)
    if set(scorer.groups) != set(names):
        raise ValueError(
            f"the model scores the groups {listed(scorer.groups)}, but adata.obs[{groupby!r}] has "
            f"{listed(names)}."
        )
    return Scored(
        scorer, _checks.gene_positions(adata.var_names, scorer.feature_names, "the model")
    )


def scorer_of_latent_space(
    model: ForeignModel,
    codes: np.ndarray,
    names: list[str],
    n_prototypes: int | None,
    random_state: int,
) -> Scored:
    """Explain through the latent space of any model of scvi-tools."""
    fit = _cells_to_fit(codes, len(names), np.random.default_rng([random_state, 1]))
    clustering = fit_clustering(
        model.embed(fit), codes[fit], n_prototypes=n_prototypes, random_state=random_state
    )
    scorer = EmbeddingScorer(model.embedding, clustering, names, model.genes).to(model.device)
    return Scored(scorer, model.columns, model.context)
