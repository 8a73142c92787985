"""Shorten lists of names for messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Maximum number of names in a message, and maximum length of each.
MOST, LONGEST = 10, 60


def listed(names: Iterable[Any], most: int = MOST) -> str:
    """Format names as a list, with the first ``most`` names if there are more.

    Parameters
    ----------
    names
        Names of groups, genes or columns.
    most
        Maximum number of names.

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
