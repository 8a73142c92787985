"""Lists of names in messages, short however many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Names that a message shows, and characters that it shows of each.
MOST, LONGEST = 10, 60


def listed(names: Iterable[Any], most: int = MOST) -> str:
    """Write names as a list, the first ``most`` of them if there are more.

    Parameters
    ----------
    names
        What the user named: groups, genes, columns.
    most
        Names to show.

    Returns
    -------
    Text such as ``"['B', 'NK']"``, or ``"['B', 'NK', ...] and 790 more"``.
    """
    every = list(names)
    shown = ", ".join(_short(name) for name in every[:most])
    left_out = len(every) - most
    return f"[{shown}, ...] and {left_out} more" if left_out > 0 else f"[{shown}]"


def _short(name: Any) -> str:
    text = repr(name.item() if isinstance(name, np.generic) else name)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]}...{text[-1]}"
