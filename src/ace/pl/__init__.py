"""Explanations and annotations as figures."""

from ace.pl._confidence import confidence
from ace.pl._confusion import confusion
from ace.pl._diagnostics import diagnostics
from ace.pl._heatmap import heatmap
from ace.pl._pairs import pairs
from ace.pl._panels import panels
from ace.pl._reliability import reliability
from ace.pl._transitions import transitions

__all__ = [
    "confidence",
    "confusion",
    "diagnostics",
    "heatmap",
    "pairs",
    "panels",
    "reliability",
    "transitions",
]
