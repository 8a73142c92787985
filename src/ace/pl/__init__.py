"""Plot explanations, annotations and latent spaces."""

from ace.pl._confidence import confidence
from ace.pl._confusion import confusion
from ace.pl._diagnostics import diagnostics
from ace.pl._dotplot import dotplot
from ace.pl._fssf import fssf
from ace.pl._heatmap import heatmap
from ace.pl._overlap import overlap
from ace.pl._pairs import pairs
from ace.pl._panel_accuracy import panel_accuracy
from ace.pl._panel_confusion import panel_confusion
from ace.pl._panel_curves import panel_curves
from ace.pl._panel_quality import panel_quality
from ace.pl._panels import panels
from ace.pl._polarization import polarization
from ace.pl._reliability import reliability
from ace.pl._transitions import transitions

__all__ = [
    "confidence",
    "confusion",
    "diagnostics",
    "dotplot",
    "fssf",
    "heatmap",
    "overlap",
    "pairs",
    "panel_accuracy",
    "panel_confusion",
    "panel_curves",
    "panel_quality",
    "panels",
    "polarization",
    "reliability",
    "transitions",
]
