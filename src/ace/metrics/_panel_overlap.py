"""Overlap of the panels of several methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from ace._checks import _panels
from ace._checks._arguments import one_of
from ace._docs import doc_params
from ace.metrics import _texts
from ace.metrics._ranked import PERSISTENCE, extrapolated_overlap, jaccard

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from ace._checks._panels import RankedPanels

_MEASURES = ("jaccard", "n_shared", "rbo")


@doc_params(
    panels=_texts.PANELS_OF_METHODS,
    persistence=_texts.PERSISTENCE,
)
def panel_overlap(
    panels: Mapping[Hashable, RankedPanels],
    n_top: int = 18,
    *,
    group: Hashable | None = None,
    measure: Literal["jaccard", "n_shared", "rbo"] = "jaccard",
    persistence: float = PERSISTENCE,
) -> pd.DataFrame:
    r"""Overlap of the panels of several methods, methods × methods.

    For two panels :math:`A` and :math:`B` of a group, the Jaccard index
    :math:`|A \cap B| / |A \cup B|`, the number of shared genes :math:`|A \cap B|`, or
    :func:`ace.metrics.rank_biased_overlap`.

    Parameters
    ----------
    {panels}
    n_top
        Number of top genes to compare; shorter panels are used as they are.
    group
        Group whose panels are compared. If ``None``, the mean over all groups is returned.
    measure
        ``"jaccard"``, ``"n_shared"`` or ``"rbo"``.
    {persistence}

    Returns
    -------
    Symmetric frame, methods × methods. The diagonal is the overlap of a panel with itself: 1, or
    its number of genes. NaN for empty panels.

    Raises
    ------
    TypeError
        If ``panels`` is not a mapping.
    ValueError
        If the group or measure does not exist, if methods have panels for different groups and
        ``group`` is ``None``, or if a panel has a gene twice.

    See Also
    --------
    ace.metrics.panel_membership : Which methods selected each gene.
    ace.pl.overlap : Plot the overlap.

    References
    ----------
    Lu et al. (2021), *ACE: Explaining cluster from an adversarial perspective*, Figure 3D.

    Examples
    --------
    >>> import ace
    >>> panels = {
    ...     "ACE": {"T": ["CD3D", "IL7R", "CCL5"], "B": ["CD79A", "MS4A1", "CD74"]},
    ...     "Wilcoxon": {"T": ["CD3D", "IL32", "IL7R"], "B": ["CD74", "CD79A", "MS4A1"]},
    ... }
    >>> ace.metrics.panel_overlap(panels, n_top=3)
    method     ACE  Wilcoxon
    method
    ACE       1.00      0.75
    Wilcoxon  0.75      1.00
    >>> ace.metrics.panel_overlap(panels, n_top=3, group="T", measure="n_shared")
    method    ACE  Wilcoxon
    method
    ACE         3         2
    Wilcoxon    2         3
    """
    size = _panels.panel_sizes(n_top)[-1]
    p = _panels.persistence_of(persistence)
    one_of(measure, "measure", _MEASURES)
    of = _panels.panels_of_methods(panels, size)
    if group is None:
        groups = _panels.same_groups({f"method {m!r}": own for m, own in of.items()})
    else:
        groups = [_panels.shared_group(of, group)]

    values = np.array(
        [
            [[_compare(a[g], b[g], measure, p) for b in of.values()] for a in of.values()]
            for g in groups
        ]
    )
    methods = pd.Index(list(of), name="method")
    mean = values.mean(axis=0) if group is None else values[0]
    return pd.DataFrame(mean, index=methods, columns=methods)


def _compare(
    first: list[Hashable], second: list[Hashable], measure: str, persistence: float
) -> float:
    if measure == "n_shared":
        return len(set(first) & set(second))
    if measure == "jaccard":
        return jaccard(first, second)
    return extrapolated_overlap(first, second, persistence)
