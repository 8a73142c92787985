"""Training that ends well, or leaves the model as it was."""

from __future__ import annotations

import copy
import functools
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ace._threads import GLOBAL_STATE, threads_of_the_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch

    from ace.model._latent import LatentModel

#: What a part of a network may keep besides its weights.
_PLAIN = (bool, int, float, str, tuple, type(None))


def all_or_nothing(train: Callable[..., None]) -> Callable[..., None]:
    """Make ``train`` a transaction, one at a time in a process.

    If it raises, or is interrupted by Ctrl-C, the weights and all that the model knows of its
    training are those from before the call, and the exception goes on to the caller. What a
    training leaves behind is checked: it ends in an error if the network's outputs are not finite.
    """

    @functools.wraps(train)
    def transaction(self: LatentModel, *args: Any, **kwargs: Any) -> None:
        with GLOBAL_STATE, threads_of_the_process(), _interruptible(), _rolled_back(self):
            train(self, *args, **kwargs)
            self._require_finite_outputs()

    return transaction


@contextmanager
def _rolled_back(model: LatentModel) -> Iterator[None]:
    """Restore the model if an exception leaves the block."""
    attributes = dict(vars(model))
    history = model.history_
    if isinstance(history, dict):
        attributes["history_"] = dict(history)  # scvi-tools adds to it in place
    before = copy.deepcopy(model.module)
    try:
        yield
    except BaseException:
        _copy_state(before, model.module)
        model.__dict__.clear()
        model.__dict__.update(attributes)
        raise


def _copy_state(source: torch.nn.Module, target: torch.nn.Module) -> None:
    """Give a network the state of its copy; its parameters stay the same objects."""
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
    """Let Ctrl-C end the training only.

    Lightning answers it by ``sys.exit``, which ends the interpreter, and ignores it from then on.
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
