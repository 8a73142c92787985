from __future__ import annotations

from typing import TYPE_CHECKING

from ace._listed import listed

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
            f"{listed(unknown)} not among the explained groups of adata.uns[{key!r}]: "
            f"{listed(stored)}. Name some of these, or explain more with "
            f"ace.tl.explain(adata, groupby=..., groups={listed(unknown)}, key_added=...)."
        )
    if not asked:
        raise ValueError(f"no group asked for; pass None for all of {listed(stored)}.")
    twice = sorted({g for g in asked if asked.count(g) > 1})
    if twice:
        raise ValueError(f"{listed(twice)} asked for more than once; name each group once.")
    return asked
