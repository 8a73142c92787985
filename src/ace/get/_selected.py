"""Read the explanation of selected groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ace._checks._figures import selected_groups

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def explained_groups(
    groups: str | Iterable[str] | None, known: Sequence[str], key: str, *, at_least: int = 1
) -> list[str]:
    """Return the selected groups of an explanation; see :func:`selected_groups`."""
    return selected_groups(
        groups,
        known,
        f"adata.uns[{key!r}]",
        at_least=at_least,
        fix=" To explain more: ace.tl.explain(adata, groupby=..., groups=[...], key_added=...).",
    )


def rows_of(frame: pd.DataFrame | None, groups: Sequence[str], missing: str) -> pd.DataFrame:
    """Return the rows of some groups, in their order, of a table that the quality comes with.

    Raises
    ------
    KeyError
        If there is no such table; the message begins with ``missing``.
    """
    if frame is None:
        raise KeyError(f"{missing}. Run ace.tl.explain(..., quality=True).")
    kept = frame[frame["group"].isin(groups)]
    kept = kept.assign(group=pd.Categorical(kept["group"], categories=groups))
    return kept.sort_values("group", kind="stable").reset_index(drop=True)
