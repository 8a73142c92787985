"""Former name of :mod:`ace._checks._objects`."""

from ace._checks._objects import Cells, aligned_obs, annotated, cells_of, is_mudata

__all__ = ["Cells", "aligned_obs", "annotated", "cells_of", "is_mudata"]
