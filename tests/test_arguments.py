"""Which values are numbers, and how it is said that others are none."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ace import _checks
from ace._checks._arguments import number, seed, whole

NO_NUMBERS = [True, np.True_, "3", b"3", [3], (3,), np.array(3), np.array([3]), 3 + 0j, object()]


@pytest.mark.parametrize("value", [*NO_NUMBERS, 2.0, np.float32(2), np.nan, None, 0, -1])
def test_no_positive_whole_number(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^n must be a positive whole number, got "):
        whole(value, "n")


@pytest.mark.parametrize("value", [1, np.int64(7), np.uint8(255), 2**63 - 1])
def test_positive_whole_number(value: Any) -> None:
    whole(value, "n")


@pytest.mark.parametrize("value", [*NO_NUMBERS, np.nan, np.inf, -np.inf, 10**400, None])
def test_no_number(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^rate must be a number from 0, got "):
        number(value, "rate")


@given(st.floats(), st.floats(-5, 5), st.floats(0, 5), st.booleans(), st.booleans())
def test_range(value: float, low: float, width: float, above: bool, below: bool) -> None:
    high = low + width
    inside = (low < value if above else low <= value) and (
        value < high if below else value <= high
    )
    if inside:
        number(value, "x", low, high, above=above, below=below)
    else:
        with pytest.raises(ValueError, match="x must be a number"):
            number(value, "x", low, high, above=above, below=below)


def test_what_is_said_of_ranges() -> None:
    for arguments, kind in (
        ({"lowest": 0, "above": True}, "a number above 0"),
        ({"lowest": 0, "highest": 1}, "a number from 0 to 1"),
        ({"lowest": 0, "highest": 1, "above": True}, "a number above 0 to 1"),
        ({"lowest": 0, "highest": 1, "above": True, "below": True}, "a number between 0 and 1"),
        ({"lowest": 0, "optional": True}, "a number from 0 or None"),
        ({"lowest": -np.inf}, "a finite number"),
    ):
        with pytest.raises(ValueError, match=f"^x must be {kind}, got nan"):
            number(np.nan, "x", **arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"n must be a whole number from 2 to 5 or None, got 1"):
        whole(1, "n", 2, 5, optional=True)
    with pytest.raises(ValueError, match="got 'xxx") as caught:
        number("x" * 1000, "x")
    assert len(str(caught.value)) < 120


def test_numbers_of_other_libraries() -> None:
    number(np.float16(0.5), "x")
    number(Fraction(1, 3), "x", 0, 1)
    number(None, "x", optional=True)
    whole(None, "x", optional=True)


@pytest.mark.parametrize("value", [-1, 2**32, 1.0, True, None, "0"])
def test_seed_fits_every_generator(value: Any) -> None:
    seed(2**32 - 1)
    with pytest.raises(ValueError, match="random_state must be a whole number from 0 to 42949672"):
        seed(value)


def test_layers() -> None:
    assert _checks.layers(8, "n_hidden") == (8,)
    assert _checks.layers(np.array([8, 4]), "n_hidden") == (8, 4)
    for bad in ((), "8", ("a",), (8, 0), 8.0, None, True, (True,)):
        with pytest.raises(ValueError, match="n_hidden"):
            _checks.layers(bad, "n_hidden")


@pytest.mark.parametrize("value", [np.nan, [3], np.array([1, 2]), object()])
def test_choices_compare_with_anything(value: Any) -> None:
    import pandas as pd

    for odd in (value, pd.NA):
        with pytest.raises(ValueError, match=r"is not one of \['a', 'b'\]"):
            _checks.one_of(odd, "x", ["a", "b"])
