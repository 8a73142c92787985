from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from ace._checks import one_of, positive
from ace._docs import doc_params
from ace._keys import DEFAULT_KEY, ExplanationKeys
from ace.get import _texts
from ace.get._explain_df import explain_df

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData

#: Number of genes of a group without a panel size.
N_GENES = 5


@doc_params(adata=_texts.ADATA, groups=_texts.GROUPS, key=_texts.KEY)
def panel_dict(
    adata: AnnData,
    groups: str | Iterable[str] | None = None,
    *,
    n_genes: int | None = None,
    direction: Literal["enriched", "depleted"] | None = None,
    key: str = DEFAULT_KEY,
    gene_symbols: str | None = None,
) -> dict[str, list[str]]:
    """Get the panel of each group as a dictionary, for scanpy's plots.

    Parameters
    ----------
    {adata}
    {groups}
    n_genes
        Number of genes per group. If ``None``, the ``panel_size`` in the diagnostics, or 5 if the
        method has none.
    direction
        Get ``"enriched"`` or ``"depleted"`` genes only: the first ``n_genes`` of these. If
        ``None``, both.
    {key}
    gene_symbols
        Column of ``adata.var`` with gene names, for plots with the same argument. If ``None``,
        ``adata.var_names``.

    Returns
    -------
    Names of the genes of each group, best first. Genes that are not ranked (score NaN or 0) are
    left out, as are groups without genes, such as those with a ``panel_size`` of 0.

    Raises
    ------
    KeyError
        If the explanation, a group or the column does not exist.
    ValueError
        If ``n_genes`` is not positive, or ``direction`` is unknown.

    Examples
    --------
    >>> import ace
    >>> import scanpy as sc
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> ace.tl.explain(adata, groupby="louvain")
    >>> panels = ace.get.panel_dict(adata, n_genes=3, direction="enriched")
    >>> len(panels["4"])
    3
    >>> sc.pl.dotplot(adata, panels, groupby="louvain")  # doctest: +SKIP
    """
    positive(n_genes, "n_genes")
    one_of(direction, "direction", [None, "enriched", "depleted"])
    df = explain_df(adata, groups, key=key, gene_symbols=gene_symbols)
    df = df[df["score"].abs() > 0]
    if direction is not None:
        df = df[df["enriched"] == (direction == "enriched")]
    stored = ExplanationKeys(key).read(adata)
    panels = {}
    for group, own in df.groupby("group", sort=False, observed=True):
        size = stored.panel_size(str(group))
        own_size = N_GENES if np.isnan(size) else int(size)
        n = own_size if n_genes is None else n_genes
        if n:
            panels[str(group)] = own["gene" if gene_symbols is None else "symbol"][:n].tolist()
    return panels
