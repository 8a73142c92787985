"""Group scorers and explanation methods, which work on tensors and do not depend on AnnData."""

from ace.explain._adversarial import Adversarial
from ace.explain._attribution import Attribution
from ace.explain._cells import GroupedCells
from ace.explain._centroids import fit_centroids
from ace.explain._classifier_scorer import ClassifierScorer
from ace.explain._clustering import choose_n_prototypes, fit_clustering
from ace.explain._embedding_scorer import EmbeddingScorer
from ace.explain._expected_gradients import ExpectedGradients
from ace.explain._fidelity import fidelity
from ace.explain._guided_backprop import GuidedBackprop
from ace.explain._integrated_gradients import IntegratedGradients
from ace.explain._linear_embedding import LinearEmbedding
from ace.explain._method import Method, MethodInfo
from ace.explain._methods import methods
from ace.explain._panel import Panel
from ace.explain._saliency import Saliency
from ace.explain._scorer import GroupScorer
from ace.explain._shap import Shap
from ace.explain._smoothgrad import SmoothGrad
from ace.explain._transitions import Transitions, transitions

__all__ = [
    "Adversarial",
    "Attribution",
    "ClassifierScorer",
    "EmbeddingScorer",
    "ExpectedGradients",
    "GroupScorer",
    "GroupedCells",
    "GuidedBackprop",
    "IntegratedGradients",
    "LinearEmbedding",
    "Method",
    "MethodInfo",
    "Panel",
    "Saliency",
    "Shap",
    "SmoothGrad",
    "Transitions",
    "choose_n_prototypes",
    "fidelity",
    "fit_centroids",
    "fit_clustering",
    "methods",
    "transitions",
]
