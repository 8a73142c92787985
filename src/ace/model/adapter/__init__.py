"""Trained models as differentiable functions of the genes."""

from ace.model.adapter._adapter import LatentSpaceAdapter

__all__ = ["LatentSpaceAdapter"]
