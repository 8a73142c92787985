"""The comparisons between groups that are requested."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from ace import _checks
from ace._checks import _storable
from ace._keys import category_name, pair_name, storable
from ace.tl._groups import Groups, merge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from anndata import AnnData

__all__ = ["Comparisons", "Groups", "resolve"]


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
    category
        Category of ``within`` whose cells are compared; ``None`` for all cells.
    """

    groups: Groups
    reference: str
    pairs: list[tuple[int, int | None]]
    category: str | None = None

    @property
    def fields(self) -> list[str]:
        """Name of each comparison in the result."""
        names = self.groups.names
        if self.reference == "each":
            fields = [pair_name(names[s], names[t or 0]) for s, t in self.pairs]
        else:
            fields = [names[source] for source, _ in self.pairs]
        if self.category is None:
            return fields
        return [category_name(field, self.category) for field in fields]

    @property
    def involved(self) -> list[int]:
        """Codes of the groups that are a source or a reference."""
        return sorted({group for pair in self.pairs for group in pair if group is not None})

    def others(self, source: int, reference: int | None) -> list[int]:
        """Codes of the groups that the source is compared with."""
        if reference is not None:
            return [reference]
        return [group for group in range(len(self.groups)) if group != source]

    def of_category(self, category: str, rows: np.ndarray) -> Comparisons:
        """Return the same comparisons among some of the cells."""
        groups, new = self.groups.of_rows(rows)
        pairs = [(new[s], None if t is None else new[t]) for s, t in self.pairs]
        return replace(self, groups=groups, pairs=pairs, category=category)


def resolve(
    adata: AnnData,
    groupby: str,
    groups: Literal["all"] | str | Iterable[str] | Mapping[str, str | Iterable[str]],
    reference: str | Iterable[str],
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
    found, chosen = Groups(groupby, codes, names), groups
    sets = _checks.sets_of_groups(groups, names)
    if sets is not None:
        found, _ = merge(found, sets)
        chosen = list(sets)
    sources = _checks.chosen_groups(chosen, found.names)

    several = _checks.reference_groups(reference, found.names)
    if several is None:
        reference = str(reference)
        _checks.one_of(reference, "reference", ["rest", "each", *found.names])
        _checks.warn_of_reserved_name(reference, found.names, groupby)
    else:
        reference = " + ".join(found.names[code] for code in several)
        found, new = merge(found, {reference: several})
        sources = list(dict.fromkeys(new[code] for code in sources))
    compared = Comparisons(found, reference, _pairs(sources, found.names, reference))
    _storable.groups([found.names[group] for group in compared.involved], groupby)
    _checks.distinct([storable(field) for field in compared.fields], compared.fields)
    return compared


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
