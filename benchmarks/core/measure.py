"""Seconds and peak memory of a call."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Cost(NamedTuple):
    """Cost of a call. Memory is the peak above what the process held before, in MB."""

    seconds: float
    peak_mb: float


def measure(call: Callable[[], Any]) -> tuple[Any, Cost]:
    """Run a call and return its result and its cost.

    On Linux the kernel's high-water mark of resident memory is reset before the call, so that no
    peak is missed. Elsewhere a peak below an earlier one reads 0.
    """
    gc.collect()
    if sys.platform == "linux":
        if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
            libc.malloc_trim(0)  # freed memory does not count as held
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM, see proc(5)
    before, start = _resident("VmRSS"), time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    return result, Cost(round(seconds, 4), round(max(_resident("VmHWM") - before, 0), 1))


def _resident(field: str) -> float:
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(field)) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)
