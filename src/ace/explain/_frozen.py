"""Modules in evaluation mode, without gradients on parameters, and their device."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Put a module in evaluation mode, without gradients on parameters, and restore it after."""
    modes = [(part, part.training) for part in module.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    module.eval()
    for parameter, _ in flags:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
        for parameter, requires_grad in flags:
            parameter.requires_grad_(requires_grad)


def device_of(module: nn.Module) -> torch.device:
    """Device of the first parameter or buffer of a module; the CPU if there is none."""
    tensors = (*module.parameters(), *module.buffers())
    return tensors[0].device if tensors else torch.device("cpu")
