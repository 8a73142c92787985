"""State that all threads of a process share: one computation at a time may change it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Held while PyTorch's global random state or number of threads is changed for a computation.
#: Dropout and the samplers of scvi-tools draw from the global generator only, so two threads that
#: train or explain at once would draw from each other's stream; they take turns instead.
GLOBAL_STATE = threading.RLock()


# A thread that is started later computes on as many threads as were set explicitly.
torch.set_num_threads(torch.get_num_threads())


@contextmanager
def threads_of_the_process() -> Iterator[None]:
    """Compute on the same number of threads wherever the block is run: sums depend on it."""
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
    """Compute on one thread inside the block, and leave the caller's settings as they were.

    An explanation is many products of small matrices. With several pools of threads (torch's,
    those of NumPy's and scikit-learn's libraries) each of them spins at its barriers while another
    computes: on two free cores it takes half as long again, and on busy ones ten times as long.
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
    """Seed PyTorch inside the block, and leave its global random state as it was.

    Parameters
    ----------
    seed
        The seed.
    device
        Device of the computation; ``None``: any that there is.
    """
    if device is not None:
        devices = [device] if device.type == "cuda" else []
    else:
        devices = [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    with GLOBAL_STATE, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
