"""How panels, labels and latent spaces are judged. Arrays in, numbers or frames out."""

from ace.metrics._batch_mixing import batch_mixing
from ace.metrics._causal_recovery import causal_recovery
from ace.metrics._fssf import fssf
from ace.metrics._knn_jaccard import knn_jaccard
from ace.metrics._pair_symmetry import pair_symmetry
from ace.metrics._panel_auroc import panel_auroc
from ace.metrics._panel_redundancy import panel_redundancy
from ace.metrics._polarization import polarization

__all__ = [
    "batch_mixing",
    "causal_recovery",
    "fssf",
    "knn_jaccard",
    "pair_symmetry",
    "panel_auroc",
    "panel_redundancy",
    "polarization",
]
