"""Rank genes by how specific their expression is to a group of cells."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Literal

import numpy as np

from ace import _checks
from ace._checks import _storable, _value_checks
from ace._checks._objects import cells_of
from ace._docs import doc_params
from ace._keys import DIAGNOSTICS, ExplanationKeys
from ace._log import report
from ace.explain import Attribution
from ace.tl import _texts
from ace.tl._comparisons import resolve
from ace.tl._copying import require_copyable
from ace.tl._expression import read_expression
from ace.tl._tables import ExplanationTables, scanpy_params

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData

    from ace._matrix import GroupSummary
    from ace.tl._comparisons import Comparisons

logger = logging.getLogger(__name__)


@doc_params(
    groupby=_texts.GROUPBY,
    layer=_texts.LAYER,
    modality=_texts.MODALITY,
    n_genes=_texts.N_GENES,
    key_added=_texts.KEY_ADDED,
    copy=_texts.COPY,
    use_raw=_texts.USE_RAW,
)
def rank_specificity(
    adata: AnnData | MuData,
    groupby: str,
    *,
    groups: Literal["all"] | Iterable[str] = "all",
    layer: str | None = None,
    modality: str | None = None,
    min_fraction: float = 0.1,
    n_genes: int | None = None,
    key_added: str = "rank_specificity",
    copy: bool = False,
    use_raw: bool | None = None,
) -> AnnData | MuData | None:
    r"""Rank genes by how specific their expression is to a group of cells.

    The score of :cite:p:`cabili2011integrative`: the profile of a gene, its mean expression in
    each group scaled to a sum of 1, is compared with the profile of a gene that only one group
    expresses,

    .. math::
        s_{gt} = 1 - \sqrt{H\!\left(\frac{p_g + e_t}{2}\right) - \frac{H(p_g)}{2}}

    with the profile :math:`p_g`, the indicator :math:`e_t` of the group and the entropy :math:`H`
    in bits. It is 1 for a gene that only this group expresses and 0 for a gene that the group does
    not express. The score compares means of single genes and carries little information about
    genes that a group lacks: :func:`explain` finds genes that distinguish groups jointly, in both
    directions.

    Parameters
    ----------
    adata
        Annotated data, log-normalised, or a MuData with such a modality. Only the keys below are
        changed. The matrix is read once and never converted to dense.
    {groupby}
    groups
        Groups to rank genes for, or ``"all"``. Profiles always include all groups.
    {layer}
    {modality}
    min_fraction
        Genes that a smaller fraction of the cells of the group expresses get score 0 and rank
        last: a gene detected in a single cell would be perfectly specific. 0 keeps all genes.
    {n_genes}
    {key_added}
    {copy}
    {use_raw}

    Returns
    -------
    ``None``, or the copy. The result is written to the same places as that of :func:`explain`, so
    that :func:`ace.get.explain_df`, :mod:`ace.pl` and scanpy's ``sc.pl.rank_genes_groups*`` read
    it with ``key=key_added``:

    ``adata.uns[key_added]``
        Records ``names``, ``scores`` (the specificity, negative if the mean of the group is below
        that of the other cells; ordered by absolute value), ``logfoldchanges``, ``pvals`` and
        ``pvals_adj`` (NaN: there are none), ``enriched``, ``pct_in`` and ``pct_out``; ``params``;
        and ``diagnostics``, with the numbers of cells and the seconds only.
    ``adata.varm[key_added + "_scores"]``
        Signed scores, genes × groups. A ``/`` in the name of a group becomes ``|``.

    If these cannot be stored in a file, the alternative forms of :func:`explain` are used.

    Raises
    ------
    KeyError
        If the column or the layer does not exist.
    TypeError
        If ``key_added`` is not a string.
    ValueError
        If a group or number is invalid; there is only one group; gene names repeat or are missing;
        values are NaN, infinite, negative or of different kinds; ``modality`` is missing;
        ``adata`` is a view of a file or was opened lazily; a name cannot be stored in a file; or
        ``key_added`` names something else. Nothing is written in these cases.

    Warns
    -----
    UserWarning
        If the values are counts or are not logarithms, cells were normalised to different totals,
        or a group has fewer than 8 cells.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.rank_specificity(adata, "bulk_labels")
    >>> [str(gene) for gene in adata.uns["rank_specificity"]["names"]["CD56+ NK"][:3]]
    ['CD160', 'XCL1', 'XCL2']
    """
    _checks.not_raw(use_raw)
    began = time.perf_counter()
    given = cells_of(adata, modality)
    adata, groupby = given.adata, given.column(groupby)
    _checks.share(min_fraction, "min_fraction")
    _checks.positive(n_genes, "n_genes")
    _checks.unique_genes(adata)
    keys = ExplanationKeys(_storable.key(key_added))
    keys.require_free(adata)
    comparisons = resolve(adata, groupby, groups, "rest")
    require_copyable(given, copy)
    matrix = _checks.matrix_of(adata, layer)
    expression = read_expression(adata, matrix, layer, comparisons, expect_logs=True)
    values, summary = expression.values, expression.summary
    _value_checks.not_negative(values, summary.mean, layer)

    ranked = _rank_each(comparisons, summary, adata.var_names.to_numpy(dtype=object), min_fraction)
    seconds = (time.perf_counter() - began) / len(ranked)
    tables = ExplanationTables(adata.var_names, np.arange(adata.n_vars), expression, n_genes)
    for (source, _), field, found in zip(
        comparisons.pairs, comparisons.fields, ranked, strict=True
    ):
        others = comparisons.others(source, None)
        numbers = {
            "n_cells": float(summary.counts[source]),
            "n_reference": float(summary.counts[others].sum()),
            "seconds": seconds,
        }
        tables.add(field, found, source, others, dict.fromkeys(DIAGNOSTICS, np.nan) | numbers)

    given = given.copied() if copy else given
    written = keys.write(
        given.written,
        params=scanpy_params(groupby, "rest", "specificity", layer)
        | {
            "min_fraction": float(min_fraction),
            "values": values.kind,
            "values_total": values.total,
        },
        **tables.parts(),
    )
    report(logger, "ranked genes of %d groups by specificity; added %s", len(ranked), written)
    return given.whole if copy else None


def _rank_each(
    comparisons: Comparisons, summary: GroupSummary, genes: np.ndarray, min_fraction: float
) -> list[Attribution]:
    """Score and rank the genes of each comparison."""
    by_name = np.argsort(np.argsort(genes))
    specific = _specificity(summary.mean)
    ranked = []
    for source, _ in comparisons.pairs:
        rest, _ = summary.of_rest(comparisons.others(source, None))
        difference = summary.mean[source] - rest
        # Numbers of cells are compared because fractions are rounded: 7 / 70 is below 0.1.
        n_cells = summary.counts[source]
        expressing = np.rint(summary.fraction[source] * n_cells)
        kept = expressing >= min_fraction * n_cells * (1 - 1e-12)
        size = np.where(kept, specific[source], 0.0)
        scores = (np.where(difference < 0, -1.0, 1.0) * size).astype(np.float32)
        # Ordered by the scores as stored; ties are broken by the difference, not by position.
        order = np.lexsort((by_name, -np.abs(difference), -np.abs(scores)))
        ranked.append(Attribution(scores, order))
    return ranked


def _specificity(mean: np.ndarray) -> np.ndarray:
    """Specificity of each gene to each group, groups × genes; 0 if no group expresses it."""
    total = mean.sum(axis=0)
    profile = mean / np.where(total > 0, total, 1.0)
    entropy = _part_of_entropy(profile)
    # Adding the indicator of a group to a profile changes one term of the entropy.
    halves = _part_of_entropy(profile / 2)
    mixed = halves.sum(axis=0) - halves + _part_of_entropy((profile + 1) / 2)
    divergence = mixed - entropy.sum(axis=0) / 2
    return np.where(total > 0, 1 - np.sqrt(np.clip(divergence, 0, 1)), 0.0)


def _part_of_entropy(p: np.ndarray) -> np.ndarray:
    """-p log₂ p, 0 for p = 0."""
    return -p * np.log2(np.where(p > 0, p, 1.0))
