"""Symmetry of the explanations of A against B and of B against A."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ace._checks import _panels
from ace._listed import listed
from ace.metrics._ranked import PERSISTENCE, extrapolated_overlap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from ace._checks._panels import Pair


def pair_symmetry(
    scores: Mapping[Pair, ArrayLike],
    rankings: Mapping[Pair, ArrayLike] | None = None,
    n_top: int = 20,
) -> pd.DataFrame:
    """Compare the explanation of one group against another with that of the reverse comparison.

    A perturbation that moves cells from *A* to *B* should be the opposite, gene by gene, of one
    that moves them from *B* to *A* (ACE, §5.3: "inherently symmetric"). The panels of both
    directions should therefore contain the same genes, with opposite signs.

    Parameters
    ----------
    scores
        For each ordered pair of groups, signed scores of all genes, shape ``(n_genes,)``.
    rankings
        For each ordered pair of groups, column indices of the genes, best first. If ``None``,
        genes are ranked by absolute score, and ties by column.
    n_top
        Maximum number of genes in a panel. Genes with a score of 0 are left out.

    Returns
    -------
    One row for each unordered pair that has both directions, with the columns

    ``group``, ``reference``
        The groups of the direction that comes first.
    ``n_genes``
        Mean number of genes of the two panels.
    ``n_shared``
        Number of genes in both panels.
    ``jaccard``
        Jaccard index of the two panels.
    ``opposite``
        Fraction of the shared genes with opposite signs; NaN if there are none.
    ``rbo``
        :func:`ace.metrics.rank_biased_overlap` with persistence 0.9, which gives more weight to
        top genes.
    ``correlation``
        Pearson correlation of the signed scores, over genes with a score in either direction; -1
        is perfect symmetry. NaN if undefined.

    Raises
    ------
    ValueError
        If no pair has both directions, or scores and rankings do not match.

    References
    ----------
    Webber et al. (2010), *A similarity measure for indefinite rankings*, Eq. 32.

    Examples
    --------
    >>> import ace
    >>> there, back = [0.9, -0.5, 0.0, 0.1], [-0.8, 0.6, 0.3, 0.0]
    >>> df = ace.metrics.pair_symmetry({("A", "B"): there, ("B", "A"): back}, n_top=3)
    >>> df[["group", "reference", "n_shared", "jaccard", "opposite"]]
      group reference  n_shared  jaccard  opposite
    0     A         B         2      0.5       1.0
    """
    size = _panels.panel_sizes(n_top)[-1]
    values = _panels.scores_of_pairs(scores)
    n_genes = len(next(iter(values.values())))
    given = None if rankings is None else _panels.rankings_of_pairs(rankings, values, n_genes)
    panels = {}
    for pair, score in values.items():
        ranking = np.argsort(-np.abs(score), kind="stable") if given is None else given[pair]
        ranking = ranking[:size]
        panels[pair] = ranking[score[ranking] != 0]

    rows = []
    done: set[Pair] = set()
    for pair in values:
        back = (pair[1], pair[0])
        if back not in values or back in done:
            continue
        done.add(pair)
        rows.append((*pair, *_compare(values[pair], values[back], panels[pair], panels[back])))
    if not rows:
        raise ValueError(
            f"scores has no pair of groups in both directions, only {listed(values)}; pass the "
            "scores of (A, B) and of (B, A)."
        )
    columns = ["n_genes", "n_shared", "jaccard", "opposite", "rbo", "correlation"]
    return pd.DataFrame(rows, columns=["group", "reference", *columns])


def _compare(
    there: NDArray[np.float64],
    back: NDArray[np.float64],
    first: NDArray[np.intp],
    second: NDArray[np.intp],
) -> tuple[float, int, float, float, float, float]:
    shared = np.intersect1d(first, second)
    either = len(first) + len(second) - len(shared)
    opposite = np.sign(there[shared]) == -np.sign(back[shared])
    scored = (there != 0) | (back != 0)
    varied = all(np.std(s[scored]) > 0 for s in (there, back)) if scored.any() else False
    return (
        (len(first) + len(second)) / 2,
        len(shared),
        len(shared) / either if either else np.nan,
        float(opposite.mean()) if len(shared) else np.nan,
        extrapolated_overlap(first.tolist(), second.tolist(), PERSISTENCE),
        float(np.corrcoef(there[scored], back[scored])[0, 1]) if varied else np.nan,
    )
