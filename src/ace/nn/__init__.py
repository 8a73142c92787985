"""Building blocks of the models, on tensors."""

from ace.nn._concrete_selector import ConcreteSelector
from ace.nn._convolutional_classifier import ConvolutionalClassifier
from ace.nn._gradient_reversal import reverse_gradient
from ace.nn._log_odds import log_odds
from ace.nn._mmd import batch_discrepancy
from ace.nn._neuralized_clustering import NeuralizedClustering

__all__ = [
    "ConcreteSelector",
    "ConvolutionalClassifier",
    "NeuralizedClustering",
    "batch_discrepancy",
    "log_odds",
    "reverse_gradient",
]
