"""Explain the groups of cells in single-cell data by the genes that make them what they are."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from ace import datasets, explain, get, metrics, nn, pl, tl

if TYPE_CHECKING:
    from ace import model

__all__ = ["datasets", "explain", "get", "metrics", "model", "nn", "pl", "tl"]

__version__ = version("ace-sc")


def __getattr__(name: str) -> Any:
    # scvi-tools takes seconds to import, and the main job does without it.
    if name == "model":
        return import_module("ace.model")
    raise AttributeError(f"module 'ace' has no attribute {name!r}")
