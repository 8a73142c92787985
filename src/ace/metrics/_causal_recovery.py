"""Truth: what the top genes of a panel are, where it is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ace._checks import _panels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ace._checks._panels import Panels


def causal_recovery(panels: Panels, kind: ArrayLike, n_top: int = 20) -> pd.DataFrame:
    """Count the kinds of genes among the top genes of each panel (Kratos, Table 1).

    Shuffle the genes of a simulated set before ranking them: where causal genes come first,
    a ranking that breaks ties by position scores far too well.

    Parameters
    ----------
    panels
        For each group, column indices of its genes, best first.
    kind
        What each gene is, e.g. ``adata.var["kind"]`` of :func:`ace.datasets.simulated_panels`.
    n_top
        Number of genes counted.

    Returns
    -------
    counts
        Groups × kinds; a row adds up to ``n_top``. The columns are the categories of ``kind``,
        or its sorted values. The papers report ``counts.mean()``.

    Raises
    ------
    TypeError
        If ``panels`` is not a mapping.
    ValueError
        If a panel is shorter than ``n_top`` or names columns that do not exist, or if a gene has
        no kind.

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
        msg = f"kind must name the kind of each gene: {error}"
        raise ValueError(msg) from None
    if (kinds.codes < 0).any():
        msg = f"{int((kinds.codes < 0).sum())} genes have no kind."
        raise ValueError(msg)
    counts = {
        group: np.bincount(kinds.codes[columns], minlength=len(kinds.categories))
        for group, columns in _panels.index_panels(panels, len(kinds), size).items()
    }
    frame = pd.DataFrame.from_dict(counts, orient="index", columns=list(kinds.categories))
    return frame.rename_axis(index="group", columns="kind")
