"""From attributions to the tables that are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ace._keys import DIAGNOSTICS
from ace._ranking import TABLE_COLUMNS

if TYPE_CHECKING:
    from ace._matrix import GroupSummary
    from ace.explain import Attribution

#: What scanpy adds to means before it divides them.
PSEUDOCOUNT = 1e-9


class ExplanationTables:
    """Collect comparisons into records and frames.

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
    n_genes
        Number of top genes in the records; ``None``: all.
    """

    def __init__(
        self,
        genes: pd.Index,
        columns: np.ndarray,
        summary: GroupSummary,
        log_base: float | None,
        n_genes: int | None = None,
    ) -> None:
        self._genes = genes
        self._columns = columns
        self._unseen = np.setdiff1d(np.arange(len(genes)), columns)
        # One string per gene, shared by all records.
        self._names = np.array([str(gene) for gene in genes], dtype=object)
        self._by_name = np.argsort(np.argsort(self._names))
        self._summary = summary
        self._log_base = log_base
        self._n_genes = n_genes
        self._records: dict[str, dict[str, np.ndarray]] = {name: {} for name in TABLE_COLUMNS}
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
        order = np.concatenate([self._columns[attribution.ranking], last])[: self._n_genes]
        columns = {
            "names": self._names,
            "scores": scores,
            "logfoldchanges": self._log2_fold_change(mean, rest_mean).astype(np.float32),
            "enriched": enriched,
            "pct_in": self._summary.fraction[source].astype(np.float32),
            "pct_out": rest_fraction.astype(np.float32),
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

    def records(self) -> dict[str, dict[str, np.ndarray]]:
        """Values by field, best gene first, for each record except the p values."""
        return self._records

    def scores(self) -> pd.DataFrame:
        """Signed scores, genes × fields."""
        return pd.DataFrame(self._scores, index=self._genes)

    def diagnostics(self) -> pd.DataFrame:
        """Diagnostics, a row a field."""
        frame = pd.DataFrame.from_dict(
            self._diagnostics, orient="index", columns=list(DIAGNOSTICS)
        )
        return frame.astype(float)
