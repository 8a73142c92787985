"""Training that either succeeds or leaves the model unchanged."""

from __future__ import annotations

import copy
import functools
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ace._threads import GLOBAL_STATE, threads_of_the_process
from ace.model.base._outputs import NotFiniteError
from ace.model.training._plan import diverged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch

    from ace.model.base._gene_model import GeneModel

#: Number of cells whose outputs are checked after training.
N_CELLS_CHECKED = 256
#: Types of the plain attributes of a submodule that are restored with its weights.
_PLAIN = (bool, int, float, str, tuple, type(None))


def all_or_nothing(train: Callable[..., None]) -> Callable[..., None]:
    """Make ``train`` a transaction; only one runs at a time in a process.

    If ``train`` raises, or is interrupted by Ctrl-C, the weights and attributes of the model are
    restored to their state before the call, and the exception is re-raised. The call also fails
    if the outputs of the trained network are not finite.
    """

    @functools.wraps(train)
    def transaction(model: GeneModel, *args: Any, **kwargs: Any) -> None:
        with GLOBAL_STATE, threads_of_the_process(), _interruptible(), _rolled_back(model):
            train(model, *args, **kwargs)
            _require_finite_outputs(model)

    return transaction


def _require_finite_outputs(model: GeneModel) -> None:
    """Raise if outputs of the trained network are not finite for a sample of its cells."""
    rows = np.unique(np.linspace(0, model.adata.n_obs - 1, N_CELLS_CHECKED).astype(np.int64))
    try:
        model._sample_outputs(rows)
    except NotFiniteError as error:
        raise diverged(str(error)) from None


@contextmanager
def _rolled_back(model: GeneModel) -> Iterator[None]:
    """Restore the model if the block raises."""
    attributes = dict(vars(model))
    history = model.history_
    if isinstance(history, dict):
        attributes["history_"] = dict(history)  # scvi-tools modifies it in place
    before = copy.deepcopy(model.module)
    try:
        yield
    except BaseException:
        _copy_state(before, model.module)
        model.__dict__.clear()
        model.__dict__.update(attributes)
        raise


def _copy_state(source: torch.nn.Module, target: torch.nn.Module) -> None:
    """Copy the state of ``source`` to ``target``, keeping its parameter objects."""
    for old, new in zip(source.modules(), target.modules(), strict=True):
        for name, parameter in new.named_parameters(recurse=False):
            parameter.data = getattr(old, name).data
            parameter.requires_grad_(getattr(old, name).requires_grad)
            parameter.grad = None
        for name, _ in new.named_buffers(recurse=False):
            setattr(new, name, getattr(old, name))
        plain = {key: value for key, value in vars(old).items() if isinstance(value, _PLAIN)}
        new.__dict__.update(plain)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C raise ``KeyboardInterrupt`` and keep the interpreter running.

    Lightning calls ``sys.exit`` on Ctrl-C and ignores later interrupts.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT) if in_main_thread else None
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
