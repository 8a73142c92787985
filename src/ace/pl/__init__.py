"""Explanations as figures."""

from ace.pl._diagnostics import diagnostics
from ace.pl._heatmap import heatmap
from ace.pl._panels import panels

__all__ = ["diagnostics", "heatmap", "panels"]
