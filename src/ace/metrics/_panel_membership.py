"""Which methods chose which genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ace._checks import _panels

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from ace._checks._panels import RankedPanels


def panel_membership(
    panels: Mapping[Hashable, RankedPanels], n_top: int = 18, *, group: Hashable | None = None
) -> pd.DataFrame:
    """Tell for each gene in the panel of some method by which methods it was chosen.

    Parameters
    ----------
    panels
        For each method, its panels: ``{group: genes, best first}``, a frame with a column for each
        group, or the names that :func:`ace.tl.explain` and scanpy store, such as
        ``adata.uns["ace"]["names"]``.
    n_top
        Number of genes of a panel. Of a panel that has fewer, all.
    group
        The group whose panels are compared; need not be named if there is one only.

    Returns
    -------
    Boolean frame, genes × methods. Genes of many methods come first, and among these the ones that
    some method ranks high.

    Raises
    ------
    TypeError
        If ``panels`` is not a mapping.
    ValueError
        If there is no such group, or a panel names a gene twice.

    See Also
    --------
    ace.pl.overlap : draws it.

    Examples
    --------
    >>> import ace
    >>> panels = {
    ...     "ACE": {"T": ["CD3D", "IL7R", "CCL5"]},
    ...     "Wilcoxon": {"T": ["IL32", "CD3D", "IL7R"]},
    ... }
    >>> chosen = ace.metrics.panel_membership(panels)
    >>> chosen
    method   ACE  Wilcoxon
    gene
    CD3D    True      True
    IL7R    True      True
    IL32   False      True
    CCL5    True     False
    >>> only_ace = chosen["ACE"] & (chosen.sum(axis=1) == 1)
    >>> list(chosen.index[only_ace])
    ['CCL5']
    """
    of = _panels.panels_of_methods(panels, _panels.panel_sizes(n_top)[-1])
    name = _panels.shared_group(of, group)
    ranks: dict[Hashable, dict[Hashable, int]] = {}
    for method, own in of.items():
        for rank, gene in enumerate(own[name]):
            ranks.setdefault(gene, {})[method] = rank
    genes = sorted(ranks, key=lambda gene: (-len(ranks[gene]), min(ranks[gene].values())))
    return pd.DataFrame(
        [[method in ranks[gene] for method in of] for gene in genes],
        index=pd.Index(genes, name="gene", dtype=None if genes else object),
        columns=pd.Index(list(of), name="method"),
        dtype=bool,
    )
