from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ace._checks._objects import annotated
from ace._docs import doc_params
from ace._keys import DEFAULT_KEY, ExplanationKeys
from ace.get import _texts
from ace.get._selected import explained_groups

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData


@doc_params(adata=_texts.ADATA, groups=_texts.GROUPS, key=_texts.KEY)
def diagnostics_df(
    adata: AnnData,
    groups: str | Iterable[str] | None = None,
    *,
    key: str = DEFAULT_KEY,
) -> pd.DataFrame:
    """Get the diagnostics of an explanation as a data frame, one row per group.

    Parameters
    ----------
    {adata}
    {groups}
    {key}

    Returns
    -------
    Frame with a categorical column ``group`` and the columns below, NaN if they do not apply to
    the method:

    ``fidelity``
        Fraction of the group's cells that the explained scorer assigns to the group. If it is
        low, the explanation may not describe the group.
    ``n_cells``, ``n_reference``
        Number of explained cells, and of cells of the reference.
    ``panel_size``
        Number of genes that a cross-validated surrogate model needs.
    ``flip_rate``
        Fraction of cells whose group changes after the perturbation.
    ``l1``
        Median size of the perturbation, in the units of the matrix.
    ``n_features``
        Median number of perturbed genes.
    ``delta``
        Difference between the sum of the attributions and the difference of scores that they
        explain.
    ``seconds``
        Run time.

    Raises
    ------
    KeyError
        If the explanation or a group does not exist.

    Examples
    --------
    >>> import ace
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.explain(adata, groupby="louvain")
    >>> bool(ace.get.diagnostics_df(adata)["fidelity"].between(0, 1).all())
    True
    """
    annotated(adata, reads_matrix=False)
    stored = ExplanationKeys(key).read(adata)
    groups = explained_groups(groups, stored.fields, key)
    df = stored.diagnostics.loc[groups].reset_index(drop=True)
    df.insert(0, "group", pd.Categorical(groups, categories=groups))
    return df
