from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ace._checks._objects import annotated
from ace._keys import DEFAULT_KEY, ExplanationKeys
from ace.get._groups import select_groups

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData


def diagnostics_df(
    adata: AnnData,
    groups: str | Iterable[str] | None = None,
    *,
    key: str = DEFAULT_KEY,
) -> pd.DataFrame:
    """Get how far an explanation can be trusted, a row for each group.

    Parameters
    ----------
    adata
        Annotated data with the result of :func:`ace.tl.explain`.
    groups
        A group or several, in the order of the result; ``None`` takes all in stored order.
    key
        The ``key_added`` that the explanation was stored under.

    Returns
    -------
    Frame with the categorical column ``group`` and, NaN where the method has no such number,

    ``fidelity``
        Fraction of the cells that the explained scorer gives to the group they are labelled with.
    ``n_cells``, ``n_reference``
        Cells explained, and cells they were compared with.
    ``panel_size``
        Genes that a cross-validated surrogate needs.
    ``flip_rate``
        Fraction of the cells whose group the perturbation changes.
    ``l1``
        Median size of the perturbation, in the units of the explained matrix.
    ``n_features``
        Median number of genes perturbed.
    ``delta``
        How far attributions are from adding up to the difference that they explain.
    ``seconds``
        Time taken.

    Raises
    ------
    KeyError
        If there is no such explanation or group.

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
    groups = select_groups(groups, stored.fields, key=key)
    df = stored.diagnostics.loc[groups].reset_index(drop=True)
    df.insert(0, "group", pd.Categorical(groups, categories=groups))
    return df
