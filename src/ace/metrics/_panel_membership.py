"""Methods that selected each gene."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ace._checks import _panels
from ace._docs import doc_params
from ace.metrics import _texts

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from ace._checks._panels import RankedPanels


@doc_params(
    panels=_texts.PANELS_OF_METHODS,
)
def panel_membership(
    panels: Mapping[Hashable, RankedPanels], n_top: int = 18, *, group: Hashable | None = None
) -> pd.DataFrame:
    """Which methods selected each gene.

    Parameters
    ----------
    {panels}
    n_top
        Number of top genes of each panel; shorter panels are used as they are.
    group
        Group whose panels are compared. Optional if there is only one group.

    Returns
    -------
    Boolean frame, genes × methods. Genes selected by most methods come first, ties by best rank.

    Raises
    ------
    TypeError
        If ``panels`` is not a mapping.
    ValueError
        If the group does not exist, or a panel has a gene twice.

    See Also
    --------
    ace.pl.overlap : Plot the overlap.

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
