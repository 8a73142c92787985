from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def select_groups(
    group: str | Iterable[str] | None, stored: Sequence[str], *, key: str
) -> list[str]:
    """Give the groups asked for, in the order asked for; all in stored order for ``None``.

    Raises
    ------
    KeyError
        If a group was not explained.
    ValueError
        If no group is asked for, or one is asked for twice.
    """
    if group is None:
        return list(stored)
    asked = [group] if isinstance(group, str) else list(group)
    unknown = [g for g in asked if g not in stored]
    if unknown:
        raise KeyError(
            f"{unknown} not among the explained groups of adata.uns[{key!r}]: {list(stored)}. "
            f"Name some of these, or explain more with ace.tl.explain(adata, groupby=..., "
            f"groups={unknown}, key_added=...)."
        )
    if not asked:
        raise ValueError(f"no group asked for; pass None for all of {list(stored)}.")
    twice = sorted({g for g in asked if asked.count(g) > 1})
    if twice:
        raise ValueError(f"{twice} asked for more than once; name each group once.")
    return asked
