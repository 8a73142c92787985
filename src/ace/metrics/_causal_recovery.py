"""Kinds of genes among the top genes of a panel, for simulated data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ace._checks import _panels
from ace._docs import doc_params
from ace.metrics import _texts

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ace._checks._panels import Panels


@doc_params(
    panels=_texts.PANELS,
)
def causal_recovery(panels: Panels, kind: ArrayLike, n_top: int = 20) -> pd.DataFrame:
    """Count causal, dependent and noise genes among the top genes of each panel (KRATOS, Table 1).

    Shuffle the genes of simulated data before ranking them. If causal genes come first, a method
    that breaks ties by position scores too well.

    Parameters
    ----------
    {panels}
    kind
        Kind of each gene, such as ``adata.var["kind"]`` of :func:`ace.datasets.simulated_panels`.
    n_top
        Number of top genes to count.

    Returns
    -------
    counts
        Groups × kinds; each row sums to ``n_top``. The columns are the categories of ``kind``, or
        its sorted values. The papers report ``counts.mean()``.

    Raises
    ------
    TypeError
        If ``panels`` is not a mapping.
    ValueError
        If a panel has fewer than ``n_top`` genes or invalid columns, or if a gene has no kind.

    Examples
    --------
    >>> import ace
    >>> kind = ["causal", "noise", "causal", "dependent"]
    >>> ace.metrics.causal_recovery({"a": [2, 1, 0], "b": [0, 2, 3]}, kind, n_top=2)
    kind   causal  dependent  noise
    group
    a           1          0      1
    b           2          0      0
    """
    size = _panels.panel_sizes(n_top)[-1]
    try:
        kinds = pd.Categorical(kind)
    except (TypeError, ValueError) as error:
        raise ValueError(f"kind must have one category per gene: {error}") from None
    if (kinds.codes < 0).any():
        raise ValueError(
            f"kind is missing for {int((kinds.codes < 0).sum())} genes; pass one kind per gene."
        )
    counts = {
        group: np.bincount(kinds.codes[columns], minlength=len(kinds.categories))
        for group, columns in _panels.index_panels(panels, len(kinds), size).items()
    }
    frame = pd.DataFrame.from_dict(counts, orient="index", columns=list(kinds.categories))
    return frame.rename_axis(index="group", columns="kind")
