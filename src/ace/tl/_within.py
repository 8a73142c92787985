"""Comparisons within each category of another column."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ace import _checks
from ace._checks import _columns, _storable
from ace._keys import storable
from ace._listed import listed
from ace._warn import warn
from ace.tl._explained import Explained
from ace.tl._progress import tracked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anndata import AnnData

    from ace.tl._comparisons import Comparisons

#: Categories in which a compared group has fewer cells are left out.
MIN_CELLS = 10


def comparisons_within(
    adata: AnnData, within: str, comparisons: Comparisons
) -> list[tuple[np.ndarray, Comparisons]]:
    """Rows of the cells of each category, in increasing order, and the comparisons among them.

    Raises
    ------
    KeyError
        If there is no column ``within``.
    ValueError
        If it is ``groupby``, or no category has enough cells of the groups.

    Warns
    -----
    UserWarning
        If categories are left out because they have too few cells of a group.
    """
    groups = comparisons.groups
    if within == groups.column:
        raise ValueError(f"within={within!r} is groupby, too: choose another column.")
    labels = _columns.labels_of(_checks.column_of(adata, within), f"adata.obs[{within!r}]")
    found, left_out = [], {}
    for code, name in enumerate(labels.categories):
        rows = np.flatnonzero((labels.codes == code) & (groups.codes >= 0))
        counts = np.bincount(groups.codes[rows], minlength=len(groups))
        few = _groups_with_few_cells(comparisons, counts)
        if few:
            left_out[str(name)] = few
        else:
            found.append((rows, comparisons.of_category(str(name), rows)))
    why = f"Categories of adata.obs[{within!r}] with fewer than {MIN_CELLS} cells of a group"
    which = "; ".join(f"{name!r} ({', '.join(few)})" for name, few in left_out.items())
    if not found:
        raise ValueError(f"{why} cannot be explained, and these are all: {which:.500}.")
    if left_out:
        warn(f"{why} are left out: {which:.500}.")
    fields = [field for _, each in found for field in each.fields]
    _storable.groups(fields, f"{groups.column} and {within}")
    _checks.distinct([storable(field) for field in fields], fields)
    return found


def _groups_with_few_cells(comparisons: Comparisons, counts: np.ndarray) -> list[str]:
    """Name and number of cells of the compared groups that have too few."""
    names = comparisons.groups.names
    sizes = {names[group]: int(counts[group]) for group in comparisons.involved}
    if comparisons.reference == "rest":
        sizes["rest"] = min(int(counts.sum() - counts[source]) for source, _ in comparisons.pairs)
    return [f"{name}: {size}" for name, size in sizes.items() if size < MIN_CELLS]


def explain_within(
    adata: AnnData,
    parts: Sequence[tuple[np.ndarray, Comparisons]],
    explain: Callable[[AnnData, Comparisons], Explained],
    progress: bool | None,
) -> Explained:
    """Explain the cells of each category as an object of their own, and join the results.

    A warning that concerns several categories is given once, and names them.
    """
    found = []
    messages: dict[tuple[type[Warning], str], list[str]] = {}
    for rows, comparisons in tracked(parts, progress):
        cells = adata[rows].to_memory() if adata.isbacked else adata[rows].copy()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            found.append(explain(cells, comparisons))
        for warning in caught:
            concerned = messages.setdefault((warning.category, str(warning.message)), [])
            if comparisons.category not in concerned:
                concerned.append(str(comparisons.category))
    for (kind, message), categories in messages.items():
        warn(f"{message.rstrip()} (Categories: {listed(categories)}.)", kind)
    return _joined(found)


def _joined(found: list[Explained]) -> Explained:
    """Join the results of several categories."""
    tables = [each.tables for each in found]
    records = {
        name: {field: values for t in tables for field, values in t["records"][name].items()}
        for name in tables[0]["records"]
    }
    frames = {name: _stacked([t["frames"][name] for t in tables]) for name in tables[0]["frames"]}
    n_cells = [each.n_cells for each in found]
    used = [each.params["n_prototypes"] for each in found]
    fidelity = np.average([each.params["fidelity"] for each in found], weights=n_cells)
    return Explained(
        {
            "records": records,
            "scores": pd.concat([t["scores"] for t in tables], axis=1),
            "frames": frames,
        },
        found[0].params
        | {
            "fidelity": float(fidelity),
            "n_prototypes": None if None in used else max(used),
        },
        sum(n_cells),
    )


def _stacked(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Rows of several tables; those without rows would change the types of columns."""
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    numbered = isinstance(filled[0].index, pd.RangeIndex)
    return pd.concat(filled, ignore_index=numbered)
