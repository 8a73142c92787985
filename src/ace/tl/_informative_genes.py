"""Genes that distinguish groups of cells, by mutual information."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.feature_selection import mutual_info_classif
from sklearn.metrics import mutual_info_score

from ace import _checks
from ace._checks import _storable, _value_checks
from ace._checks._objects import cells_of
from ace._docs import doc_params
from ace._keys import require_free, storable
from ace._listed import listed
from ace._log import report
from ace._matrix import LogCounts, read_rows
from ace._values import claimed_base
from ace._warn import warn
from ace.tl import _texts
from ace.tl._comparisons import Groups

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

logger = logging.getLogger(__name__)

#: Total that counts are scaled to before the logarithm.
TARGET = 1e4
#: Column of the scores over all cells.
ALL = "all"


@doc_params(groupby=_texts.GROUPBY, layer=_texts.LAYER, modality=_texts.MODALITY)
def informative_genes(
    adata: AnnData | MuData,
    groupby: str,
    *,
    n_genes: int = 40,
    within: str | None = None,
    layer: str | None = None,
    modality: str | None = None,
    n_bins: int | None = 3,
    min_cells: int = 10,
    key_added: str = "informative_genes",
    random_state: int = 0,
) -> list[str] | dict[str, list[str]]:
    r"""Find the genes that are most informative about a column of ``obs``, such as time points.

    The selection that scARE uses to distinguish time points (§3.2): the genes of the largest
    mutual information with the column, over all cells or within each type. The result can be
    passed as ``ground_truth`` to :class:`ace.model.SCARE`, and as ``genes`` to
    :func:`ace.tl.fssf`.

    .. math:: I(x; y) = \sum_{b, g} p(b, g) \log \frac{p(b, g)}{p(b) \, p(g)}

    with the groups :math:`g` and bins :math:`b` of the expression of the gene: one bin for the
    cells that do not express it, and ``n_bins`` of equal numbers of the others.

    Parameters
    ----------
    adata
        Annotated data with log-normalised values, or a MuData with such a modality. Counts and
        other values that are not logarithms are log-normalised internally. Only the key below is
        changed.
    {groupby}
    n_genes
        Largest number of genes; genes without any information are left out.
    within
        Column of ``obs`` with types, to find genes for each type separately.
    {layer}
    {modality}
    n_bins
        Number of bins of the cells that express the gene. ``None`` estimates the mutual
        information without bins, by nearest neighbours
        (:func:`sklearn.feature_selection.mutual_info_classif`). That is slower, and unreliable for
        genes that many cells do not express, because ties between these cells are broken at
        random.
    min_cells
        Smallest size of a group within a type; smaller groups are left out of that type.
    key_added
        Name of the result. Existing scores with this name are overwritten; anything else raises
        an error.
    random_state
        Seed of the estimate without bins. The same call gives identical results.

    Returns
    -------
    Names of genes, best first; with ``within`` a dictionary of them by type. ``uns[key_added]`` is
    written, with ``params`` and the frame ``scores``, genes × types (or ``"all"``), in nats. A
    ``/`` in a type becomes ``|`` in the column name, because anndata ≥ 0.13 does not store columns
    with a ``/``. If types cannot be stored as columns (names longer than 200 bytes, or more than
    4000 types), the frame has a row for each gene of each type instead, with the columns ``type``,
    ``gene`` and ``score``.

    Raises
    ------
    KeyError
        If a column or the layer does not exist.
    TypeError
        If ``key_added`` is not a string.
    ValueError
        If there is only one group, in all cells or in each type; a cell has no group; gene names
        repeat or are missing; values are NaN, infinite or of different kinds in different cells;
        an argument is out of range; ``modality`` is missing; ``adata`` is a view of a file or was
        opened lazily; or a name cannot be stored in a file. Nothing is written in these cases.

    Warns
    -----
    UserWarning
        If types are left out because they have fewer than two groups of ``min_cells`` cells.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.informative_genes(adata, "phase", n_genes=2)
    ['STMN1', 'PCNA']
    """
    given = cells_of(adata, modality)
    adata, written = given.adata, given.written
    groupby, within = given.column(groupby), given.column(within)
    name = _storable.key(key_added)
    _checks.positive(n_genes, "n_genes", optional=False)
    _checks.positive(n_bins, "n_bins")
    _checks.positive(min_cells, "min_cells", optional=False)
    _checks.seed(random_state)
    _checks.unique_genes(adata)
    stored = adata.uns.get(name)
    if not (isinstance(stored, dict) and stored.keys() == {"params", "scores"}):
        require_free(adata, name, {"uns": (name,)}, "ace.tl.informative_genes did not write")
    groups = Groups(groupby, *_checks.groups_of(adata, groupby))
    types = _types(adata, within)
    matrix = _checks.matrix_of(adata, layer)
    base = claimed_base(adata, layer)
    values = _value_checks.values_of(matrix, layer, base=base, groups=groups.codes)
    if values.is_linear:
        matrix = LogCounts(matrix, np.arange(adata.n_vars), TARGET)

    # Distances within a group require two cells.
    fewest = max(min_cells, 2) if n_bins is None else min_cells
    scores = _score_each(matrix, groups, types, n_bins, fewest, random_state)
    left_out = [kind for kind in types.names if kind not in scores]
    if not scores:
        where = "adata has no" if within is None else f"no type of adata.obs[{within!r}] has"
        raise ValueError(
            f"{where} two groups of adata.obs[{groupby!r}] with {fewest} or more cells, so there "
            "is nothing to distinguish. Permit smaller groups (min_cells=...)."
        )
    if left_out:
        warn(
            f"{listed(left_out)} of adata.obs[{within!r}] have fewer than two groups of "
            f"adata.obs[{groupby!r}] with {fewest} or more cells, and are left out.",
        )
    params: dict[str, Any] = {
        "groupby": groupby,
        "within": within,
        "layer": layer,
        "n_genes": n_genes,
        "n_bins": n_bins,
        "min_cells": min_cells,
        "random_state": random_state,
    }
    frame = pd.DataFrame(scores, index=adata.var_names.copy()).rename_axis(index=None)
    written.uns[name] = {"params": params, "scores": _stored(frame)}
    report(logger, "added .uns[%r]", name)
    found = {kind: _best(adata.var_names, score, n_genes) for kind, score in scores.items()}
    return found if within is not None else found[ALL]


def _types(adata: AnnData, within: str | None) -> Groups:
    """Types to find genes in; all cells are of one type if there is no column of types."""
    if within is None:
        return Groups(ALL, np.zeros(adata.n_obs, dtype=np.int64), [ALL])
    types = Groups(within, *_checks.groups_of(adata, within, at_least=1))
    _storable.groups(types.names, within)
    _checks.distinct([storable(name) for name in types.names], types.names)
    return types


def _score_each(
    matrix: Any,
    groups: Groups,
    types: Groups,
    n_bins: int | None,
    fewest: int,
    random_state: int,
) -> dict[str, np.ndarray]:
    """Scores of the genes in each type that has at least two groups of ``fewest`` cells."""
    scores = {}
    for number, kind in enumerate(types.names):
        rows = np.flatnonzero(types.codes == number)
        rows = rows[np.bincount(groups.codes[rows])[groups.codes[rows]] >= fewest]
        codes = groups.codes[rows]
        if len(np.unique(codes)) < 2:
            continue
        part = read_rows(matrix, rows)
        _checks.computable(part)
        if part.dtype in (np.bool_, np.float16):  # do not support subtraction or sparse storage
            part = part.astype(np.float32)
        values = sp.csc_array(part)
        values.sum_duplicates()
        if n_bins is None:
            scores[kind] = _by_neighbors(values, codes, random_state)
        else:
            scores[kind] = _by_bins(values, codes, n_bins)
    return scores


def _by_bins(values: sp.csc_array, codes: np.ndarray, n_bins: int) -> np.ndarray:
    """Mutual information of each gene with the groups, with bins of its expression."""
    n_groups = codes.max() + 1
    total = np.bincount(codes, minlength=n_groups)
    inner = np.linspace(0, 1, n_bins + 1)[1:-1]
    scores = np.zeros(values.shape[1])
    for gene in range(values.shape[1]):
        here = slice(values.indptr[gene], values.indptr[gene + 1])
        cells, expression = values.indices[here], values.data[here]
        cells, expression = cells[expression != 0], expression[expression != 0]
        if len(cells) == 0:
            continue
        bins = np.searchsorted(np.quantile(expression, inner), expression)
        table = np.bincount(bins * n_groups + codes[cells], minlength=n_bins * n_groups)
        table = table.reshape(n_bins, n_groups)
        table = np.vstack([total - table.sum(0), table])
        # Rounding errors may make it slightly negative.
        scores[gene] = max(mutual_info_score(None, None, contingency=sp.coo_array(table)), 0.0)
    return np.where(scores < 1e-12, 0.0, scores)


def _by_neighbors(values: sp.csc_array, codes: np.ndarray, random_state: int) -> np.ndarray:
    """Mutual information of each gene with the groups, by nearest neighbours."""
    scores = np.zeros(values.shape[1])
    for gene in range(values.shape[1]):
        # Genes are passed one at a time: the noise that breaks ties depends on all genes passed.
        x = values[:, [gene]].toarray()
        if np.ptp(x) > 0:
            scores[gene] = mutual_info_classif(
                x, codes, discrete_features=False, random_state=random_state
            )[0]
    return scores


def _stored(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores to store: a column for each type if that can be stored, otherwise a long table."""
    wide = scores.rename(columns=storable)
    if isinstance(_storable.frame(wide), pd.DataFrame):
        return wide
    n_genes, n_types = scores.shape
    types, genes = pd.Index(scores.columns, dtype=object), pd.Index(scores.index, dtype=object)
    return pd.DataFrame(
        {
            "type": pd.Categorical.from_codes(np.repeat(np.arange(n_types), n_genes), types),
            "gene": pd.Categorical.from_codes(np.tile(np.arange(n_genes), n_types), genes),
            "score": scores.to_numpy().ravel(order="F"),
        }
    )


def _best(genes: pd.Index, scores: np.ndarray, n_genes: int) -> list[str]:
    order = np.argsort(-scores, kind="stable")[:n_genes]
    return [str(gene) for gene in genes[order[scores[order] > 0]]]
