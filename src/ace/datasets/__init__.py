"""Data sets: real cells that need no download, and simulated cells with known causal genes."""

from ace.datasets._pbmc68k_reduced import pbmc68k_reduced
from ace.datasets._simulated_panels import simulated_panels

__all__ = ["pbmc68k_reduced", "simulated_panels"]
