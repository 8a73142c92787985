"""The values of the genes: their kind, and a summary for each group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ace import _checks
from ace._checks import _value_checks
from ace._matrix import GroupSummary, LogCounts, summarise
from ace._values import claimed_base, log_base

if TYPE_CHECKING:
    from anndata import AnnData

    from ace._values import Values
    from ace.tl._comparisons import Comparisons


@dataclass(frozen=True)
class Expression:
    """Values of the genes.

    Attributes
    ----------
    values
        Kind of values.
    log_base
        Base of their logarithm; ``None`` if they are not logarithms.
    summary
        Mean, and fraction of cells with a value other than 0, of each gene in each group.
    """

    values: Values
    log_base: float | None
    summary: GroupSummary


def read_expression(
    adata: AnnData,
    matrix: Any,
    layer: str | None,
    comparisons: Comparisons,
    *,
    expect_logs: bool,
) -> Expression:
    """Read the matrix once, check its values, and summarise them.

    Parameters
    ----------
    adata
        The cells.
    matrix
        Their expression, all genes.
    layer
        Layer that it is read from, for messages.
    comparisons
        The groups, and those of them that are compared.
    expect_logs
        Warn if values are not log-normalised.

    Raises
    ------
    ValueError
        If values are not finite, or of different kinds in different cells.
    """
    groups, involved = comparisons.groups, comparisons.involved
    base = claimed_base(adata, layer)
    values = _value_checks.values_of(matrix, layer, base=base, groups=groups.codes)
    if expect_logs:
        _value_checks.warn_unless_log(values, layer)
    summary = summarise(matrix, groups.codes, len(groups))
    _checks.finite(summary.mean, adata.var_names, layer)
    _checks.warn_of_few_cells(summary.counts[involved], [groups.names[g] for g in involved])
    # Fold changes, by scanpy's formula, are only defined for logarithms.
    known = values.base if isinstance(matrix, LogCounts) else log_base(values, base)
    return Expression(values, known, summary)
