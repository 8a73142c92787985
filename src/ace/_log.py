"""Messages about what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging


def report(logger: logging.Logger, message: str, *args: Any) -> None:
    """Log a message at the level ``INFO``, and show it as scanpy shows its own.

    scanpy does so if ``scanpy.settings.verbosity`` is at least 2.
    """
    import scanpy as sc

    logger.info(message, *args)
    sc.logging.info(message % args)
