"""The published methods as scvi-tools models."""

from ace.model.autoencoder import ACE
from ace.model.kratos import KRATOS

__all__ = ["ACE", "KRATOS"]
