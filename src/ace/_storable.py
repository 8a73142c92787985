"""Former name of :mod:`ace._checks._storable`."""

from ace._checks._storable import (
    FIELD_SIZE,
    MAX_COLUMNS,
    MAX_NAME,
    MAX_RECORD_TYPE,
    RESERVED,
    frame,
    groups,
    holds_records,
    key,
    labels,
    plain,
    text,
)

__all__ = [
    "FIELD_SIZE",
    "MAX_COLUMNS",
    "MAX_NAME",
    "MAX_RECORD_TYPE",
    "RESERVED",
    "frame",
    "groups",
    "holds_records",
    "key",
    "labels",
    "plain",
    "text",
]
