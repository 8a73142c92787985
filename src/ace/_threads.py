"""Global state shared by all threads, which only one computation may change at a time."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Held while PyTorch's global random state or number of threads is changed for a computation.
#: Dropout and scvi-tools' samplers use the global generator, so threads that train or explain at
#: the same time would interfere; they take turns instead.
GLOBAL_STATE = threading.RLock()


# New Python threads use the number of PyTorch threads only if it was set explicitly.
torch.set_num_threads(torch.get_num_threads())


@contextmanager
def threads_of_the_process() -> Iterator[None]:
    """Use the same number of PyTorch threads in every Python thread, as sums depend on it."""
    before = torch.get_num_threads()
    found: list[int] = []
    fresh = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    fresh.start()
    fresh.join()
    torch.set_num_threads(found[0])
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on a single thread inside the block, and restore the settings afterwards.

    Explanations multiply many small matrices. With several thread pools (those of PyTorch, NumPy
    and scikit-learn), idle pools busy-wait while another computes, which takes 1.5 times as long
    on two free cores and ten times as long on busy ones.
    """
    with GLOBAL_STATE:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with threadpool_limits(1):
                yield
        finally:
            torch.set_num_threads(before)


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed PyTorch inside the block, and restore its global random state afterwards.

    Parameters
    ----------
    seed
        The seed.
    device
        Device of the computation. If ``None``, all devices are seeded.
    """
    if device is not None:
        devices = [device] if device.type == "cuda" else []
    else:
        devices = [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    with GLOBAL_STATE, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
