"""The tables that are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ace._keys import DIAGNOSTICS
from ace._ranking import OPTIONAL

if TYPE_CHECKING:
    from ace.explain import Attribution
    from ace.tl._expression import Expression


#: Constant that scanpy adds to means before it divides them.
PSEUDOCOUNT = 1e-9


class ExplanationTables:
    """Collect comparisons into records and frames.

    Parameters
    ----------
    genes
        Names of all genes.
    columns
        Positions of the genes that the scorer takes; the others are not ranked: they get
        the score NaN and come last.
    expression
        Summary of each gene in each group. Log fold changes are NaN unless its values are
        logarithms.
    n_top
        Number of top genes in the records; ``None`` for all.
    """

    def __init__(
        self,
        genes: pd.Index,
        columns: np.ndarray,
        expression: Expression,
        n_top: int | None = None,
    ) -> None:
        self._genes = genes
        self.n_genes = len(genes)
        self.columns = columns
        self._unseen = np.setdiff1d(np.arange(len(genes)), columns)
        # One string per gene, shared by all records.
        self._names = np.array([str(gene) for gene in genes], dtype=object)
        self._by_name = np.argsort(np.argsort(self._names))
        self._summary = expression.summary
        self._log_base = expression.log_base
        self._n_top = n_top
        self._records: dict[str, dict[str, np.ndarray]] = {}
        self._scores: dict[str, np.ndarray] = {}
        self._diagnostics: dict[str, dict[str, float]] = {}

    def add(
        self,
        name: str,
        attribution: Attribution,
        source: int,
        others: list[int],
        diagnostics: dict[str, float],
        separation: dict[str, np.ndarray] | None = None,
    ) -> None:
        """Add one comparison, as the field ``name``.

        Parameters
        ----------
        name
            Name of the field.
        attribution
            Result of the method, for the genes that the scorer takes.
        source, others
            Codes of the groups compared.
        diagnostics
            Row of the diagnostics frame; missing columns become NaN.
        separation
            The optional records ``against`` and ``mixed`` of the genes that the scorer takes.
        """
        rest_mean, rest_fraction = self._summary.of_rest(others)
        mean = self._summary.mean[source]
        scores = np.full(len(self._genes), np.nan, dtype=np.float32)
        scores[self.columns] = attribution.scores
        difference = mean - rest_mean
        # The other genes are ordered by their difference, never by position.
        last = self._unseen[
            np.lexsort((self._by_name[self._unseen], -np.abs(difference[self._unseen])))
        ]
        order = np.concatenate([self.columns[attribution.ranking], last])[: self._n_top]
        columns = {
            "names": self._names,
            "scores": scores,
            "logfoldchanges": self._log2_fold_change(mean, rest_mean).astype(np.float32),
            "enriched": difference > 0,
            "pct_in": self._summary.fraction[source].astype(np.float32),
            "pct_out": rest_fraction.astype(np.float32),
        }
        for record, values in (separation or {}).items():
            # Genes that the scorer does not take have no group that they are compared with.
            columns[record] = np.full(len(scores), OPTIONAL[record], dtype=values.dtype)
            columns[record][self.columns] = values
        for record, values in columns.items():
            self._records.setdefault(record, {})[name] = values[order]
        self._scores[name] = scores
        self._diagnostics[name] = diagnostics

    def _log2_fold_change(self, mean: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """Scanpy's log2 fold change, of the exponentials of the mean logarithms."""
        if self._log_base is None:
            return np.full(len(mean), np.nan)
        scale = np.log(self._log_base)
        up, down = np.expm1(mean * scale), np.expm1(rest * scale)
        return np.log2((up + PSEUDOCOUNT) / (down + PSEUDOCOUNT))

    def records(self) -> dict[str, dict[str, np.ndarray]]:
        """Values of each field, best gene first, for each record except the p-values."""
        return self._records

    def scores(self) -> pd.DataFrame:
        """Signed scores, genes × fields."""
        return pd.DataFrame(self._scores, index=self._genes)

    def parts(self) -> dict[str, Any]:
        """All tables, as arguments of :meth:`ace._keys.ExplanationKeys.write`."""
        return {
            "records": self.records(),
            "scores": self.scores(),
            "frames": {"diagnostics": self.diagnostics()},
        }

    def diagnostics(self) -> pd.DataFrame:
        """Diagnostics, one row per field."""
        frame = pd.DataFrame.from_dict(
            self._diagnostics, orient="index", columns=list(DIAGNOSTICS)
        )
        return frame.astype(float)


def scanpy_params(groupby: str, reference: str, method: str, layer: str | None) -> dict[str, Any]:
    """Parameters of a ranking that scanpy's functions read."""
    return {
        "groupby": groupby,
        "reference": reference,
        "method": method,
        "use_raw": False,
        "layer": layer,
        "corr_method": None,
    }
