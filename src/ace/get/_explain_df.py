from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ace._checks._columns import column_of
from ace._checks._objects import annotated
from ace._keys import DEFAULT_KEY, ExplanationKeys
from ace._listed import listed
from ace.get._groups import select_groups

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData


def explain_df(
    adata: AnnData,
    groups: str | Iterable[str] | None = None,
    *,
    key: str = DEFAULT_KEY,
    gene_symbols: str | None = None,
) -> pd.DataFrame:
    """Get an explanation as one tidy frame, a row for each gene of each group.

    Parameters
    ----------
    adata
        Annotated data with the result of :func:`ace.tl.explain`.
    groups
        A group or several, in the order of the result; ``None`` takes all in stored order. With
        ``reference="each"`` the names are those of the ordered pairs, ``"A vs B"``.
    key
        The ``key_added`` that the explanation was stored under.
    gene_symbols
        Column of ``adata.var`` with names for people to read. Adds the column ``symbol``; a gene
        without one keeps its name there.

    Returns
    -------
    Frame with the columns

    ``group``
        Categorical, the categories in the order of the rows.
    ``rank``
        Place of the gene in its group by decreasing absolute score, from 1 (int64).
    ``gene``
        Name of the gene in ``adata.var_names``.
    ``symbol``
        Only with ``gene_symbols``.
    ``score``
        Signed: positive where the gene is enriched in the group (float32).
    ``enriched``
        Whether the gene is enriched in the group (bool).
    ``logfoldchange``
        Log₂ fold change of the group against its reference by scanpy's formula, NaN where the
        data were not log-normalised (float32).
    ``pct_in``, ``pct_out``
        Fractions of the cells of the group and of its reference with non-zero expression of the
        gene, between 0 and 1 (float32).

    Raises
    ------
    KeyError
        If there is no such explanation, group or column.

    See Also
    --------
    ace.get.read_explain_csv : reads the table back as it was.

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
    groups = select_groups(groups, stored.fields, key=key)

    # One long column per record, group after group: no reshaping of frames, so that a hundred
    # thousand rows cost milliseconds.
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
        "enriched": stored.stack("enriched", groups),
        "logfoldchange": stored.stack("logfoldchanges", groups),
        "pct_in": stored.stack("pct_in", groups),
        "pct_out": stored.stack("pct_out", groups),
    }
    df = pd.DataFrame(columns)
    # scanpy.tl.filter_rank_genes_groups puts NaN in the place of the genes it removes.
    kept = df["gene"].notna()
    return df if kept.all() else df[kept].reset_index(drop=True)


def _symbols(adata: AnnData, names: np.ndarray, gene_symbols: str) -> np.ndarray:
    if gene_symbols not in list(adata.var.columns):
        raise KeyError(
            f"gene_symbols={gene_symbols!r} is no column of adata.var; there are "
            f"{listed(adata.var.columns)}."
        )
    column = column_of(adata.var, gene_symbols, "adata.var")
    symbols = column.astype(object).fillna("").to_numpy()
    row = adata.var_names.get_indexer(names)
    nameless = (row < 0) | (symbols[row] == "")
    return np.where(nameless, names, symbols[row])
