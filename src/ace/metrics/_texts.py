"""Descriptions of parameters that several metrics share."""

from __future__ import annotations

X = """
X
    Cells × genes, sparse or dense. Data on disk or in a dask array are read into memory.
"""

LABELS = """
labels
    Group of each cell.
"""

PANELS = """
panels
    For each group, column indices of its genes, best first.
"""

SCORED_PANELS = """
panels
    For each group to score, column indices of its genes, best first. The cells of all other
    groups are still used for comparison.
"""

N_TOP = """
n_top
    Number of top genes to use, or several numbers. Floats from 0 to 1 are fractions of all genes,
    rounded down: 0.01 is 1 %.
"""

PANELS_OF_METHODS = """
panels
    Panels of each method: ``{group: genes, best first}``, a frame with a column for each group,
    or the names stored by :func:`ace.tl.explain` or scanpy, such as ``adata.uns["ace"]["names"]``.
"""

PERSISTENCE = """
persistence
    Persistence of the rank-biased overlap, between 0 and 1.
"""

N_JOBS = """
n_jobs
    Number of parallel workers, as in :mod:`joblib`.
"""
