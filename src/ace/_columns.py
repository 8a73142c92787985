"""Former name of :mod:`ace._checks._columns`."""

from ace._checks._columns import codes_of, column_of, flags_of, labels_of, without

__all__ = ["codes_of", "column_of", "flags_of", "labels_of", "without"]
