"""Judge given panels of genes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from ace import _checks
from ace._checks._objects import cells_of
from ace._docs import doc_params
from ace._matrix import read_rows
from ace._threads import one_thread
from ace.explain import EmbeddingScorer, GroupedCells, LinearEmbedding, fit_centroids
from ace.explain._certificate import SIZES, certify
from ace.tl import _texts
from ace.tl._quality import quality_frame
from ace.tl._sample import draw_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

    from ace.explain._certificate import Quality
    from ace.explain._folds import Fold

#: Largest number of genes of a panel.
MAX_GENES = 500


@doc_params(
    groupby=_texts.GROUPBY,
    layer=_texts.LAYER,
    modality=_texts.MODALITY,
    random_state=_texts.RANDOM_STATE,
)
def evaluate_panel(
    adata: AnnData | MuData,
    panels: Mapping[str, Iterable[str]] | Iterable[str],
    groupby: str,
    *,
    layer: str | None = None,
    modality: str | None = None,
    n_cells: int | None = 1000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Judge panels of genes from any source: a paper, a vendor or another method.

    The genes are given, so only the additive model of each group is cross-fitted: it is fitted to
    four fifths of the cells and judged on the others, for the leading genes in the given order.
    If the genes were chosen on the same cells, the result is too good.

    To complement a panel by further genes, pass it to :func:`ace.tl.explain` as ``include=``.

    Parameters
    ----------
    adata
        Annotated data, log-normalised (or scaled), or a MuData with such a modality. It is not
        changed.
    panels
        Genes of each group, best first, such as those of :func:`ace.get.panel_dict`; or one list
        of genes, which is judged for every group.
    {groupby}
    {layer}
    {modality}
    n_cells
        Largest number of cells drawn from each group; ``None`` for all.
    {random_state}

    Returns
    -------
    The columns of :func:`ace.get.panel_quality_df`, for each group of ``panels``: rows for the
    first 1 to 6, 8, 10, 15 and 20 genes, if there are so many, and for all genes of the panel.
    ``against`` is the group with the nearest centroid, by all given genes. Groups of fewer than
    five cells have no rows.

    Raises
    ------
    KeyError
        If the column or the layer does not exist.
    TypeError
        If genes are not given by name.
    ValueError
        If genes are missing in ``adata``, a panel is empty or has more than 500 genes, a group or
        number is invalid, or a cell has no group.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> panels = {"CD19+ B": ["CD79A", "MS4A1"], "CD56+ NK": ["GNLY"]}
    >>> df = ace.tl.evaluate_panel(adata, panels, groupby="bulk_labels")
    >>> df[["group", "n_genes"]].values.tolist()
    [['CD19+ B', 1], ['CD19+ B', 2], ['CD56+ NK', 1]]
    """
    with one_thread():
        given = cells_of(adata, modality)
        cells, groupby = given.adata, given.column(groupby)
        _checks.positive(n_cells, "n_cells")
        _checks.seed(random_state)
        _checks.unique_genes(cells)
        matrix = _checks.matrix_of(cells, layer)
        codes, names = _checks.groups_of(cells, groupby)
        chosen = _positions(panels, names, cells)
        genes = np.unique(np.concatenate(list(chosen.values())))
        rows = [draw_rows(codes, g, n_cells, random_state) for g in range(len(names))]
        values = [_dense(read_rows(matrix, own, genes)) for own in rows]
        _checks.finite(np.stack([v.mean(0) for v in values]), cells.var_names[genes], layer)
        found: dict[str, Quality | None] = {}
        grouped = GroupedCells(values, np.bincount(codes, minlength=len(names)))
        scorer = _centroids(values)
        for group, positions in chosen.items():
            panel = np.searchsorted(genes, positions)
            sizes = [*(n for n in SIZES if n < len(panel)), len(panel)]
            (found[group],) = certify(
                _given(panel),
                scorer,
                grouped,
                [(names.index(group), None)],
                random_state=random_state,
                sizes=sizes,
            )
    return quality_frame(found, names)[0]


def _positions(panels: Any, names: list[str], adata: AnnData) -> dict[str, np.ndarray]:
    """Columns of the genes of each panel, in their order."""
    if isinstance(panels, Mapping):
        chosen = {str(group): genes for group, genes in panels.items()}
    else:
        genes = panels if isinstance(panels, str) else list(panels)
        chosen = dict.fromkeys(names, genes)
    _checks.chosen_groups(list(chosen), names)
    found = {}
    for group, genes in chosen.items():
        own = genes if isinstance(genes, str) else list(genes)
        _checks.known_genes(own, adata.var_names, "adata")
        found[group] = adata.var_names.get_indexer(list(dict.fromkeys(own)))
        if len(found[group]) > MAX_GENES:
            raise ValueError(
                f"the panel of {group!r} has {len(found[group])} genes, but at most {MAX_GENES} "
                "are judged. Pass the first ones."
            )
    return found


def _given(panel: np.ndarray) -> Callable[[Fold], Callable[[int, int | None], np.ndarray]]:
    """Rank the same genes in every fold."""
    return lambda fold: lambda source, reference: panel


def _dense(part: Any) -> np.ndarray:
    return np.asarray(part.toarray() if sp.issparse(part) else part, dtype=np.float32)


def _centroids(values: list[np.ndarray]) -> EmbeddingScorer:
    """Scorer that finds the nearest other group: centroids of the standardised genes."""
    x = np.concatenate(values)
    spread = x.std(0)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    labels = np.repeat(np.arange(len(values)), [len(own) for own in values])
    embedding = LinearEmbedding(np.diag(scale), np.zeros(len(scale)))
    return fit_centroids(embedding, x, labels)
