"""scARE: a variational autoencoder whose latent space depends on chosen genes."""

from ace.model.scare._ground_truth import GroundTruth
from ace.model.scare._model import SCARE
from ace.model.scare._module import ScareModule
from ace.model.scare._plan import ScareTrainingPlan

__all__ = ["SCARE", "GroundTruth", "ScareModule", "ScareTrainingPlan"]
