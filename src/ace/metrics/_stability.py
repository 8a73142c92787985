"""Stability of the panels of a method between runs."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import pandas as pd

from ace._checks import _panels
from ace._docs import doc_params
from ace.metrics import _texts
from ace.metrics._ranked import PERSISTENCE, extrapolated_overlap, jaccard

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from ace._checks._panels import RankedPanels


@doc_params(
    persistence=_texts.PERSISTENCE,
)
def stability(
    runs: Sequence[RankedPanels] | Mapping[Hashable, RankedPanels],
    n_top: int | Sequence[int] = 18,
    *,
    persistence: float = PERSISTENCE,
) -> pd.DataFrame:
    r"""Agreement between the panels of several runs of a method.

    Runs may differ in the seed or in the cells, such as random halves of the data. For each group
    and each pair of runs, the top genes :math:`A` and :math:`B` are compared by the Jaccard index,
    which weights all genes equally, and by :func:`ace.metrics.rank_biased_overlap`, which gives
    more weight to top genes:

    .. math:: J = \frac{|A \cap B|}{|A \cup B|}

    Parameters
    ----------
    runs
        Panels of each run: ``{group: genes, best first}``, a frame with a column for each group,
        or the names stored by :func:`ace.tl.explain` or scanpy, such as
        ``adata.uns["ace"]["names"]``. Pass a list, or a mapping to name the runs. Genes are names,
        or numbers that mean the same gene in all runs.
    n_top
        Number of top genes to compare, or several numbers; shorter panels are used as they are.
    {persistence}

    Returns
    -------
    agreement
        One row for each group, number of genes and pair of runs: ``group``, ``n_top``, ``run_1``,
        ``run_2``, ``n_genes`` (mean of the two panels), ``n_shared``, ``jaccard``, ``rbo``. NaN
        for empty panels. ``agreement.groupby("n_top")["jaccard"].mean()`` summarises the method.

    Raises
    ------
    ValueError
        If there are fewer than two runs, runs have panels for different groups, or a panel has a
        gene twice.

    References
    ----------
    Kalousis et al. (2007), *Stability of feature selection algorithms*; Webber et al. (2010),
    *A similarity measure for indefinite rankings*.

    Examples
    --------
    Compare random halves of the cells:

    >>> import ace
    >>> import numpy as np
    >>> adata = ace.datasets.pbmc68k_reduced()
    >>> adata = adata[adata.obs["louvain"].isin(["0", "1", "2", "3", "4"])].copy()
    >>> order = np.random.default_rng(0).permutation(adata.n_obs)
    >>> runs = []
    >>> for cells in np.array_split(order, 2):
    ...     half = adata[cells].copy()
    ...     ace.tl.explain(half, "louvain")
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
