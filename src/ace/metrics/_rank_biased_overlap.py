"""Rank-biased overlap of two rankings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ace._checks import _panels
from ace.metrics._ranked import PERSISTENCE, extrapolated_overlap

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence


def rank_biased_overlap(
    first: Sequence[Hashable], second: Sequence[Hashable], *, persistence: float = PERSISTENCE
) -> float:
    r"""Rank-biased overlap (RBO) of two rankings, extrapolated to infinite depth.

    With :math:`X_d` the number of genes shared by the top :math:`d` of both rankings, rankings of
    the same length :math:`k` have (Webber et al., Eq. 30)

    .. math:: RBO_{ext} = \frac{1-p}{p} \sum_{d=1}^{k} \frac{X_d}{d} \, p^d + \frac{X_k}{k} \, p^k

    and rankings of lengths :math:`s \le l` (Eq. 32)

    .. math::
        RBO_{ext} = \frac{1-p}{p} \left( \sum_{d=1}^{l} \frac{X_d}{d} \, p^d
        + \sum_{d=s+1}^{l} \frac{X_s (d-s)}{s d} \, p^d \right)
        + \left( \frac{X_l - X_s}{l} + \frac{X_s}{s} \right) p^l .

    The second sum assumes that the agreement up to the end of the shorter ranking continues below
    it.

    Parameters
    ----------
    first, second
        Genes (names or numbers), best first, without ties.
    persistence
        :math:`p`, between 0 and 1: the larger, the more weight lower ranks have. At 0.9, the top
        10 genes have 86 % of the weight.

    Returns
    -------
    RBO from 0 (no shared genes) to 1 (identical rankings); NaN if a ranking is empty.

    Raises
    ------
    ValueError
        If a ranking has a gene twice, or ``persistence`` is not between 0 and 1.

    See Also
    --------
    ace.metrics.stability : Agreement between several runs of a method.
    ace.metrics.panel_overlap : Agreement between several methods.

    References
    ----------
    Webber, Moffat & Zobel (2010), *A similarity measure for indefinite rankings*.

    Examples
    --------
    >>> import ace
    >>> ranking = ["CD3D", "IL7R", "CCR7"]
    >>> round(ace.metrics.rank_biased_overlap(ranking, ["CD3D", "CCR7", "IL7R"]), 3)
    0.955
    >>> round(ace.metrics.rank_biased_overlap(ranking, ["IL7R", "CD3D", "CCR7"]), 3)
    0.9
    """
    p = _panels.persistence_of(persistence)
    return extrapolated_overlap(
        _panels.ranking(first, "the ranking 'first'"),
        _panels.ranking(second, "the ranking 'second'"),
        p,
    )
