from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ace._checks import one_of
from ace._checks._objects import annotated
from ace._keys import DEFAULT_PANEL_KEY, PANEL_TABLES, PanelKeys

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


def panel_df(
    adata: AnnData,
    table: Literal["genes", "quality", "confusion"] = "genes",
    *,
    key: str = DEFAULT_PANEL_KEY,
) -> pd.DataFrame:
    """Get a panel for all groups as a data frame.

    Parameters
    ----------
    adata
        Annotated data with the result of :func:`ace.tl.select_panel`.
    table
        Table to return: one of the three below.
    key
        The ``key_added`` of the panel.

    Returns
    -------
    ``"genes"``: one row per gene, in the order in which they entered, with the columns

    ``gene``, ``rank``
        Name and position, from 1.
    ``group``, ``against``
        The two groups whose separation increased most when the gene entered. ``group`` expresses
        the gene more (categorical).
    ``gain``
        Increase of the criterion of :func:`ace.tl.select_panel`.

    ``"quality"``: one row per number of genes, cross-fitted, with the columns

    ``n_genes``
        Number of genes.
    ``balanced_accuracy``, ``balanced_accuracy_se``
        Mean over the groups of the fraction of their cells that are assigned to them (recall), and
        its binomial standard error.
    ``worst_recall``, ``worst_group``
        Smallest recall of a group, and that group.

    ``"confusion"``: one row per pair of groups with such cells, cross-fitted, with the columns

    ``group``, ``predicted``, ``n_cells``
        Number of cells of ``group`` that the panel of all genes assigns to ``predicted``.

    Raises
    ------
    KeyError
        If the panel does not exist.
    ValueError
        If there is no such table.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.select_panel(adata, "bulk_labels", n_genes=10)
    >>> ace.get.panel_df(adata).columns.tolist()
    ['gene', 'rank', 'group', 'against', 'gain']
    """
    one_of(table, "table", PANEL_TABLES)
    annotated(adata, reads_matrix=False)
    return PanelKeys(key).read(adata)[table].copy()
