"""A progress bar for work that takes long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

T = TypeVar("T")

#: Expected duration in seconds from which a progress bar is shown.
LONG_WORK = 10.0


def tracked(comparisons: Sequence[T], progress: bool | None) -> Iterator[T]:
    """Yield the comparisons, with a progress bar on request or if the work takes long."""
    # The first comparison includes shared work; the second shows the time per comparison.
    n_timed = 0 if progress else min(2, len(comparisons))
    began = time.perf_counter()
    for comparison in comparisons[:n_timed]:
        began = time.perf_counter()
        yield comparison
    rest = comparisons[n_timed:]
    expected = (time.perf_counter() - began) * len(rest)
    if rest and (progress or (progress is None and expected > LONG_WORK)):
        # scvi-tools takes seconds to import, so it is imported only for work that takes longer.
        from scvi.utils import track

        yield from track(rest, description="Explaining groups")
    else:
        yield from rest
