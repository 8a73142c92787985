"""From attributions to the tables that are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ace._keys import DIAGNOSTICS, RECORD_DTYPES

if TYPE_CHECKING:
    from ace._matrix import GroupSummary
    from ace.explain import Attribution

#: What scanpy adds to means before it divides them.
PSEUDOCOUNT = 1e-9


class ExplanationTables:
    """Collect comparisons into frames over all genes.

    Parameters
    ----------
    genes
        Names of all genes.
    columns
        Positions of the genes that the scorer sees; the others score 0 and rank last.
    summary
        Mean and fraction of every gene in every group.
    log_base
        Base of the logarithm that the values are of; ``None``: they are of none, and log fold
        changes are NaN.
    """

    def __init__(
        self, genes: pd.Index, columns: np.ndarray, summary: GroupSummary, log_base: float | None
    ) -> None:
        self._genes = genes
        self._columns = columns
        self._unseen = np.setdiff1d(np.arange(len(genes)), columns)
        self._by_name = np.argsort(np.argsort(genes.to_numpy().astype(str)))
        self._summary = summary
        self._log_base = log_base
        self._records: dict[str, dict[str, np.ndarray]] = {name: {} for name in RECORD_DTYPES}
        self._scores: dict[str, np.ndarray] = {}
        self._diagnostics: dict[str, dict[str, float]] = {}

    def add(
        self,
        name: str,
        attribution: Attribution,
        source: int,
        others: list[int],
        diagnostics: dict[str, float],
    ) -> None:
        """Add one comparison, as the field ``name``.

        Parameters
        ----------
        name
            Name of the field.
        attribution
            What the method found, over the genes that the scorer sees.
        source, others
            Codes of the groups compared.
        diagnostics
            Row of the diagnostics frame; columns that are missing become NaN.
        """
        rest_mean, rest_fraction = self._summary.of_rest(others)
        mean = self._summary.mean[source]
        scores = np.zeros(len(self._genes), dtype=np.float32)
        scores[self._columns] = attribution.scores
        difference = mean - rest_mean
        enriched = np.where(scores == 0, difference > 0, scores > 0)
        # Genes that the scorer does not see follow by their difference, never by position.
        last = self._unseen[
            np.lexsort((self._by_name[self._unseen], -np.abs(difference[self._unseen])))
        ]
        order = np.concatenate([self._columns[attribution.ranking], last])
        nothing = np.full(len(self._genes), np.nan)
        columns = {
            "names": self._genes.to_numpy().astype(str).astype(object),
            "scores": scores,
            "logfoldchanges": self._log2_fold_change(mean, rest_mean),
            "pvals": nothing,
            "pvals_adj": nothing,
            "enriched": enriched,
            "pct_in": self._summary.fraction[source],
            "pct_out": rest_fraction,
        }
        for record, values in columns.items():
            self._records[record][name] = values[order]
        self._scores[name] = scores
        self._diagnostics[name] = diagnostics

    def _log2_fold_change(self, mean: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """Scanpy's log2 fold change: of the means of the logarithms, turned back."""
        if self._log_base is None:
            return np.full(len(mean), np.nan)
        scale = np.log(self._log_base)
        up, down = np.expm1(mean * scale), np.expm1(rest * scale)
        return np.log2((up + PSEUDOCOUNT) / (down + PSEUDOCOUNT))

    def records(self) -> dict[str, pd.DataFrame]:
        """Frames ranks × fields, one for each of scanpy's records and ours."""
        return {record: pd.DataFrame(columns) for record, columns in self._records.items()}

    def scores(self) -> pd.DataFrame:
        """Signed scores, genes × fields."""
        return pd.DataFrame(self._scores, index=self._genes)

    def diagnostics(self) -> pd.DataFrame:
        """Diagnostics, a row a field."""
        frame = pd.DataFrame.from_dict(
            self._diagnostics, orient="index", columns=list(DIAGNOSTICS)
        )
        return frame.astype(float)
