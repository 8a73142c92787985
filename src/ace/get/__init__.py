"""Get results as tidy data frames, and panels as a dictionary."""

from ace.get._annotation_df import annotation_df
from ace.get._diagnostics_df import diagnostics_df
from ace.get._explain_df import explain_df
from ace.get._fssf_df import fssf_df
from ace.get._pairs_df import pairs_df
from ace.get._panel_df import panel_df
from ace.get._panel_dict import panel_dict
from ace.get._panel_quality_df import panel_quality_df
from ace.get._read_explain_csv import read_explain_csv
from ace.get._rules_df import rules_df

__all__ = [
    "annotation_df",
    "diagnostics_df",
    "explain_df",
    "fssf_df",
    "pairs_df",
    "panel_df",
    "panel_dict",
    "panel_quality_df",
    "read_explain_csv",
    "rules_df",
]
