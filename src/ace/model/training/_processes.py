"""Training in several processes that split each minibatch and share their metrics."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy

if TYPE_CHECKING:
    import numpy as np

#: Minimum number of cells per share: batch normalisation needs two.
MIN_SHARE = 2

_WITH_UNUSED_PARAMETERS = "_find_unused_parameters_true"
_STRATEGIES = ("ddp", "ddp_spawn", "ddp_fork", "ddp_notebook")


def share_of(rows: np.ndarray, process: int, n_processes: int) -> np.ndarray:
    """Rows of a minibatch for one process; all rows if there are too few to split."""
    if len(rows) < MIN_SHARE * n_processes:
        return rows
    return rows[process::n_processes]


def strategy_of(strategy: Any, devices: Any) -> Any:
    """Return a Lightning strategy that allows networks with unused parameters.

    Parameters
    ----------
    strategy
        The user's strategy; ``"auto"`` by default.
    devices
        The user's choice of devices.
    """
    several = isinstance(devices, int) and devices > 1
    several |= isinstance(devices, list | tuple) and len(devices) > 1
    if strategy == "auto" and several and not hasattr(sys, "ps1"):
        strategy = "ddp"
    if strategy in _STRATEGIES:
        return strategy + _WITH_UNUSED_PARAMETERS
    return strategy


def is_ddp(strategy: Any) -> bool:
    """Whether a Lightning strategy trains in several processes."""
    return "ddp" in strategy if isinstance(strategy, str) else isinstance(strategy, DDPStrategy)


def still_connected(trainer: Any) -> bool:
    """Whether the processes can still communicate after training.

    They cannot if they were started for the training only.
    """
    return trainer.world_size > 1 and dist.is_initialized()


def weight_of_share(n_cells: int, device: torch.device) -> torch.Tensor:
    """Weight of a process's mean loss, so that averaging gives the mean over all cells."""
    total = torch.tensor(float(n_cells), device=device)
    dist.all_reduce(total)
    return n_cells * dist.get_world_size() / total


def gathered(value: Any) -> list[Any]:
    """Return the values of all processes."""
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def of_first_process(value: Any) -> Any:
    """Return the value of the first process."""
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]
