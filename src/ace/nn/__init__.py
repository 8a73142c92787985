"""Building blocks: tensors in, tensors out."""

from ace.nn._convolutional_classifier import ConvolutionalClassifier
from ace.nn._log_odds import log_odds
from ace.nn._neuralized_clustering import NeuralizedClustering

__all__ = ["ConvolutionalClassifier", "NeuralizedClustering", "log_odds"]
