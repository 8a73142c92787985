"""Genes that are specific to a group of cells, by the Jensen-Shannon distance."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Literal

import numpy as np

from ace import _checks, _storable, _value_checks
from ace._keys import DIAGNOSTICS, ExplanationKeys, storable
from ace._matrix import summarise
from ace._objects import cells_of
from ace._values import claimed_base, log_base
from ace.explain import Attribution
from ace.tl._tables import ExplanationTables

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData

logger = logging.getLogger(__name__)


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
    each group scaled to a sum of 1, is compared with that of a gene only one group expresses,

    .. math::
        s_{gt} = 1 - \sqrt{H\!\left(\frac{p_g + e_t}{2}\right) - \frac{H(p_g)}{2}}

    with the profile :math:`p_g`, the indicator :math:`e_t` of the group and the entropy :math:`H`
    in bits. It is 1 for a gene that only this group expresses and 0 for one that it does not
    express. It compares means, gene by gene, and has little to say about genes that a group lacks:
    :func:`explain` finds genes that tell groups apart together, in both directions.

    Parameters
    ----------
    adata
        Annotated data, log-normalised, or a MuData with such a modality. Only the keys below are
        changed. The matrix is read once and never made dense.
    groupby
        Column of ``obs`` with the groups; for a MuData, of the modality or of the MuData.
    groups
        Groups to rank genes for, or ``"all"``. Profiles are over all groups in any case.
    layer
        Layer to read instead of ``adata.X``.
    modality
        Modality of a MuData to read, and to write the result to (``mdata.mod[modality]``).
    min_fraction
        Genes that a smaller share of the group's cells express score 0 there and rank last: a gene
        seen in one cell of all is as specific as can be. 0 keeps all.
    n_genes
        Number of genes kept in the records; ``None``: all.
    key_added
        Name of the result. An existing ranking of genes (from this function or scanpy) with this
        name is overwritten; anything else raises an error.
    copy
        Return a changed copy and leave ``adata`` as it is.
    use_raw
        For compatibility with scanpy. ``adata.raw`` is never read: ``True`` raises an error that
        explains how to pass its values.

    Returns
    -------
    ``None``, or the copy. Written are the places of :func:`explain`, so that
    :func:`ace.get.explain_df`, :mod:`ace.pl` and scanpy's ``sc.pl.rank_genes_groups*`` take it by
    ``key=key_added``:

    ``adata.uns[key_added]``
        Records ``names``, ``scores`` (the specificity, with a minus where the mean of the group is
        below that of the other cells; ordered by size), ``logfoldchanges``, ``pvals`` and
        ``pvals_adj`` (NaN: there are none), ``enriched``, ``pct_in`` and ``pct_out``; ``params``;
        ``diagnostics``, of which only numbers of cells and seconds are known.
    ``adata.varm[key_added + "_scores"]``
        Signed scores, genes × groups. A ``/`` in a group's name becomes ``|`` in the column's.

    If these cannot be stored in a file, the alternative forms of :func:`explain` are used.

    Raises
    ------
    KeyError
        If the column or the layer does not exist.
    TypeError
        If ``key_added`` is not a string.
    ValueError
        If a group or number is not allowed, there is one group only, gene names repeat or are
        missing, values are NaN, infinite, negative or of different kinds, a MuData
        needs a ``modality``, ``adata`` is a view of a file or was opened lazily, a name
        cannot be stored in a file, or ``key_added`` names something else. Nothing is written in
        these cases.

    Warns
    -----
    UserWarning
        If the values are counts or have no logarithm, cells were normalised differently, or a
        group has a single cell.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k()
    >>> ace.tl.rank_specificity(adata, "bulk_labels")
    >>> [str(gene) for gene in adata.uns["rank_specificity"]["names"]["CD56+ NK"][:3]]
    ['CD160', 'XCL1', 'XCL2']
    """
    _checks.not_raw(use_raw)
    return _rank(adata, groupby, groups, layer, modality, min_fraction, n_genes, key_added, copy)


