"""The former name of the adapter."""

from ace.model.adapter._adapter import LatentSpaceAdapter as ForeignModel

__all__ = ["ForeignModel"]
