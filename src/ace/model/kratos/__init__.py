"""Kratos: a classifier that is explained."""

from ace.model.kratos._model import KRATOS
from ace.model.kratos._module import KratosModule
from ace.model.kratos._plan import KratosTrainingPlan

__all__ = ["KRATOS", "KratosModule", "KratosTrainingPlan"]
