from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ace._checks import positive
from ace._checks._figures import compares_pairs
from ace._checks._objects import annotated
from ace._docs import doc_params
from ace._keys import DEFAULT_KEY, ExplanationKeys, pairs_of
from ace.get import _texts
from ace.get._selected import explained_groups
from ace.metrics import pair_symmetry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData


@doc_params(key=_texts.KEY)
def pairs_df(
    adata: AnnData,
    groups: Sequence[str] | None = None,
    *,
    n_genes: int = 20,
    key: str = DEFAULT_KEY,
) -> pd.DataFrame:
    """Get how symmetric the explanations of pairs of groups are, one row per pair.

    Genes with a positive score in *A* against *B* should have a negative one in *B* against *A*.
    If the two panels share few genes, they explain the same difference inconsistently.

    Parameters
    ----------
    adata
        Annotated data with the result of ``ace.tl.explain(adata, groupby, reference="each")``.
    groups
        Groups whose pairs are compared, at least two. If ``None``, all.
    n_genes
        Maximum number of genes per panel.
    {key}

    Returns
    -------
    Frame with the columns ``group`` and ``reference`` (categorical, in the order of the groups),
    and ``n_genes``, ``n_shared``, ``jaccard``, ``opposite``, ``rbo`` and ``correlation`` of
    :func:`ace.metrics.pair_symmetry`.

    Raises
    ------
    KeyError
        If the explanation or a group does not exist.
    ValueError
        If the explanation does not compare pairs of groups, there are fewer than two groups, or
        ``n_genes`` is not positive.

    See Also
    --------
    ace.pl.pairs : Draws the panels of all pairs.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.explain(adata, "louvain", groups=["0", "3", "4"], reference="each")
    >>> df = ace.get.pairs_df(adata)
    >>> df[["group", "reference"]]
      group reference
    0     0         3
    1     0         4
    2     3         4
    """
    positive(n_genes, "n_genes", optional=False)
    annotated(adata, reads_matrix=False)
    keys = ExplanationKeys(key)
    stored, pairs = keys.read(adata), explained_pairs(adata, groups, key=key)
    names = {field: stored.values("names", field) for field in pairs}
    genes = pd.Index(pd.unique(np.concatenate(list(names.values()))))
    every = None
    if any(len(own) < len(genes) for own in names.values()) and genes.isin(adata.var_names).all():
        # uns has the top genes of each pair only; varm has the scores of all genes.
        every = keys.read_scores(adata, list(pairs))
        genes = genes if every is None else adata.var_names
    scores, rankings = {}, {}
    for number, (field, pair) in enumerate(pairs.items()):
        rankings[pair] = genes.get_indexer(names[field])
        if every is None:
            scores[pair] = np.zeros(len(genes))
            scores[pair][rankings[pair]] = stored.values("scores", field)
        else:
            scores[pair] = every[:, number]
    df = pair_symmetry(scores, rankings, n_genes)
    order = list(dict.fromkeys(source for source, _ in pairs.values()))
    for column in ("group", "reference"):
        df[column] = pd.Categorical(df[column], categories=order)
    return df


def explained_pairs(
    adata: AnnData, groups: Sequence[str] | None, *, key: str
) -> dict[str, tuple[str, str]]:
    """Return the pairs of the selected groups, by the name of their field.

    Raises
    ------
    KeyError
        If the explanation or a group does not exist.
    ValueError
        If the explanation does not compare pairs of groups, or there are fewer than two groups.
    """
    annotated(adata, reads_matrix=False)
    stored = ExplanationKeys(key).read(adata)
    params = stored.params
    known = pairs_of(stored.fields) if params["reference"] == "each" else None
    known = compares_pairs(known, params, key)
    sources = list(dict.fromkeys(source for source, _ in known.values()))
    names = explained_groups(groups, sources, key, at_least=2)
    field_of = {pair: field for field, pair in known.items()}
    return {field_of[a, b]: (a, b) for a in names for b in names if a != b}
