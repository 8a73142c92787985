"""Recognise counts where normalised values are expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import issparse

if TYPE_CHECKING:
    from ace.model._reader import MatrixReader

#: Enough cells to see one value that is not an integer, if there is any.
N_CELLS_LOOKED_AT = 200


def looks_like_counts(reader: MatrixReader) -> bool:
    """Whether the first cells hold non-negative integers only, and not just zeros and ones."""
    part = reader.rows(np.arange(min(len(reader), N_CELLS_LOOKED_AT)))
    values = part.data if issparse(part) else np.asarray(part)
    if values.size == 0 or not np.isfinite(values).all():
        return False
    return bool(values.max() > 1 and values.min() >= 0 and (values == np.rint(values)).all())
