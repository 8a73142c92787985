"""Explanations as figures."""

from ace.pl._diagnostics import diagnostics
from ace.pl._heatmap import heatmap
from ace.pl._pairs import pairs
from ace.pl._panels import panels
from ace.pl._transitions import transitions

__all__ = ["diagnostics", "heatmap", "pairs", "panels", "transitions"]
