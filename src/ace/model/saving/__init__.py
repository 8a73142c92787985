"""Saving and loading of every model, in files that hold no code."""
