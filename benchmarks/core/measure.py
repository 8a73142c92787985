"""Seconds and peak memory of a call."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Cost:
    """What a call took. Memory is the peak above what the process held before, in MB."""

    seconds: float
    peak_mb: float


def measure(call: Callable[[], Any]) -> tuple[Any, Cost]:
    """Run a call and give its result and what it took.

    On Linux the kernel's own high-water mark of resident memory is reset before the call, so no
    peak is missed. Elsewhere the mark cannot be reset, and a peak below an earlier one reads 0.
    """
    _release_memory()
    if _CLEAR.exists():
        _CLEAR.write_text("5")  # resets VmHWM of this process, see proc(5)
    before = _resident("VmRSS")
    start = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    return result, Cost(round(seconds, 4), round(max(_resident("VmHWM") - before, 0), 1))


def _release_memory() -> None:
    """Give freed memory back, so that what is held before a call is what is in use."""
    gc.collect()
    if sys.platform == "linux":
        try:
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        except (OSError, AttributeError):  # another C library: measured a little too low
            return


def _resident(field: str) -> float:
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith(field):
                return float(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)
