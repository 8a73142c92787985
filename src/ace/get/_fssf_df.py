from __future__ import annotations

from typing import TYPE_CHECKING

from ace._checks._objects import annotated
from ace._keys import DEFAULT_FSSF_KEY, FssfKeys

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


def fssf_df(adata: AnnData, *, key: str = DEFAULT_FSSF_KEY) -> pd.DataFrame:
    """Get subcluster founder scores as a data frame, one row per pair of subclusters.

    Parameters
    ----------
    adata
        Annotated data with the result of :func:`ace.tl.fssf`.
    key
        The ``key_added`` of the scores.

    Returns
    -------
    Frame with the columns

    ``group``, ``subcluster_1``, ``subcluster_2``
        The group and its two subclusters (categorical).
    ``n_cells``
        Number of swapped cells, of both subclusters together.
    ``fssf``
        Score of the genes, from -1 to 1.
    ``random_mean``, ``random_sd``
        Mean and standard deviation of the scores of random gene sets of the same size; NaN without
        random sets.
    ``p_value``
        Fraction of these scores, including that of the genes, that are at least as high as that of
        the genes; NaN without random sets.

    Raises
    ------
    KeyError
        If the scores do not exist.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.model.SCARE.setup_anndata(adata, layer="counts")
    >>> genes = ["CD74", "HLA-DRA", "CD79A"]
    >>> model = ace.model.SCARE(adata, ground_truth=genes)
    >>> model.train(max_epochs=3, enable_progress_bar=False)
    >>> ace.tl.fssf(adata, "phase", genes, model=model, n_random=10)
    >>> ace.get.fssf_df(adata).columns.tolist()[3:]
    ['n_cells', 'fssf', 'random_mean', 'random_sd', 'p_value']
    """
    annotated(adata, reads_matrix=False)
    return FssfKeys(key).read(adata)["pairs"].copy()