def _rank(
    adata: AnnData | MuData,
    groupby: str,
    groups: Literal["all"] | Iterable[str],
    layer: str | None,
    modality: str | None,
    min_fraction: float,
    n_genes: int | None,
    key_added: str,
    copy: bool,
) -> AnnData | MuData | None:
    began = time.perf_counter()
    given = cells_of(adata, modality)
    adata, groupby = given.adata, given.column(groupby)
    _checks.share(min_fraction, "min_fraction")
    _checks.positive(n_genes, "n_genes")
    _checks.unique_genes(adata)
    keys = ExplanationKeys(_storable.key(key_added))
    keys.require_free(adata)
    codes, names = _checks.groups_of(adata, groupby)
    chosen = _checks.chosen_groups(groups, names)
    fields = [names[group] for group in chosen]
    _storable.groups(fields, groupby)
    _checks.distinct([storable(field) for field in fields], fields)
    if copy and given.whole.isbacked:
        raise ValueError(
            "copy=True cannot copy an AnnData on disk: leave it out, or pass adata.to_memory()."
        )
    matrix = _checks.matrix_of(adata, layer)
    base = claimed_base(adata, layer)
    values = _value_checks.values_of(matrix, layer, base=base, groups=codes)
    _value_checks.warn_unless_log(values, layer)
    summary = summarise(matrix, codes, len(names))
    _checks.finite(summary.mean, adata.var_names, layer)
    _value_checks.not_negative(values, summary.mean, layer)
    _checks.warn_of_single_cells(summary.counts[chosen], fields)

    every = np.arange(adata.n_vars)
    tables = ExplanationTables(
        adata.var_names, every, summary, log_base(values, base), n_genes=n_genes
    )
    by_name = np.argsort(np.argsort(adata.var_names.to_numpy(dtype=object)))
    specific = _specificity(summary.mean)
    for group, field in zip(chosen, fields, strict=True):
        others = [g for g in range(len(names)) if g != group]
        difference = summary.mean[group] - summary.of_rest(others)[0]
        # In numbers of cells, which are whole: a share of 7 / 70 is a little less than 0.1.
        n_cells = summary.counts[group]
        kept = np.rint(summary.fraction[group] * n_cells) >= min_fraction * n_cells * (1 - 1e-12)
        size = np.where(kept, specific[group], 0.0)
        scores = (np.where(difference < 0, -1.0, 1.0) * size).astype(np.float32)
        # By the scores as they are stored; those that tie by the difference, never by position.
        order = np.lexsort((by_name, -np.abs(difference), -np.abs(scores)))
        numbers = {
            "n_cells": float(n_cells),
            "n_reference": float(summary.counts[others].sum()),
            "seconds": (time.perf_counter() - began) / len(chosen),
        }
        diagnostics = dict.fromkeys(DIAGNOSTICS, np.nan) | numbers
        tables.add(field, Attribution(scores, order), group, others, diagnostics)

    if copy:
        given = given.copied()
    written = keys.write(
        given.written,
        params={
            "groupby": groupby,
            "reference": "rest",
            "method": "specificity",
            "use_raw": False,
            "layer": layer,
            "corr_method": None,
            "min_fraction": float(min_fraction),
            "values": values.kind,
            "values_total": values.total,
        },
        records=tables.records(),
        scores=tables.scores(),
        frames={"diagnostics": tables.diagnostics()},
    )
    logger.info("ranked genes of %d groups by specificity; added %s", len(chosen), written)
    return given.whole if copy else None


def _specificity(mean: np.ndarray) -> np.ndarray:
    """Specificity of each gene to each group, groups × genes; 0 for genes that none expresses."""
    total = mean.sum(axis=0)
    profile = mean / np.where(total > 0, total, 1.0)
    entropy = _part_of_entropy(profile)
    # Adding the indicator to a profile changes what one group contributes to the entropy.
    halves = _part_of_entropy(profile / 2)
    mixed = halves.sum(axis=0) - halves + _part_of_entropy((profile + 1) / 2)
    divergence = mixed - entropy.sum(axis=0) / 2
    return np.where(total > 0, 1 - np.sqrt(np.clip(divergence, 0, 1)), 0.0)


def _part_of_entropy(p: np.ndarray) -> np.ndarray:
    """-p log₂ p, 0 for p = 0."""
    return -p * np.log2(np.where(p > 0, p, 1.0))
