"""The groups of cells in a column of ``obs``, some of them merged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ace._keys import storable
from ace._listed import listed

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    unmerged
        The groups before some were merged; ``None`` if none were.
    """

    column: str
    codes: np.ndarray
    names: list[str]
    unmerged: Groups | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def members(self) -> list[list[int]]:
        """Codes of the unmerged groups that each group consists of."""
        if self.unmerged is None:
            return [[code] for code in range(len(self))]
        used = self.unmerged.codes >= 0
        pairs = np.unique(np.stack([self.codes[used], self.unmerged.codes[used]]), axis=1)
        return [pairs[1, pairs[0] == code].tolist() for code in range(len(self))]

    @property
    def sets(self) -> dict[str, list[str]] | None:
        """Names of the groups of each merged one, by its storable name; ``None`` without any."""
        if self.unmerged is None:
            return None
        known = self.unmerged.names
        return {
            storable(name): [known[code] for code in codes]
            for name, codes in zip(self.names, self.members, strict=True)
            if [known[code] for code in codes] != [name]
        }

    def of_rows(self, rows: np.ndarray) -> tuple[Groups, dict[int, int]]:
        """Return the groups that some of the cells have, and the new code of each of these."""
        codes = self.codes[rows]
        present = np.unique(codes[codes >= 0])
        new = np.full(len(self) + 1, -1)  # the last element is for the code -1
        new[present] = np.arange(len(present))
        unmerged = None if self.unmerged is None else self.unmerged.of_rows(rows)[0]
        names = [self.names[code] for code in present]
        return (
            Groups(self.column, new[codes], names, unmerged),
            {int(old): code for code, old in enumerate(present)},
        )


def merge(groups: Groups, sets: Mapping[str, list[int]]) -> tuple[Groups, list[int]]:
    """Merge each set of groups into one group, in the place of its first member.

    Parameters
    ----------
    groups
        The groups.
    sets
        Name and codes of each set.

    Returns
    -------
    The merged groups, and for each group the code of the one that it became part of.

    Raises
    ------
    ValueError
        If a set has the name of a group that is not in it, or fewer than two groups are left.
    """
    name_of = list(groups.names)
    for name, members in sets.items():
        if name in groups.names and groups.names.index(name) not in members:
            raise ValueError(
                f"the set {name!r} has the name of a group of adata.obs[{groups.column!r}] that "
                "it does not contain. Choose another name."
            )
        for code in members:
            name_of[code] = name
    names = list(dict.fromkeys(name_of))
    if len(names) < 2:
        raise ValueError(
            f"the set {names[0]!r} has all groups of adata.obs[{groups.column!r}], "
            f"{listed(groups.names)}, so there is nothing to compare it with."
        )
    new = [names.index(name) for name in name_of]
    codes = np.array([*new, -1])[groups.codes]
    unmerged = groups if groups.unmerged is None else groups.unmerged
    return Groups(groups.column, codes, names, unmerged), new
