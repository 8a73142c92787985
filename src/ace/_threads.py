"""How many threads the small matrices of an explanation get."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread inside the block, and leave the caller's settings as they were.

    An explanation is many products of small matrices. With several pools of threads (torch's,
    those of NumPy's and scikit-learn's libraries) each of them spins at its barriers while another
    computes: on two free cores it takes half as long again, and on busy ones ten times as long.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)
