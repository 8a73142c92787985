from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ace._checks import positive
from ace._checks._objects import annotated
from ace._keys import DEFAULT_KEY, ExplanationKeys, pairs_of
from ace.get._groups import select_groups
from ace.metrics import pair_symmetry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData


def pairs_df(
    adata: AnnData,
    groups: Sequence[str] | None = None,
    *,
    n_genes: int = 20,
    key: str = DEFAULT_KEY,
) -> pd.DataFrame:
    """Get how far the explanations of pairs of groups are symmetric, a row for each two groups.

    What makes *A* differ from *B* should make *B* differ from *A*, with the directions turned
    round: a gene that is enriched in one is depleted in the other. Where few genes are shared, the
    two panels tell different stories of the same difference.

    Parameters
    ----------
    adata
        Annotated data with the result of ``ace.tl.explain(adata, groupby, reference="each")``.
    groups
        Groups whose pairs are wanted, at least two; ``None`` takes all.
    n_genes
        Genes of a panel that are compared, at most.
    key
        The ``key_added`` that the explanation was stored under.

    Returns
    -------
    Frame with the columns ``group`` and ``reference`` (categorical, in the order of the groups)
    and ``n_genes``, ``n_shared``, ``jaccard``, ``opposite``, ``rbo`` and ``correlation`` of
    :func:`ace.metrics.pair_symmetry`.

    Raises
    ------
    KeyError
        If there is no such explanation or group.
    ValueError
        If the explanation is not one of pairs, or fewer than two groups or no gene are asked for.

    See Also
    --------
    ace.pl.pairs : the panels themselves, as a matrix.

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
        # The records only have the top genes of each pair; varm has the scores of all genes.
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
    """Give the stored fields of the pairs of some groups, in the order of these.

    Raises
    ------
    KeyError
        If there is no such explanation or group.
    ValueError
        If the explanation is not one of pairs, or fewer than two groups are asked for.
    """
    annotated(adata, reads_matrix=False)
    stored = ExplanationKeys(key).read(adata)
    params = stored.params
    known = pairs_of(stored.fields) if params["reference"] == "each" else None
    if known is None:
        raise ValueError(
            f"adata.uns[{key!r}] compares groups with {params['reference']!r}, not each with "
            f"each. Make the pairs with ace.tl.explain(adata, groupby={params['groupby']!r}, "
            'reference="each", key_added="pairs"), and pass key="pairs".'
        )
    names = select_groups(groups, list(dict.fromkeys(a for a, _ in known.values())), key=key)
    if len(names) < 2:
        raise ValueError(f"a pair needs two groups, got {names}; name one more, or pass None.")
    field_of = {pair: field for field, pair in known.items()}
    return {field_of[a, b]: (a, b) for a in names for b in names if a != b}
