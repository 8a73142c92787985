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
    frame = pd.concat(parts, ignore_index=True) if parts else _empty()
    sizes = {f: np.nan if q is None else float(q.panel_size) for f, q in found.items()}
    return frame[list(COLUMNS)], sizes


def rules_frame(
    found: Mapping[str, Quality | None],
    records: Mapping[str, Mapping[str, np.ndarray]],
    sample: Sample,
    comparisons: Comparisons,
    columns: Mapping[str, int],
) -> pd.DataFrame:
    """Rule of each panel, with its precision and recall on held-out cells.

    Parameters
    ----------
    found
        Quality of each field; fields without one, or with an empty panel, have no rule.
    records
        The ranking: names and scores of the genes of each field.
    sample, comparisons
        The cells, and what is compared.
    columns
        Position of each gene among the features of the cells.
    """
    cells, rows = sample.cells, []
    share = cells.sizes / np.array([len(part) for part in cells.groups])
    coded = zip(comparisons.fields, sample.coded(comparisons), strict=True)
    for field, (source, reference) in coded:
        quality = found[field]
        if quality is None or quality.panel_size == 0:
            continue
        ranked = records["names"][field][: min(quality.panel_size, N_GENES)]
        genes = [str(name) for name in ranked if name in columns]
        groups = [source, *cells.others(source, reference)]
        index = np.array([columns[gene] for gene in genes])
        x = np.concatenate([cells[group].columns(index) for group in groups])
        code = np.repeat(groups, [len(cells[group]) for group in groups])
        rule = fit_rule(x, share[code], code == source)
        used = [condition.gene for condition in rule]
        rows.append(
            {"group": field, "rule": in_words(rule, genes), "n_genes": len(set(used))}
            | quality.rule
        )
    names = ["group", "rule", "n_genes", "precision", "precision_se", "recall", "recall_se"]
    return pd.DataFrame(rows, columns=names)


def _empty() -> pd.DataFrame:
    text: dict[str, Any] = dict.fromkeys(("group", "against"), object)
    types = dict.fromkeys(COLUMNS, float) | text | {"n_genes": int}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})
