"""Stability: whether a method finds the same genes again."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import pandas as pd

from ace._checks import _panels
from ace.metrics._ranked import PERSISTENCE, extrapolated_overlap, jaccard

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from ace._checks._panels import RankedPanels


def stability(
    runs: Sequence[RankedPanels] | Mapping[Hashable, RankedPanels],
    n_top: int | Sequence[int] = 18,
    *,
    persistence: float = PERSISTENCE,
) -> pd.DataFrame:
    r"""Agreement of the panels that several runs of a method found.

    Runs differ in their seed, or in the cells that they saw, such as random halves of the cells.
    For every two of them and each group, the top genes :math:`A` and :math:`B` are compared by
    the Jaccard index, to which all genes count the same, and by
    :func:`ace.metrics.rank_biased_overlap`, to which the first genes count most:

    .. math:: J = \frac{|A \cap B|}{|A \cup B|}

    Parameters
    ----------
    runs
        The panels of each run: ``{group: genes, best first}``, a frame with a column for each
        group, or the names that :func:`ace.tl.explain` and scanpy store, such as
        ``adata.uns["ace"]["names"]``. Genes are names, or numbers that mean the same in all runs.
        A mapping names the runs.
    n_top
        Number of genes compared, or several numbers. Of a panel that has fewer, all.
    persistence
        Of the rank-biased overlap, between 0 and 1.

    Returns
    -------
    agreement
        One row for each group, number of genes and two runs: ``group``, ``n_top``, ``run_1``,
        ``run_2``, ``n_genes`` (mean of the two panels), ``n_shared``, ``jaccard``, ``rbo``. One
        number for the method is ``agreement.groupby("n_top")["jaccard"].mean()``. NaN where
        panels are empty.

    Raises
    ------
    ValueError
        If there are fewer than two runs, if runs have panels for different groups, or if a panel
        names a gene twice.

    References
    ----------
    Kalousis et al. (2007), *Stability of feature selection algorithms*; Webber et al. (2010),
    *A similarity measure for indefinite rankings*.

    Examples
    --------
    Between random halves of the cells:

    >>> import ace
    >>> import numpy as np
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> order = np.random.default_rng(0).permutation(adata.n_obs)
    >>> runs = []
    >>> for cells in np.split(order, 2):
    ...     half = adata[cells].copy()
    ...     ace.tl.explain(half, "bulk_labels")
    ...     runs.append(half.uns["ace"]["names"])
    >>> agreement = ace.metrics.stability(runs, n_top=(5, 18))
    >>> bool(agreement.groupby("n_top")["jaccard"].mean()[18] > 0.1)
    True
    """
    sizes = _panels.panel_sizes(n_top)
    p = _panels.persistence_of(persistence)
    panels = _panels.panels_of_runs(runs, sizes[-1])
    groups = _panels.same_groups({f"run {run!r}": own for run, own in panels.items()})

    rows = []
    for group in groups:
        for size in sizes:
            for run, other in combinations(panels, 2):
                first, second = panels[run][group][:size], panels[other][group][:size]
                n_genes = (len(first) + len(second)) / 2
                n_shared = len(set(first) & set(second))
                overlap = extrapolated_overlap(first, second, p)
                agreement = (n_genes, n_shared, jaccard(first, second), overlap)
                rows.append((group, size, run, other, *agreement))
    columns = ["group", "n_top", "run_1", "run_2", "n_genes", "n_shared", "jaccard", "rbo"]
    return pd.DataFrame(rows, columns=columns)
