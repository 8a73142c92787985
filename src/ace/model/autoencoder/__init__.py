"""ACE: an autoencoder whose latent space is clustered and explained."""

from ace.model.autoencoder._model import ACE
from ace.model.autoencoder._module import AceModule
from ace.model.autoencoder._plan import AceTrainingPlan

__all__ = ["ACE", "AceModule", "AceTrainingPlan"]
