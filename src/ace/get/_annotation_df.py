from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from ace._checks._columns import column_of, flags_of, labels_of
from ace._checks._objects import annotated
from ace._keys import DEFAULT_ANNOTATION_KEY, AnnotationKeys

if TYPE_CHECKING:
    from anndata import AnnData


def annotation_df(adata: AnnData, *, key: str = DEFAULT_ANNOTATION_KEY) -> pd.DataFrame:
    """Get the annotation of cells as a data frame.

    Parameters
    ----------
    adata
        Annotated data with the result of :func:`ace.tl.annotate`.
    key
        The ``key_added`` of the annotation.

    Returns
    -------
    Frame with one row per cell of ``adata``, and the columns

    ``label``
        Label of the cell (categorical).
    ``given``
        Whether the label was given rather than predicted (bool).
    ``confidence``
        Calibrated probability of the label.
    ``novelty``, ``novel``
        Novelty score, and whether it is above the threshold (bool).
    ``majority``
        Majority vote of the cell's cluster, if ``over_clustering`` was used (categorical).

    Raises
    ------
    KeyError
        If the annotation does not exist.

    Examples
    --------
    >>> import ace
    >>> cells = ace.datasets.pbmc68k_reduced()
    >>> atlas, query = cells[::2].copy(), cells[1::2].copy()
    >>> ace.tl.annotate(query, "bulk_labels", reference=atlas, max_epochs=2)
    >>> ace.get.annotation_df(query).columns.tolist()
    ['label', 'given', 'confidence', 'novelty', 'novel']
    """
    annotated(adata, reads_matrix=False)
    keys = AnnotationKeys(key)
    keys.read(adata)
    columns = {
        "label": keys.label,
        "given": keys.given,
        "confidence": keys.confidence,
        "novelty": keys.novelty,
        "novel": keys.novel,
        "majority": keys.majority,
    }
    there = {column: name for column, name in columns.items() if name in adata.obs}
    return pd.DataFrame(
        {column: _read(adata, column, name) for column, name in there.items()},
        index=adata.obs_names,
    )


def _read(adata: AnnData, column: str, name: str) -> Any:
    """Convert a column to the type written by :func:`ace.tl.annotate`."""
    values, place = column_of(adata.obs, name), f"adata.obs[{name!r}]"
    if column in ("label", "majority"):
        return labels_of(values, place)
    return flags_of(values, place) if column in ("given", "novel") else values
