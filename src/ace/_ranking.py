"""Stored gene rankings: scanpy's records, or a table if records cannot be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ace._checks import _storable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: scanpy's five records and ours, with dtypes that scanpy's plots and h5ad files support.
RECORD_DTYPES: dict[str, str] = {
    "names": "O",
    "scores": "float32",
    "logfoldchanges": "float32",
    "pvals": "float64",
    "pvals_adj": "float64",
    "enriched": "bool",
    "against": "O",
    "mixed": "bool",
    "pct_in": "float32",
    "pct_out": "float32",
}

#: Records that a ranking may lack, with the value of genes for which they are not known.
OPTIONAL: dict[str, Any] = {"against": "", "mixed": False}

#: Column of the table for each record except the p values, which are NaN.
TABLE_COLUMNS: dict[str, str] = {
    "names": "gene",
    "scores": "score",
    "logfoldchanges": "logfoldchange",
    "enriched": "enriched",
    "against": "against",
    "mixed": "mixed",
    "pct_in": "pct_in",
    "pct_out": "pct_out",
}


def pack(records: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Convert records for ``uns``: to structured arrays, or to a table if those cannot be stored.

    Parameters
    ----------
    records
        Values by field, for each name in :data:`RECORD_DTYPES`. Missing records become NaN, unless
        they are :data:`OPTIONAL`.
    """
    fields = list(records["names"])
    if not _storable.holds_records(fields):
        return {"table": _table(records, fields)}
    n_ranks = len(records["names"][fields[0]])
    packed = {}
    for name, dtype in RECORD_DTYPES.items():
        if name in OPTIONAL and name not in records:
            continue
        values = np.empty(n_ranks, dtype=[(field, dtype) for field in fields])
        for field in fields:
            values[field] = records[name][field] if name in records else np.nan
        packed[name] = values.view(np.recarray)
    return packed


def _table(records: Mapping[str, Mapping[str, Any]], fields: list[str]) -> pd.DataFrame:
    n_ranks = [len(records["names"][field]) for field in fields]
    columns: dict[str, Any] = {
        "group": pd.Categorical.from_codes(
            np.repeat(np.arange(len(fields)), n_ranks), categories=pd.Index(fields, dtype=object)
        )
    }
    for name, column in TABLE_COLUMNS.items():
        if name in OPTIONAL and name not in records:
            continue
        values = np.concatenate([np.asarray(records[name][field]) for field in fields])
        if RECORD_DTYPES[name] == "O":
            codes, texts = pd.factorize(values)
            columns[column] = pd.Categorical.from_codes(codes, pd.Index(texts, dtype=object))
        else:
            columns[column] = values.astype(RECORD_DTYPES[name])
    return pd.DataFrame(columns)


class Ranking:
    """A stored ranking, read from records or from a table.

    Parameters
    ----------
    stored
        Entry in ``uns``.
    """

    def __init__(self, stored: Mapping[str, Any]) -> None:
        self._stored = stored
        self._table: pd.DataFrame | None = stored.get("table")
        self.params: dict[str, Any] = stored["params"]
        if self._table is None:
            self.fields: list[str] = list(stored["names"].dtype.names)
            return
        group = self._table["group"].array
        self.fields = [str(field) for field in group.categories]
        # The rows of a field are contiguous, in the order of the categories.
        numbers = np.arange(len(self.fields), dtype=group.codes.dtype)
        ends = np.searchsorted(group.codes, numbers, side="right")
        starts = np.concatenate([[0], ends[:-1]])
        self._rows = {f: slice(a, b) for f, a, b in zip(self.fields, starts, ends, strict=True)}
        self._categories = {
            column: self._table[column].array.categories.to_numpy(dtype=object)
            for column in ("gene", "against")
            if column in self._table
        }

    @property
    def diagnostics(self) -> pd.DataFrame:
        """A row for each field."""
        return self._stored["diagnostics"]

    def has(self, record: str) -> bool:
        """Whether there is a record; results of earlier versions lack :data:`OPTIONAL` ones."""
        if self._table is None:
            return record in self._stored
        return TABLE_COLUMNS[record] in self._table

    @property
    def quality(self) -> pd.DataFrame | None:
        """Quality of the panels, if it was computed."""
        return self._stored.get("quality")

    @property
    def rules(self) -> pd.DataFrame | None:
        """Rules of the panels, if the quality was computed."""
        return self._stored.get("rules")

    def panel_size(self, field: str) -> float:
        """Number of genes of the panel of a field; NaN if it is not known."""
        diagnostics = self._stored.get("diagnostics")
        if diagnostics is None or "panel_size" not in diagnostics:
            return np.nan
        return float(diagnostics["panel_size"].get(field, np.nan))

    def values(self, record: str, field: str) -> np.ndarray:
        """Values of one record for one field, best gene first."""
        if self._table is None:
            return np.asarray(self._stored[record][field])
        name = TABLE_COLUMNS[record]
        column = self._table[name].array[self._rows[field]]
        texts = self._categories.get(name)
        return np.asarray(column) if texts is None else texts[column.codes]

    def stack(self, record: str, fields: Sequence[str]) -> np.ndarray:
        """Values of one record for several fields, concatenated."""
        return np.concatenate([self.values(record, field) for field in fields])


def is_ranking(stored: Any) -> bool:
    """Whether a value is a ranking stored by this package."""
    if not isinstance(stored, dict) or "params" not in stored:
        return False
    return "enriched" in stored or isinstance(stored.get("table"), pd.DataFrame)
