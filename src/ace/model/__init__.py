"""The published methods as scvi-tools models."""

from ace.model.autoencoder import ACE
from ace.model.kratos import KRATOS
from ace.model.scare import SCARE, GroundTruth
from ace.model.scnym import SCNYM

__all__ = ["ACE", "KRATOS", "SCARE", "SCNYM", "GroundTruth"]
