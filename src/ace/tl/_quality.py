"""The quality of panels as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ace.explain._certificate import MEASURES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ace.explain._certificate import Quality

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


def _empty() -> pd.DataFrame:
    text: dict[str, Any] = dict.fromkeys(("group", "against"), object)
    types = dict.fromkeys(COLUMNS, float) | text | {"n_genes": int}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in types.items()})
