"""Check the arguments of training plans."""

from __future__ import annotations

import inspect
from typing import Any

from ace import _checks
from ace.model.training._plan import EpochPlan

#: Parameters of training plans that a model sets itself.
_SET_BY_MODEL = frozenset(
    ("module", "weights", "recluster", "attribution_loss", "warmup_epochs", "kwargs")
)
_ARGUMENTS_OF_TRAIN = ("lr", "weight_decay")


def plan_options(plan: type[EpochPlan], given: Any, **defaults: Any) -> dict[str, Any]:
    """Return the arguments of a training plan: the defaults, updated with ``plan_kwargs``.

    Raises
    ------
    TypeError
        If the plan has no such argument, or it is an argument of ``train``.
    """
    if given is None:
        return defaults
    known = {
        name
        for part in plan.__mro__
        if issubclass(part, EpochPlan)
        for name in list(inspect.signature(part.__init__).parameters)[1:]
    } - _SET_BY_MODEL
    check_plan_kwargs(given, known - set(_ARGUMENTS_OF_TRAIN), plan.__name__)
    if "eps" in given:
        _checks.number(given["eps"], "eps")
    return defaults | given


def check_plan_kwargs(given: Any, known: set[str], name: str) -> None:
    """Raise a ``TypeError`` unless ``plan_kwargs`` is a dictionary of known arguments."""
    if not isinstance(given, dict):
        raise TypeError(f"plan_kwargs must be a dictionary, got {given!r:.60}.")
    for argument in _ARGUMENTS_OF_TRAIN:
        if argument in given:
            raise TypeError(
                f"{argument} is an argument of train(): pass {argument}=... instead of "
                f"plan_kwargs={{{argument!r}: ...}}."
            )
    unknown = sorted(map(str, set(given) - known))
    if unknown:
        raise TypeError(f"plan_kwargs has no {unknown}; {name} takes {sorted(known)}.")
