"""Ranked panels by name: what may be given, and how two of them are compared."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from ace._checks._arguments import number
from ace._listed import listed
from ace.metrics._inputs import add_panel

#: ``{group: genes, best first}``, a frame with a column for each group, such a record array as
#: ``adata.uns["ace"]["names"]`` and ``adata.uns["rank_genes_groups"]["names"]``, or a table with a
#: row for each gene of each group, as ``adata.uns["ace"]["table"]`` and ``ace.get.explain_df``.
RankedPanels: TypeAlias = Mapping[Hashable, Iterable[Hashable]] | pd.DataFrame | np.ndarray

#: Persistence of the rank-biased overlap: the first 10 genes carry 86 % of its weight.
PERSISTENCE = 0.9


def check_ranked(panels: RankedPanels, n_top: int | None, *, of: str) -> dict[str, list[Hashable]]:
    """Give the first genes of each group, `n_top` or all, under the group's name as text."""
    columns: dict[Hashable, Any]
    if isinstance(panels, np.ndarray) and panels.dtype.names:
        columns = {name: panels[name] for name in panels.dtype.names}
    elif isinstance(panels, pd.DataFrame) and {"group", "gene", "score"} <= set(panels.columns):
        columns = dict(iter(panels.groupby("group", observed=True, sort=False)["gene"]))
    elif isinstance(panels, Mapping | pd.DataFrame):
        if isinstance(panels, pd.DataFrame) and not panels.columns.is_unique:
            msg = f"The panels of {of} have several columns of one name; rename them."
            raise ValueError(msg)
        columns = {name: panels[name] for name in panels}
    else:
        msg = (
            f"The panels of {of} must be {{group: genes, best first}}, a frame with a column for "
            f"each group, or adata.uns['ace']['names'], got {type(panels).__name__}."
        )
        raise ValueError(msg)
    if not columns:
        msg = f"The panels of {of} are empty; give {{group: genes, best first}}."
        raise ValueError(msg)
    checked: dict[str, list[Hashable]] = {}
    for group, genes in columns.items():
        if isinstance(genes, str) or not isinstance(genes, Iterable):
            msg = (
                f"The panel of {of} for group {group!r} must be a list of genes, got "
                f"{genes!r:.60}."
            )
            raise ValueError(msg)
        genes = list(genes)
        if not all(isinstance(gene, Hashable) for gene in genes):
            msg = f"The panel of {of} for group {group!r} must name genes, got {genes!r:.60}."
            raise ValueError(msg)
        # scanpy.tl.filter_rank_genes_groups puts NaN in the place of the genes that it removes.
        best = list(islice((gene for gene in genes if not pd.isna(gene)), n_top))
        if len(set(best)) < len(best):
            msg = f"The panel of {of} for group {group!r} names a gene twice."
            raise ValueError(msg)
        add_panel(checked, group, best, f"{of}")
    return checked


def check_methods(
    panels: Mapping[Hashable, RankedPanels], n_top: int
) -> dict[Hashable, dict[str, list[Hashable]]]:
    """Give the panels of each method."""
    if not isinstance(panels, Mapping):
        msg = (
            "panels must be {method: {group: genes, best first}}, got "
            f"{type(panels).__name__}."
        )
        raise TypeError(msg)
    if not panels:
        msg = "panels is empty; give {method: {group: genes, best first}}."
        raise ValueError(msg)
    return {m: check_ranked(own, n_top, of=f"method {m!r}") for m, own in panels.items()}


def check_group(panels: Mapping[Hashable, Mapping[str, object]], group: Hashable | None) -> str:
    """Name of the group to compare, which every method must have a panel for."""
    every = list(dict.fromkeys(name for own in panels.values() for name in own))
    if group is None and len(every) > 1:
        msg = f"There are panels for {listed(every)}; name one of these groups."
        raise ValueError(msg)
    name = every[0] if group is None else str(group)
    without = [method for method, own in panels.items() if name not in own]
    if without:
        msg = (
            f"The methods {listed(without)} have no panel for the group {name!r}; there are "
            f"{listed(every)}."
        )
        raise ValueError(msg)
    return name


def check_same_groups(panels: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Groups that all have a panel for, in the order of the first; fail if one lacks any."""
    every = list(dict.fromkeys(group for own in panels.values() for group in own))
    for of, own in panels.items():
        lacking = [group for group in every if group not in own]
        if lacking:
            msg = (
                f"{of} has no panel for {listed(lacking)}, which others have; leave these groups "
                "out."
            )
            raise ValueError(msg)
    return every


def check_persistence(persistence: float) -> float:
    """Raise if the persistence gives no weights."""
    number(persistence, "persistence", 0, 1, above=True, below=True)
    return float(persistence)


def jaccard(first: list[Hashable], second: list[Hashable]) -> float:
    """Shared genes as a share of those that are in either; NaN of two empty panels."""
    shared = len(set(first) & set(second))
    either = len(first) + len(second) - shared
    return shared / either if either else np.nan


def extrapolated_overlap(
    first: list[Hashable], second: list[Hashable], persistence: float
) -> float:
    """Webber's RBO_ext of two rankings without ties (Eq. 32); NaN if one is empty."""
    short, long = sorted((first, second), key=len)
    if not short:
        return np.nan
    depths = np.arange(1, len(long) + 1)
    seen_short: set[Hashable] = set()
    seen_long: set[Hashable] = set()
    shared = np.empty(len(long))
    for i, gene in enumerate(long):
        seen_long.add(gene)
        seen_short.update(short[i : i + 1])
        shared[i] = len(seen_short & seen_long)
    agreement = shared / depths
    # Below its end, the short ranking is taken to go on agreeing as much as it did there.
    n_short, at_end = len(short), shared[len(short) - 1]
    agreement += at_end * np.clip(depths - n_short, 0, None) / (n_short * depths)
    weights = (1 - persistence) / persistence * persistence**depths
    return float(weights @ agreement + persistence ** len(long) * agreement[-1])
