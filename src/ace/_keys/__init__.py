"""Names of all results in AnnData.

There is one class for each kind of result. It defines where the result is stored for a given
``key_added``, checks that these keys are free, and reads and writes the result.
"""

from ace._keys._annotation import DEFAULT_ANNOTATION_KEY, AnnotationKeys
from ace._keys._explanation import (
    DEFAULT_KEY,
    DIAGNOSTICS,
    VERSUS,
    WITHIN,
    ExplanationKeys,
    category_name,
    pair_name,
    pairs_of,
)
from ace._keys._fssf import DEFAULT_FSSF_KEY, FssfKeys
from ace._keys._names import not_the_index, require_free, storable
from ace._keys._panel import DEFAULT_PANEL_KEY, PANEL_TABLES, PanelKeys

__all__ = [
    "DEFAULT_ANNOTATION_KEY",
    "DEFAULT_FSSF_KEY",
    "DEFAULT_KEY",
    "DEFAULT_PANEL_KEY",
    "DIAGNOSTICS",
    "PANEL_TABLES",
    "VERSUS",
    "WITHIN",
    "AnnotationKeys",
    "ExplanationKeys",
    "FssfKeys",
    "PanelKeys",
    "category_name",
    "not_the_index",
    "pair_name",
    "pairs_of",
    "require_free",
    "storable",
]
