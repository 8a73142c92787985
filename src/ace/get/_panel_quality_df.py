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
def panel_quality_df(
    adata: AnnData, groups: str | Iterable[str] | None = None, *, key: str = DEFAULT_KEY
) -> pd.DataFrame:
    r"""Get the quality of panels on cells that had no part in their choice.

    :func:`ace.tl.explain` splits the cells of each group into five parts. For each part, the
    scorer is fitted and the genes are chosen again without it, an additive model of the leading
    genes (their values, and whether they are above 0) is fitted to the other cells, and its
    predictions are judged on the part. The measures are therefore those of the procedure; the
    stored panel was chosen on all cells and may hold other genes than that of a part. A model that
    was trained on the same cells is not trained again.

    Parameters
    ----------
    {adata}
    groups
        A group or several; the rows follow this order. If ``None``, all in stored order.
    {key}

    Returns
    -------
    Frame with a row for each group and each number of genes (1 to 6, 8, 10, 15 and 20), and the
    columns

    ``group``
        Group (categorical, in the order of the rows). Groups of fewer than five cells have no
        rows.
    ``n_genes``
        Number of leading genes.
    ``auroc``, ``average_precision``
        Area under the ROC curve and average precision of the group against its reference.
    ``precision``, ``recall``, ``f_beta``
        At the threshold with the best :math:`F_{0.5}` on the cells that the model was fitted to.
        F-measures with :math:`\beta = 0.5` count precision more than recall, as NS-Forest does.
    ``auroc_against``
        AUROC of the group against the nearest other group alone.
    ``auroc_se``, ``average_precision_se``, ...
        Standard error of each of these measures.
    ``against``
        That nearest group: the one with the highest mean log-odds in the cells of the group.

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
    >>> df = ace.get.panel_quality_df(adata, "4")
    >>> bool(df["auroc"].max() > 0.9)
    True
    """
    annotated(adata, reads_matrix=False)
    stored = ExplanationKeys(key).read(adata)
    groups = explained_groups(groups, stored.fields, key)
    return rows_of(stored.quality, groups, f"the explanation {key!r} has no quality")
