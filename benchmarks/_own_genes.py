"""Which genes of a panel no other method has: told from kept panels whenever it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from _evidence import is_baseline

if TYPE_CHECKING:
    from collections.abc import Iterable


def own_genes(row: pd.Series, others: Iterable[pd.Series], group: str) -> list[str]:
    """Genes of a row's panel of a group that are in no other row's, best first."""
    theirs = {gene for other in others for gene in other["genes"][group]}
    return [gene for gene in row["genes"][group] if gene not in theirs]


def with_own_genes(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of overlap.json with what no baseline (no other one) of the same set and seed has."""
    if not len(rows):
        return rows
    told = [_told(row, rows) for _, row in rows.iterrows()]
    return rows.assign(**pd.DataFrame(told, index=rows.index))


def _told(row: pd.Series, rows: pd.DataFrame) -> dict[str, Any]:
    same = rows[(rows["data"] == row["data"]) & (rows["seed"] == row["seed"])]
    others = [
        other
        for _, other in same.iterrows()
        if is_baseline(other["method"]) and other["method"] != row["method"]
    ]
    if not others:
        return {}
    own = {group: own_genes(row, others, group) for group in row["genes"]}
    mine = own[row["group"]]
    return {
        "n_only": len(mine),
        "n_only_all_types": float(np.mean([len(genes) for genes in own.values()])),
        "n_only_depleted": len(set(mine) & set(row["depleted"][row["group"]])),
        "only": ", ".join(mine),
    }
