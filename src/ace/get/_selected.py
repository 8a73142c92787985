"""Read the explanation of selected groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
