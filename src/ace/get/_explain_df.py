from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ace._checks._columns import column_of
from ace._checks._objects import annotated
from ace._docs import doc_params
from ace._keys import DEFAULT_KEY, ExplanationKeys
from ace._ranking import OPTIONAL
from ace.get import _texts
from ace.get._selected import explained_groups

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData

    from ace._ranking import Ranking


@doc_params(adata=_texts.ADATA, key=_texts.KEY)
def explain_df(
    adata: AnnData,
    groups: str | Iterable[str] | None = None,
    *,
    key: str = DEFAULT_KEY,
    gene_symbols: str | None = None,
) -> pd.DataFrame:
    """Get an explanation as a tidy data frame, one row per gene of each group.

    Parameters
    ----------
    {adata}
    groups
        A group or several; the rows follow this order. If ``None``, all in stored order. Pairs of
        ``reference="each"`` are called ``"A vs B"``.
    {key}
    gene_symbols
        Column of ``adata.var`` with gene names, for an additional column ``symbol``. Genes without
        a symbol keep their name in ``adata.var_names``. If ``None``, there is no such column.

    Returns
    -------
    Frame with the columns

    ``group``
        Group (categorical, in the order of the rows).
    ``rank``
        Rank of the gene in its group by absolute score, from 1 (int64).
    ``gene``
        Name of the gene in ``adata.var_names``.
    ``symbol``
        Only with ``gene_symbols``.
    ``score``
        Signed score (float32). The sign is the direction according to the method: a higher value
        of a gene with a positive score is evidence for the group.
    ``in_panel``
        Whether the gene is in the panel of its group, which has ``panel_size`` genes (see
        :func:`ace.tl.explain`); missing without ``quality`` (nullable Boolean).
    ``enriched``
        Whether the mean of the gene is higher in the group than in its reference (bool). It can
        differ from the sign of the score, above all for mixed genes.
    ``mixed``
        Whether the gene is clearly higher in the group than in some groups of the reference and
        clearly lower than in others (bool): by a standardised mean difference above 0.2, after
        subtraction of two standard errors. False if the reference is a single group.
    ``against``
        The group of the reference that the gene mainly separates the group from (str): the one
        with the largest standardised mean difference in either direction, unless the method finds
        another. NaN for genes that are not part of the input.
    ``logfoldchange``
        Log₂ fold change of the group against its reference, computed as in scanpy; NaN if the data
        were not log-normalised (float32).
    ``pct_in``, ``pct_out``
        Fractions of the cells of the group and of its reference that express the gene (float32).

    All values of ``mixed`` and ``against`` are missing in results of
    :func:`ace.tl.rank_specificity` and of earlier versions.

    Raises
    ------
    KeyError
        If the explanation, a group or the column does not exist.
    ValueError
        If ``groups`` is empty or contains a group twice.

    See Also
    --------
    ace.get.read_explain_csv : Reads the frame from a CSV file.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.explain(adata, groupby="louvain")
    >>> df = ace.get.explain_df(adata, "4")
    >>> df.head(5)[["gene", "score", "enriched"]].shape
    (5, 3)
    >>> df.to_csv("cluster_4.csv", index=False)  # doctest: +SKIP
    """
    annotated(adata, reads_matrix=False)
    stored = ExplanationKeys(key).read(adata)
    groups = explained_groups(groups, stored.fields, key)

    # Concatenate each column over the groups; reshaping frames would be slow for many rows.
    names = [stored.values("names", field) for field in groups]
    n_ranks = [len(own) for own in names]
    genes = np.concatenate(names)
    columns: dict[str, Any] = {
        "group": pd.Categorical.from_codes(
            np.repeat(np.arange(len(groups)), n_ranks), categories=groups
        ),
        "rank": np.concatenate([np.arange(1, n + 1) for n in n_ranks]),
        "gene": genes,
    }
    if gene_symbols is not None:
        columns["symbol"] = _symbols(adata, genes, gene_symbols)
    columns |= {
        "score": stored.stack("scores", groups),
        "in_panel": _in_panel(stored, groups, n_ranks),
        "enriched": stored.stack("enriched", groups),
        "mixed": _mixed(stored, groups, len(genes)),
        "against": _against(stored, groups, len(genes)),
        "logfoldchange": stored.stack("logfoldchanges", groups),
        "pct_in": stored.stack("pct_in", groups),
        "pct_out": stored.stack("pct_out", groups),
    }
    df = pd.DataFrame(columns)
    # scanpy.tl.filter_rank_genes_groups replaces the genes that it removes by NaN.
    kept = df["gene"].notna()
    return df if kept.all() else df[kept].reset_index(drop=True)


def _in_panel(stored: Ranking, groups: list[str], n_ranks: list[int]) -> Any:
    """Whether each gene is in the panel; missing if its size is not known."""
    sizes = [stored.panel_size(group) for group in groups]
    parts = [np.arange(1, n + 1) <= size for n, size in zip(n_ranks, sizes, strict=True)]
    unknown = [np.full(n, np.isnan(size)) for n, size in zip(n_ranks, sizes, strict=True)]
    return pd.arrays.BooleanArray(np.concatenate(parts), np.concatenate(unknown))


def _mixed(stored: Ranking, groups: list[str], n: int) -> Any:
    """Whether each gene is mixed; missing if the result does not say so."""
    if not stored.has("mixed"):
        return pd.array([pd.NA] * n, dtype="boolean")
    return stored.stack("mixed", groups)


def _against(stored: Ranking, groups: list[str], n: int) -> np.ndarray:
    """Group that each gene separates from; NaN if there is none."""
    if not stored.has("against"):
        return np.full(n, np.nan, dtype=object)
    against = stored.stack("against", groups).astype(object)
    against[against == OPTIONAL["against"]] = np.nan
    return against


def _symbols(adata: AnnData, names: np.ndarray, gene_symbols: str) -> np.ndarray:
    """Symbol of each gene; its name if it has none."""
    column = column_of(adata.var, gene_symbols, "adata.var")
    symbols = column.astype(object).fillna("").to_numpy()
    row = adata.var_names.get_indexer(names)
    nameless = (row < 0) | (symbols[row] == "")
    return np.where(nameless, names, symbols[row])
