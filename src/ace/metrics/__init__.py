"""Metrics of panels, labels and latent spaces. They take arrays, and return numbers or frames."""

from ace.metrics._batch_mixing import batch_mixing
from ace.metrics._causal_recovery import causal_recovery
from ace.metrics._clustering_agreement import clustering_agreement
from ace.metrics._fssf import fssf
from ace.metrics._knn_jaccard import knn_jaccard
from ace.metrics._morans_i import morans_i
from ace.metrics._pair_symmetry import pair_symmetry
from ace.metrics._panel_auroc import panel_auroc
from ace.metrics._panel_membership import panel_membership
from ace.metrics._panel_overlap import panel_overlap
from ace.metrics._panel_redundancy import panel_redundancy
from ace.metrics._rank_biased_overlap import rank_biased_overlap
from ace.metrics._stability import stability

__all__ = [
    "batch_mixing",
    "causal_recovery",
    "clustering_agreement",
    "fssf",
    "knn_jaccard",
    "morans_i",
    "pair_symmetry",
    "panel_auroc",
    "panel_membership",
    "panel_overlap",
    "panel_redundancy",
    "rank_biased_overlap",
    "stability",
]
