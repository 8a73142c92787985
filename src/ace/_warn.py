"""Warnings that point to the line of user code that caused them."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

#: Packages that may be on the call stack between user code and this package.
_LIBRARIES = ("scvi", "lightning", "torch", "contextlib", "functools")


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning that points to the innermost line of user code.

    Parameters
    ----------
    message
        What is wrong, and how to fix it.
    category
        Class of the warning.
    """
    skipped = _skipped_files()
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(skipped):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _skipped_files() -> tuple[str, ...]:
    """Path prefixes of files that are not user code."""
    loaded = [sys.modules[name].__file__ for name in _LIBRARIES if name in sys.modules]
    files = [Path(file) for file in loaded if file is not None]
    folders = [str(f.parent) + os.sep if f.name == "__init__.py" else str(f) for f in files]
    return (str(Path(__file__).parent) + os.sep, *folders)
