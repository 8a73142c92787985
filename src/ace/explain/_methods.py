"""The table of the explanation methods, and the documentation of their options."""

from __future__ import annotations

import inspect
import re
from dataclasses import asdict
from typing import Any

import pandas as pd

from ace.explain._method import Method


def methods() -> pd.DataFrame:
    """Table of the explanation methods.

    Returns
    -------
    A frame with one row per method, indexed by its name: what it computes, the paper, whether its
    sign is meaningful, whether it uses a reference, its revision, and its options with their
    defaults.

    Examples
    --------
    >>> import ace
    >>> "panel" in ace.explain.methods().index
    True
    """
    rows = [
        asdict(cls.info) | {"options": ", ".join(f"{k}={v!r}" for k, v in options_of(cls).items())}
        for cls in Method.registry.values()
    ]
    return pd.DataFrame(rows).set_index("name")


def options_of(method: type[Method]) -> dict[str, Any]:
    """Options of a method with their defaults."""
    own = inspect.signature(method).parameters
    shared = inspect.signature(Method).parameters
    return {
        name: p.default
        for name, p in own.items()
        if name not in shared and p.kind == p.KEYWORD_ONLY
    }


def described_options(method: type[Method]) -> dict[str, str]:
    """First sentence of the description of each option, from the docstring of the method."""
    text = inspect.cleandoc(method.__doc__ or "")
    found: dict[str, str] = {}
    for names, body in re.findall(r"^(\w[\w, ]*)\n((?: {4}.*\n?)+)", text, re.MULTILINE):
        sentence = re.split(r"(?<=[.;])\s", " ".join(body.split()), maxsplit=1)[0].rstrip(".;")
        found |= dict.fromkeys(names.split(", "), sentence)
    return {name: found.get(name, "") for name in options_of(method)}
