"""The kinds of values that a matrix may hold."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal[
    "counts",
    "decimal counts",
    "normalised",
    "log-normalised",
    "log counts",
    "scaled",
    "binary",
    "mixed",
    "unknown",
]

#: Descriptions of the kinds, for messages.
NAMES: dict[str, str] = {
    "counts": "counts",
    "decimal counts": "counts with decimals (corrected for ambient RNA, or estimated)",
    "normalised": "normalised values without a logarithm",
    "log-normalised": "log-normalised values",
    "log counts": "logarithms of counts that were not normalised",
    "scaled": "scaled values (or values corrected for batches)",
    "binary": "only 0 and 1",
    "mixed": "values of several kinds",
    "unknown": "values of an unknown kind",
}

#: :attr:`Values.detail` of a constant matrix.
CONSTANT = "all values are the same"


@dataclass(frozen=True)
class Values:
    """Kind of values in a matrix.

    Parameters
    ----------
    kind
        Kind; ``"normalised"`` is not logged, ``"log counts"`` are not normalised.
    certain
        Whether no other kind would give such values.
    total
        Total of each cell before the logarithm, if it is the same for all.
    median
        Median total of the cells before the logarithm, over the genes used.
    base
        Base of the logarithm.
    detail
        How parts of the matrix differ, if they do; or why it is ``"unknown"`` or ``"scaled"``.
    """

    kind: Kind
    certain: bool = True
    total: float | None = None
    median: float | None = None
    base: float | None = None
    detail: str = ""

    @property
    def is_log(self) -> bool:
        """Whether the values are logarithms."""
        return self.kind in ("log-normalised", "log counts")

    @property
    def is_linear(self) -> bool:
        """Whether the values are proportional to counts."""
        return self.kind in ("counts", "decimal counts", "normalised")

    def to_dict(self) -> dict[str, Any]:
        """Convert to a dictionary, to be saved."""
        return asdict(self)
