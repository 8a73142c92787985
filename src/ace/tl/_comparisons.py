"""The comparisons between groups that are requested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ace import _checks
from ace._checks import _storable
from ace._keys import pair_name, storable

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from anndata import AnnData


@dataclass(frozen=True)
class Groups:
    """The groups of cells in a column of ``obs``.

    Attributes
    ----------
    column
        Name of the column.
    codes
        Group of each cell, shape ``(n_cells,)``; -1 for cells that are left out.
    names
        Name of each group.
    """

    column: str
    codes: np.ndarray
    names: list[str]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Comparisons:
    """The comparisons between groups that are made.

    Attributes
    ----------
    groups
        All groups of the column.
    reference
        ``"rest"``, ``"each"`` or the name of a group.
    pairs
        Codes of the source and the reference of each comparison; ``None`` for the rest.
    """

    groups: Groups
    reference: str
    pairs: list[tuple[int, int | None]]

    @property
    def fields(self) -> list[str]:
        """Name of each comparison in the result."""
        names = self.groups.names
        if self.reference == "each":
            return [pair_name(names[s], names[t or 0]) for s, t in self.pairs]
        return [names[source] for source, _ in self.pairs]

    @property
    def involved(self) -> list[int]:
        """Codes of the groups that are a source or a reference."""
        return sorted({group for pair in self.pairs for group in pair if group is not None})

    def others(self, source: int, reference: int | None) -> list[int]:
        """Codes of the groups that the source is compared with."""
        if reference is not None:
            return [reference]
        return [group for group in range(len(self.groups)) if group != source]


def resolve(
    adata: AnnData,
    groupby: str,
    groups: Literal["all"] | Iterable[str],
    reference: str,
    *,
    leave_out: Any = None,
) -> Comparisons:
    """Resolve the arguments ``groupby``, ``groups`` and ``reference``.

    Parameters
    ----------
    adata
        The cells.
    groupby, groups, reference
        See :func:`ace.tl.explain`.
    leave_out
        Category of ``groupby`` that is not a group.

    Raises
    ------
    KeyError, ValueError
        If a column or group does not exist, there is nothing to compare, or names cannot be
        stored.
    """
    codes, names = _checks.groups_of(adata, groupby, leave_out=leave_out)
    _checks.one_of(reference, "reference", ["rest", "each", *names])
    _checks.warn_of_reserved_name(reference, names, groupby)
    pairs = _pairs(_checks.chosen_groups(groups, names), names, reference)
    found = Comparisons(Groups(groupby, codes, names), reference, pairs)
    _storable.groups([names[group] for group in found.involved], groupby)
    _checks.distinct([storable(field) for field in found.fields], found.fields)
    return found


def _pairs(chosen: list[int], names: list[str], reference: str) -> list[tuple[int, int | None]]:
    """Codes of the source and the reference of each comparison."""
    if reference == "rest":
        return [(source, None) for source in chosen]
    if reference == "each":
        if len(chosen) < 2:
            raise ValueError("reference='each' compares pairs of groups: choose at least two.")
        return [(s, t) for s in chosen for t in chosen if s != t]
    other = names.index(reference)
    pairs: list[tuple[int, int | None]] = [(source, other) for source in chosen if source != other]
    if not pairs:
        raise ValueError(
            f"{reference!r} is both the reference and the only group chosen, so there is nothing "
            "to compare. Choose another group or reference."
        )
    return pairs
