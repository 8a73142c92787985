"""Agreement of two rankings, the top weighing most."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ace._checks import _panels
from ace.metrics._ranked import PERSISTENCE, extrapolated_overlap

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence


def rank_biased_overlap(
    first: Sequence[Hashable], second: Sequence[Hashable], *, persistence: float = PERSISTENCE
) -> float:
    r"""Rank-biased overlap of two rankings, extrapolated to all depths.

    With :math:`X_d` the number of genes that the first :math:`d` of both rankings share, rankings
    of the same length :math:`k` have (Webber et al., Eq. 30)

    .. math:: RBO_{ext} = \frac{1-p}{p} \sum_{d=1}^{k} \frac{X_d}{d} \, p^d + \frac{X_k}{k} \, p^k

    and rankings of the lengths :math:`s \le l` (Eq. 32)

    .. math::
        RBO_{ext} = \frac{1-p}{p} \left( \sum_{d=1}^{l} \frac{X_d}{d} \, p^d
        + \sum_{d=s+1}^{l} \frac{X_s (d-s)}{s d} \, p^d \right)
        + \left( \frac{X_l - X_s}{l} + \frac{X_s}{s} \right) p^l .

    The second term takes the rankings, below what is known of them, to go on agreeing as they did.

    Parameters
    ----------
    first, second
        Genes (names or numbers), best first, without ties.
    persistence
        :math:`p`, between 0 and 1: how slowly the weight falls with the rank. At 0.9 the first 10
        genes carry 86 % of it.

    Returns
    -------
    From 0 (nothing shared) to 1 (the same ranking); NaN if a ranking is empty.

    Raises
    ------
    ValueError
        If a ranking names a gene twice, or the persistence is not between 0 and 1.

    See Also
    --------
    ace.metrics.stability, ace.metrics.panel_overlap : of many panels.

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
