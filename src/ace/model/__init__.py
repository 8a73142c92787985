"""The published methods as scvi-tools models."""

from ace.model.kratos import KRATOS

__all__ = ["KRATOS"]
