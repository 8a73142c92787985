"""Sources of the scorer of an explanation: one class for each kind of ``model``."""

from ace.tl._sources._choice import source_of
from ace.tl._sources._source import Scored, Source

__all__ = ["Scored", "Source", "source_of"]
