from __future__ import annotations

from typing import TYPE_CHECKING

from ace._checks._objects import annotated
from ace._docs import doc_params
from ace._keys import DEFAULT_KEY, ExplanationKeys
from ace.get import _texts
from ace.get._selected import explained_groups, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from anndata import AnnData


@doc_params(adata=_texts.ADATA, key=_texts.KEY)
def rules_df(
    adata: AnnData, groups: str | Iterable[str] | None = None, *, key: str = DEFAULT_KEY
) -> pd.DataFrame:
    """Get a rule for each group: thresholds on up to three genes.

    For gating, and to describe a group in a sentence. Up to three conditions are added one at a
    time. Each is the gene (of the first eight of the ranking) and the threshold with the largest
    :math:`F_{0.5}`; the thresholds of the other conditions are then chosen again. No condition is
    added that increases :math:`F_{0.5}` by less than 0.01. Thresholds are in the units of the
    values that were explained.

    Parameters
    ----------
    {adata}
    groups
        A group or several; the rows follow this order. If ``None``, all in stored order.
    {key}

    Returns
    -------
    Frame with a row for each group that has a panel, and the columns

    ``group``
        Group (categorical, in the order of the rows).
    ``rule``
        The rule, such as ``"CD79A > 0.8 and NKG7 ≤ 0.4"``, fitted to all cells.
    ``n_genes``
        Number of genes in it.
    ``precision``, ``recall``
        Share of the selected cells that are of the group, and share of the group that is selected:
        the means over five parts of the cells, for rules whose genes and thresholds were chosen on
        the other parts.
    ``precision_se``, ``recall_se``
        Their standard errors.

    Raises
    ------
    KeyError
        If the explanation or a group does not exist, or it was made with ``quality=False``.
    ValueError
        If ``groups`` is empty or contains a group twice.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.explain(adata, groupby="louvain")
    >>> rules = ace.get.rules_df(adata, ["4", "10"])
    >>> rules["group"].tolist()
    ['4', '10']
    """
    annotated(adata, reads_matrix=False)
    stored = ExplanationKeys(key).read(adata)
    groups = explained_groups(groups, stored.fields, key)
    return rows_of(stored.rules, groups, f"the explanation {key!r} has no rules")
