"""Results in a copy of the user's object."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ace._checks._objects import Cells


def require_copyable(given: Cells, copy: bool) -> None:
    """Raise if ``copy`` is true and the object is on disk."""
    if copy and given.whole.isbacked:
        raise ValueError(
            "copy=True cannot copy an AnnData on disk. Leave copy out, or pass adata.to_memory()."
        )
