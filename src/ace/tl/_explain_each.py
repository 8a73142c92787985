"""The comparisons of an explanation, one after another."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ace import _checks
from ace.tl._cell_layer import CellLayer
from ace.tl._progress import tracked

if TYPE_CHECKING:
    from ace.explain import Method
    from ace.tl._comparisons import Comparisons
    from ace.tl._sample import Sample
    from ace.tl._tables import ExplanationTables


def explain_each(
    method: Method,
    comparisons: Comparisons,
    sample: Sample,
    fidelity: np.ndarray,
    tables: ExplanationTables,
    progress: bool | None,
) -> tuple[Any, np.ndarray] | None:
    """Explain each comparison, and add it to the tables.

    Parameters
    ----------
    method
        The method, with its scorer and cells.
    comparisons
        The comparisons.
    sample
        The cells.
    fidelity
        Fidelity of each group.
    tables
        Tables that the results are added to.
    progress
        Show a progress bar; ``None`` only if the work takes long.

    Returns
    -------
    Attributions of individual cells, cells × genes, and whether each cell was explained; ``None``
    unless the method keeps them.
    """
    layer = None
    if method.per_cell:
        rows = np.concatenate([sample.rows[source] for source, _ in comparisons.pairs])
        shape = (len(comparisons.groups.codes), tables.n_genes)
        layer = CellLayer(shape, np.sort(rows), tables.columns)
    names = np.array(method.scorer.groups, dtype=object)
    pairs = tracked(comparisons.pairs, progress)
    for (source, reference), field in zip(pairs, comparisons.fields, strict=True):
        began = time.perf_counter()
        codes = sample.code[source], None if reference is None else sample.code[reference]
        found = method(*codes)
        ranked = found.scores[method.eligible_for(*codes)]
        _checks.finite_scores(ranked, field, method.info.name)
        others = comparisons.others(source, reference)
        diagnostics = {
            "fidelity": fidelity[source],
            "n_cells": len(sample.rows[source]),
            "n_reference": sum(len(sample.rows[group]) for group in others),
            **found.diagnostics,
            "seconds": time.perf_counter() - began,
        }
        against, mixed = method.cells.separation(*codes)
        if found.against is not None:
            against = found.against
        separation = {"against": names[against], "mixed": mixed}
        tables.add(field, found, source, others, diagnostics, separation)
        if layer is not None and found.per_cell is not None:
            layer.add(sample.rows[source], found.per_cell, found.scores)
    return None if layer is None else (layer.matrix(), layer.explained)
