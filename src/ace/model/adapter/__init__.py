"""Trained models as differentiable functions of the genes."""
