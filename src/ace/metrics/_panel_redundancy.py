"""Redundancy: correlation between the genes of a panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ace._checks import _arrays, _panels
from ace._docs import doc_params
from ace.metrics import _texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ace._checks._arrays import Matrix
    from ace._checks._panels import Panels


@doc_params(
    X=_texts.X,
    panels=_texts.PANELS,
    n_top=_texts.N_TOP,
)
def panel_redundancy(
    X: Matrix,
    panels: Panels,
    n_top: float | Sequence[float] = 18,
    *,
    absolute: bool = False,
) -> pd.DataFrame:
    r"""Mean correlation between the top genes of each panel.

    .. math:: R_c(k) = \frac{2}{k(k-1)} \sum_{i<j} r(x_i, x_j)

    with Pearson's :math:`r` over all cells of ``X``, and :math:`i, j` among the top :math:`k`
    genes of group :math:`c`. The papers report the mean over groups. In panels with both enriched
    and depleted genes, negative correlations lower the mean; use ``absolute=True`` to prevent
    this.

    Parameters
    ----------
    {X}
    {panels}
    {n_top}
    absolute
        Average absolute correlations.

    Returns
    -------
    redundancies
        One row for each group and number of genes: ``group``, ``n_top``, ``redundancy``. Pairs
        with a constant gene are left out; the value is NaN if no pair is left.

    Raises
    ------
    TypeError
        If ``X`` is an AnnData, or ``panels`` is not a mapping.
    ValueError
        If ``n_top`` is less than 2, a panel has fewer than ``n_top`` genes or invalid columns, or
        values are not finite or exceed 1e15.

    Examples
    --------
    >>> import ace
    >>> import numpy as np
    >>> x = np.array([[1.0, 2.0, 4.0], [2.0, 4.0, 3.0], [3.0, 6.0, 2.0]])
    >>> ace.metrics.panel_redundancy(x, {"a": [0, 1, 2]}, n_top=(2, 3))
      group  n_top  redundancy
    0     a      2    1.000000
    1     a      3   -0.333333
    """
    X = _arrays.matrix(X)
    sizes = _panels.panel_sizes(n_top, X.shape[1], smallest=2)
    rows = []
    for group, columns in _panels.index_panels(panels, X.shape[1], sizes[-1]).items():
        correlation = _correlation(_arrays.dense_columns(X, columns))
        if absolute:
            correlation = np.abs(correlation)
        for size in sizes:
            pairs = correlation[:size, :size][np.triu_indices(size, 1)]
            defined = pairs[np.isfinite(pairs)]
            rows.append((group, size, defined.mean() if len(defined) else np.nan))
    return pd.DataFrame(rows, columns=["group", "n_top", "redundancy"])


def _correlation(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson correlations, NaN where a column is constant."""
    constant = np.ptp(values, axis=0) == 0
    centred = values - values.mean(axis=0)
    norm = np.sqrt((centred**2).sum(axis=0))
    constant |= norm == 0  # squares of tiny differences underflow
    norm[constant] = 1
    centred /= norm
    correlation = centred.T @ centred
    correlation[constant] = np.nan
    correlation[:, constant] = np.nan
    return correlation
