"""Descriptions of parameters that several public functions share."""

from __future__ import annotations

from inspect import cleandoc
from textwrap import dedent
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def doc_params(**texts: str) -> Callable[[T], T]:
    """Replace ``{name}`` in a docstring by a text.

    Used as a decorator.

    A placeholder stands alone on its line, without indentation of its own, and its text may hold
    several parameters. Other braces, as in equations, are left as they are.

    Parameters
    ----------
    **texts
        Text of each placeholder, with its own indentation.

    Raises
    ------
    ValueError
        If the docstring has no such placeholder.
    """

    def decorate(documented: T) -> T:
        if documented.__doc__ is None:  # python -OO
            return documented
        text = cleandoc(documented.__doc__)
        for name, replacement in texts.items():
            placeholder = f"{{{name}}}"
            lines = text.split("\n")
            if placeholder not in lines:
                raise ValueError(f"the docstring has no line {placeholder!r}.")
            text = "\n".join(
                dedent(replacement).strip() if ln == placeholder else ln for ln in lines
            )
        documented.__doc__ = text
        return documented

    return decorate
