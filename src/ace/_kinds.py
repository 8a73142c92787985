"""Former name of :mod:`ace._values`."""

from ace._values import Values

__all__ = ["Values"]
