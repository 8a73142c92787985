"""scNym: semi-supervised label transfer."""

from ace.model.scnym._model import SCNYM
from ace.model.scnym._module import ScnymModule
from ace.model.scnym._plan import ScnymTrainingPlan
from ace.model.scnym._recipe import PRESETS, Recipe

__all__ = ["PRESETS", "SCNYM", "Recipe", "ScnymModule", "ScnymTrainingPlan"]
