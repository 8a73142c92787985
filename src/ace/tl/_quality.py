"""The quality of panels, and their rules, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ace.explain._certificate import MEASURES
from ace.explain._rules import N_GENES, fit_rule, in_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ace.explain._certificate import Quality
    from ace.tl._comparisons import Comparisons
    from ace.tl._sample import Sample

#: Columns of the table, one row per number of genes of each group.
COLUMNS = ("group", "n_genes", *MEASURES, "against")
#: Columns of the table of rules, one row per group.
RULE_COLUMNS = ("group", "rule", "n_genes", "precision", "precision_se", "recall", "recall_se")


def quality_frame(
    found: Mapping[str, Quality | None], groups: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Table of the quality of all panels, and the size of each.

    Parameters
    ----------
    found
        Quality of each field; ``None`` if it has too few cells, which leaves it out of the table.
    groups
        Groups of the scorer.
    """
    parts = [
        pd.DataFrame(
            {"group": field, "n_genes": quality.n_genes}
            | quality.measures
            | {"against": groups[quality.against]}
        )
        for field, quality in found.items()
        if quality is not None
    ]
    frame = pd.concat(parts, ignore_index=True) if parts else _empty(COLUMNS)
    sizes = {f: np.nan if q is None else float(q.panel_size) for f, q in found.items()}
    return frame[list(COLUMNS)], sizes


def rules_frame(
    found: Mapping[str, Quality | None],
    scores: pd.DataFrame,
    sample: Sample,
    comparisons: Comparisons,
    columns: np.ndarray,
) -> pd.DataFrame:
    """Rule of each panel, with its precision and recall on held-out cells.

    Parameters
    ----------
    found
        Quality of each field; fields without one, or with an empty panel, have no rule.
    scores
        Signed scores, all genes × fields.
    sample, comparisons
        The cells, and what is compared.
    columns
        Rows of ``scores`` that are the features of the cells.
    """
    cells, rows = sample.cells, []
    share = cells.sizes / np.array([len(part) for part in cells.groups])
    coded = zip(comparisons.fields, sample.coded(comparisons), strict=True)
    for field, (source, reference) in coded:
        quality = found[field]
        if quality is None or quality.panel_size == 0:
            continue
        size = np.nan_to_num(np.abs(scores[field].to_numpy()[columns]), nan=-1)
        index = np.argsort(-size, kind="stable")[:N_GENES]
        index = index[size[index] >= 0]
        genes = [str(gene) for gene in scores.index[columns[index]]]
        groups = [source, *cells.others(source, reference)]
        x = np.concatenate([cells[group].columns(index) for group in groups])
        code = np.repeat(groups, [len(cells[group]) for group in groups])
        rule = fit_rule(x, share[code], code == source)
        used = [condition.gene for condition in rule]
        rows.append(
            {"group": field, "rule": in_words(rule, genes), "n_genes": len(set(used))}
            | quality.rule
        )
    return pd.DataFrame(rows) if rows else _empty(RULE_COLUMNS)


def _empty(columns: Sequence[str]) -> pd.DataFrame:
    """A table without rows, with the types that it would have."""
    types: dict[str, Any] = dict.fromkeys(columns, float)
    types |= {name: object for name in ("group", "against", "rule") if name in types}
    types["n_genes"] = int
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})
