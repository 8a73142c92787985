"""P-values of scanpy's tests of single genes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData

from ace._matrix import read_rows

if TYPE_CHECKING:
    from ace.tl._comparisons import Comparisons

#: Tests of :func:`scanpy.tl.rank_genes_groups`.
TESTS = ("wilcoxon", "t-test", "t-test_overestim_var")


def marginal_p_values(
    matrix: Any,
    comparisons: Comparisons,
    test: str,
    names: dict[str, np.ndarray],
    genes: pd.Index,
) -> dict[str, dict[str, np.ndarray]]:
    """P-values of a test of each gene, for the comparisons and the genes of an explanation.

    Parameters
    ----------
    matrix
        Expression, cells × genes.
    comparisons
        The comparisons.
    test
        One of :data:`TESTS`.
    names
        Ranked genes of each field.
    genes
        Names of all genes.

    Returns
    -------
    Records ``pvals`` and ``pvals_adj`` (Benjamini-Hochberg): for each field the values of its
    ranked genes; NaN if a group or its reference has a single cell.
    """
    groups, pairs = comparisons.groups, comparisons.pairs
    rows = np.flatnonzero(groups.codes >= 0)
    codes = groups.codes[rows]
    cells = AnnData(read_rows(matrix, rows), var=pd.DataFrame(index=genes))
    cells.obs["group"] = pd.Categorical.from_codes(codes, [str(g) for g in range(len(groups))])
    counts = np.bincount(codes, minlength=len(groups))
    n_cells = {None: len(rows)} | dict(enumerate(counts))
    tested: dict[tuple[int, int | None], pd.DataFrame] = {}
    for reference in dict.fromkeys(reference for _, reference in pairs):
        sources = [s for s, t in pairs if t == reference and counts[s] > 1]
        enough = [s for s in sources if n_cells[reference] - (reference is None) * counts[s] > 1]
        if not enough:
            continue
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # of log fold changes, which are not used
            sc.tl.rank_genes_groups(
                cells,
                "group",
                groups=[str(source) for source in enough],
                reference="rest" if reference is None else str(reference),
                method=test,
                use_raw=False,
            )
        for source in enough:
            frame = sc.get.rank_genes_groups_df(cells, str(source)).set_index("names")
            tested[source, reference] = frame
    untested = pd.DataFrame(np.nan, index=genes, columns=["pvals", "pvals_adj"])
    frames = [tested.get(pair, untested) for pair in pairs]
    return {
        record: {
            field: frame[record].reindex(names[field]).to_numpy(dtype=np.float64)
            for field, frame in zip(comparisons.fields, frames, strict=True)
        }
        for record in untested.columns
    }
