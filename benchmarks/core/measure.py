"""Seconds and peak memory of a call, and times of epochs of training in turns."""

import ctypes
import gc
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.pytorch import Callback

from benchmarks.core.store import Values


class Cost(NamedTuple):
    """Cost of a call. Memory is the peak above what the process held before, in MB."""

    seconds: float
    peak_mb: float


def measure(call: Callable[[], Any]) -> tuple[Any, Cost]:
    """Run a call and return its result and its cost."""
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


class Clock(Callback):
    """Time from the start of each epoch to the start of the next: validation is included."""

    def __init__(self) -> None:
        self.starts: list[float] = []

    def on_train_epoch_start(self, *args: Any) -> None:
        """Note the time."""
        self.starts.append(time.perf_counter())

    on_train_end = on_train_epoch_start


def epochs(model: Any, n_epochs: int, **options: Any) -> list[float]:
    """Seconds of each epoch of a training."""
    clock = Clock()
    shared = {"accelerator": "cpu", "enable_progress_bar": False} | options
    model.train(max_epochs=n_epochs, callbacks=[clock], **shared)
    return list(np.diff(clock.starts))


def epochs_in_turns(
    calls: dict[str, Callable[[], list[float]]], rounds: int, **pairs: tuple[str, str]
) -> Values:
    """Median milliseconds of an epoch of each call, and ratios of the medians of pairs."""
    turns = [{name: call()[1:] for name, call in calls.items()} for _ in range(rounds)]
    found: Values = {"threads": torch.get_num_threads()}
    for name in calls:
        found[f"ms_{name}"] = 1e3 * median(s for turn in turns for s in turn[name])
    return found | {k: found[f"ms_{a}"] / found[f"ms_{b}"] for k, (a, b) in pairs.items()}


def in_fresh_process(call: Callable[..., Any], *arguments: Any) -> Any:
    """A call whose process holds nothing else."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(call, *arguments).result()
