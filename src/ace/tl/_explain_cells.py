"""The explanation of the cells of one object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from ace import _checks
from ace.explain import Method, fidelity
from ace.explain._certificate import certify
from ace.tl._explain_each import explain_each
from ace.tl._explained import Explained, Settings
from ace.tl._expression import read_expression
from ace.tl._marginal_tests import marginal_p_values
from ace.tl._merged_groups import scorer_of
from ace.tl._quality import quality_frame, rules_frame
from ace.tl._sample import draw_sample
from ace.tl._tables import ExplanationTables

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData

    from ace.explain import GroupedCells, GroupScorer
    from ace.tl._comparisons import Comparisons
    from ace.tl._sample import Sample
    from ace.tl._sources import Scored, Source


def explain_cells(
    adata: AnnData,
    source: Source,
    comparisons: Comparisons,
    settings: Settings,
    progress: bool | None,
) -> Explained:
    """Explain groups of the cells of one object.

    Parameters
    ----------
    adata
        The cells.
    source
        Source of the scorer.
    comparisons
        The comparisons.
    settings
        Arguments of :func:`ace.tl.explain`.
    progress
        Show a progress bar; ``None`` only if the work takes long.
    """
    matrix, logs, seed = source.matrix, source.expects_logarithms, settings.random_state
    groups, n_prototypes = comparisons.groups, settings.n_prototypes
    expression = read_expression(adata, matrix, source.layer, comparisons, expect_logs=logs)
    scored = scorer_of(source, groups, n_prototypes, seed)
    sizes = expression.summary.counts
    sample = draw_sample(matrix, groups, sizes, scored, settings.n_cells, seed)
    agreement, overall = _fidelity(scored, sample, sizes, n_prototypes)

    kind = Method.registry[settings.method]
    eligible = None if settings.mask is None else settings.mask[scored.columns]
    if eligible is not None and not eligible.any():
        raise _checks.nothing_eligible(source.name)

    def method_for(scorer: GroupScorer, cells: GroupedCells, **options: Any) -> Method:
        method = kind(scorer, cells, random_state=seed, **options | settings.options)
        return method.restrict(eligible=eligible, direction=settings.direction)

    explainer = method_for(scored.scorer, sample.cells, per_cell=settings.per_cell)
    tables = ExplanationTables(adata.var_names, scored.columns, expression, settings.n_genes)
    cells = explain_each(explainer, comparisons, sample, agreement, tables, progress)
    parts = tables.parts()
    if settings.quality:
        found = certify(
            lambda fold: method_for(fold.scorer, fold.fitted, **kind.fold_options).ranked,
            scored.scorer,
            sample.cells,
            sample.coded(comparisons),
            random_state=seed,
        )
        quality = dict(zip(comparisons.fields, found, strict=True))
        frame, panel_sizes = quality_frame(quality, scored.scorer.groups)
        parts["frames"]["quality"] = frame
        parts["frames"]["rules"] = rules_frame(
            quality, parts["scores"], sample, comparisons, scored.columns
        )
        parts["frames"]["diagnostics"]["panel_size"] = pd.Series(panel_sizes)
    if settings.pvals is not None:
        names = parts["records"]["names"]
        parts["records"] |= marginal_p_values(
            matrix, comparisons, settings.pvals, names, adata.var_names
        )
    params = {
        "scorer": type(scored.scorer).__name__,
        "fidelity": overall,
        "n_prototypes": scored.n_prototypes,
        "n_eligible": len(scored.columns) if eligible is None else int(eligible.sum()),
        "values": expression.values.kind,
        "values_total": expression.values.total,
    }
    return Explained(parts, params, int(sizes.sum()), cells)


def _fidelity(
    scored: Scored, sample: Sample, sizes: np.ndarray, n_prototypes: int | None
) -> tuple[np.ndarray, float]:
    """Fidelity of each group and over all cells; warns if one of them is low."""
    scorer = scored.scorer
    by_group = fidelity(scorer, sample.cells)[sample.code]
    overall = float(sizes @ by_group / sizes.sum())
    names = [scorer.groups[code] for code in sample.code]
    _checks.warn_of_low_fidelity(overall, by_group, names, scored.advice(n_prototypes))
    return by_group, overall
