"""Check arguments: numbers in a range, choices, seeds and column names."""

from __future__ import annotations

import difflib
import math
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ace._listed import listed

if TYPE_CHECKING:
    from collections.abc import Collection

#: Smallest integer that does not fit into 64 bits.
TOO_LARGE = 2**63
#: Largest seed of NumPy's legacy generator, which scikit-learn uses.
LARGEST_SEED = 2**32 - 1


def whole(
    value: Any,
    name: str,
    lowest: int | None = None,
    highest: int | None = None,
    *,
    optional: bool = False,
) -> None:
    """Raise a ``ValueError`` unless ``value`` is a whole number in a range.

    Parameters
    ----------
    value
        The argument: an integer of Python or NumPy, not a Boolean, float or string.
    name
        Its name.
    lowest, highest
        The range, inclusive; by default any positive number.
    optional
        Allow ``None``.
    """
    if value is None and optional:
        return
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    fewest = 1 if lowest is None else lowest
    last = TOO_LARGE - 1 if highest is None else highest
    if is_whole and fewest <= value <= last:
        return
    if lowest is None:
        kind = "a positive whole number"
    else:
        kind = f"a whole number from {lowest}" + (f" to {highest}" if highest is not None else "")
    raise ValueError(f"{name} must be {kind}{' or None' * optional}, got {value!r:.60}.")


def number(
    value: Any,
    name: str,
    lowest: float = 0,
    highest: float = math.inf,
    *,
    above: bool = False,
    below: bool = False,
    optional: bool = False,
) -> None:
    """Raise a ``ValueError`` unless ``value`` is a finite number in a range.

    Parameters
    ----------
    value
        The argument: a number of Python or NumPy, not a Boolean or string.
    name
        Its name.
    lowest, highest
        The range.
    above, below
        Exclude the lower or the upper end of the range.
    optional
        Allow ``None``.
    """
    if value is None and optional:
        return
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            given = float(value)
        except OverflowError:  # a whole number of hundreds of digits
            given = math.inf
        high_enough = given > lowest if above else given >= lowest
        low_enough = given < highest if below else given <= highest
        if math.isfinite(given) and high_enough and low_enough:
            return
    raise ValueError(
        f"{name} must be {_kind(lowest, highest, above, below)}{' or None' * optional}, "
        f"got {value!r:.60}."
    )


def _kind(lowest: float, highest: float, above: bool, below: bool) -> str:
    """Describe a range of numbers."""
    if above and below:
        return f"a number between {lowest:g} and {highest:g}"
    first = f"{'above' if above else 'from'} {lowest:g}" if math.isfinite(lowest) else ""
    last = f"{'below' if below else 'to'} {highest:g}" if math.isfinite(highest) else ""
    kind = "a number" if first or last else "a finite number"
    return " ".join(part for part in (kind, first, last) if part)


def one_of(value: Any, name: str, allowed: Collection[Any]) -> None:
    """Raise a ``ValueError`` that suggests a similar value if ``value`` is not allowed."""
    try:
        known = value in allowed
    except (TypeError, ValueError):  # comparing arrays or pandas.NA gives no truth value
        known = False
    if known:
        return
    near = difflib.get_close_matches(str(value), [str(a) for a in allowed], n=3)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{name}={value!r:.80} is not one of {listed(allowed, 30)}.{hint}")


def seed(value: Any, name: str = "random_state") -> None:
    """Raise a ``ValueError`` unless ``value`` can seed every random number generator in use."""
    whole(value, name, 0, LARGEST_SEED)


def positive(value: Any, name: str, *, optional: bool = True) -> None:
    """Raise a ``ValueError`` unless ``value`` is a positive whole number, or ``None``."""
    whole(value, name, optional=optional)


def share(value: Any, name: str) -> None:
    """Raise a ``ValueError`` unless ``value`` is a fraction, from 0 to 1."""
    number(value, name, 0, 1)


def layers(units: Any, name: str) -> tuple[int, ...]:
    """Return the width of each hidden layer; a single number is one layer."""
    each = units if isinstance(units, list | tuple | np.ndarray) else (units,)
    if not len(each):
        raise ValueError(
            f"{name} must have at least one layer, such as {name}=(64,), got {units!r}."
        )
    for width in each:
        whole(width, f"{name} (width of each hidden layer)")
    return tuple(int(n) for n in each)


def category(value: Any, name: str) -> None:
    """Raise a ``ValueError`` unless a value can be a category: a string, a number or ``None``."""
    if not pd.api.types.is_scalar(value) or (value is not None and pd.isna(value)):
        raise ValueError(
            f"{name} must be a category, such as 'Unknown', or None, got {value!r:.60}."
        )


def column_names(keys: Any, name: str) -> tuple[str, ...]:
    """Return the names in an argument that takes ``None``, one column or a list of them."""
    if keys is None:
        return ()
    names = (keys,) if isinstance(keys, str) else keys
    if not isinstance(names, list | tuple) or not all(isinstance(key, str) for key in names):
        raise TypeError(
            f"{name} must be the name of a column of obs, or a list of names, got {keys!r:.60}."
        )
    return tuple(names)


def n_jobs(value: Any) -> None:
    """Raise a ``ValueError`` unless joblib accepts the number of workers (it may be negative)."""
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if value is not None and (not is_whole or value == 0):
        raise ValueError(
            f"n_jobs must be a whole number other than 0, or None, got {value!r:.60}."
        )
