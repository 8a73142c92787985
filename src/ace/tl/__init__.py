"""Tools: read AnnData, call the engine or a model, write AnnData."""

from ace.tl._annotate import annotate
from ace.tl._evaluate_panel import evaluate_panel
from ace.tl._explain import explain
from ace.tl._fssf import fssf
from ace.tl._informative_genes import informative_genes
from ace.tl._rank_specificity import rank_specificity
from ace.tl._select_panel import select_panel

__all__ = [
    "annotate",
    "evaluate_panel",
    "explain",
    "fssf",
    "informative_genes",
    "rank_specificity",
    "select_panel",
]
