"""Check the groups of cells, and warn where their explanation is doubtful."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ace._checks import _columns, _storable
from ace._checks._arguments import one_of
from ace._listed import listed
from ace._warn import warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

#: Fidelity under which the explanation of a group is doubtful.
MIN_FIDELITY = 0.85
#: Fidelity under which a group is named even if the fidelity over all cells is high: the scorer
#: assigns most of its cells to other groups.
MIN_GROUP_FIDELITY = 0.5
#: Number of cells under which a panel is unreliable: even a gene that is above the median of the
#: reference in each of fewer cells has p > 0.01 in a sign test.
MIN_CELLS = 8


def not_measurements(column: pd.Series, place: str) -> None:
    """Raise a ``ValueError`` if a column holds floating-point numbers instead of groups."""
    if pd.api.types.is_float_dtype(column.dtype):
        raise ValueError(
            f"{place} holds measurements ({column.dtype}), not groups. If they are groups, "
            f"convert them: {place} = {place}.astype('category')."
        )


def column_of(adata: AnnData, key: Any, name: str = "adata") -> pd.Series:
    """Return a column of ``obs``; messages call the object ``name``.

    Raises
    ------
    KeyError
        If there is no such column.
    TypeError
        If the key is not a string.
    ValueError
        If the name of the column cannot be stored, or is not unique.
    """
    if isinstance(key, int | np.integer) and key in adata.obs:
        raise TypeError(
            f"names of columns of {name}.obs must be strings, got {key!r:.80}. Convert them "
            f"all: {name}.obs.columns = {name}.obs.columns.astype(str)."
        )
    column = _columns.column_of(adata.obs, key, f"{name}.obs")
    _storable.text([key], f"the column of {name}.obs", f"Rename it: {name}.obs.rename(...).")
    return column


def groups_of(
    adata: AnnData, groupby: str, *, leave_out: Any = None, at_least: int = 2
) -> tuple[np.ndarray, list[str]]:
    """Return the code of each cell's group, and the names of the groups.

    Cells of the category ``leave_out`` have the code -1.

    Raises
    ------
    KeyError
        If there is no such column.
    ValueError
        If a cell has no group, there are fewer than ``at_least`` groups, two names are the same
        as text, or the column holds measurements or lists, or its name is not unique.
    """
    column = column_of(adata, groupby)
    not_measurements(column, f"adata.obs[{groupby!r}]")
    category = _columns.labels_of(column, f"adata.obs[{groupby!r}]")
    n_missing = int((category.codes < 0).sum())
    if n_missing:
        raise ValueError(
            f"{n_missing} cells have no group in adata.obs[{groupby!r}]. Remove them with "
            f"`adata = adata[adata.obs[{groupby!r}].notna()].copy()`, or assign them to a group."
        )
    category = _columns.without(category, leave_out)
    codes = category.codes
    used = np.bincount(codes[codes >= 0], minlength=len(category.categories)) > 0
    unused = category.categories[~used]
    if len(unused):
        warn(
            f"categories of adata.obs[{groupby!r}] without cells are ignored: {listed(unused)}. "
            f"Drop them with `adata.obs[{groupby!r}] = "
            f"adata.obs[{groupby!r}].cat.remove_unused_categories()`.",
        )
        category = category.remove_unused_categories()
    names = [str(c) for c in category.categories]
    if len(set(names)) < len(names):
        raise ValueError(
            f"different groups in adata.obs[{groupby!r}] have the same name as text: "
            f"{listed(names)}."
        )
    if not names:
        raise ValueError(
            f"adata.obs[{groupby!r}] has no groups: none of {adata.n_obs} cells belongs to one."
        )
    if len(names) < at_least:
        raise ValueError(
            f"adata.obs[{groupby!r}] has only one group, {names}: at least two are needed for a "
            "comparison."
        )
    return category.codes.astype(np.int64), names


def chosen_groups(groups: Any, names: Sequence[str]) -> list[int]:
    """Return the codes of the selected groups, in the order of ``names``.

    Raises
    ------
    ValueError
        If ``groups`` is not ``"all"``, a group or several, is empty, or has an unknown group.
    """
    if isinstance(groups, str) and groups == "all":
        return list(range(len(names)))
    if isinstance(groups, str):
        one_of(groups, "groups", ["all", *names])
        return [list(names).index(groups)]
    if not isinstance(groups, Iterable):
        raise ValueError(
            f"groups must be 'all', the name of a group or a list of names, got {groups!r}."
        )
    wanted = _known(groups, "groups", names)
    return [code for code, name in enumerate(names) if name in set(wanted)]


def sets_of_groups(groups: Any, names: Sequence[str]) -> dict[str, list[int]] | None:
    """Return the codes of the groups of each set; ``None`` if ``groups`` is not a dictionary.

    Raises
    ------
    ValueError
        If there is no set, a set is empty or has an unknown group, or a group is in two sets.
    """
    if not isinstance(groups, Mapping):
        return None
    if not groups:
        raise ValueError("groups is empty; pass at least one set, such as {'T': ['CD4', 'CD8']}.")
    sets: dict[str, list[int]] = {}
    for name, members in groups.items():
        several = isinstance(members, Iterable) and not isinstance(members, str)
        known = _known(members if several else [members], f"groups[{name!r}]", names)
        sets[str(name)] = sorted({list(names).index(member) for member in known})
    codes = [code for members in sets.values() for code in members]
    repeated = sorted({code for code in codes if codes.count(code) > 1})
    if repeated:
        raise ValueError(
            f"groups has {listed(names[code] for code in repeated)} in more than one set. Explain "
            "overlapping sets in separate calls, with other values of key_added."
        )
    return sets


def reference_groups(reference: Any, names: Sequence[str]) -> list[int] | None:
    """Return the codes of a list of reference groups; ``None`` if it is not a list.

    Raises
    ------
    ValueError
        If the list is empty or has an unknown group.
    """
    if isinstance(reference, str | bytes) or not isinstance(reference, Iterable):
        return None
    return sorted({list(names).index(name) for name in _known(reference, "reference", names)})


def _known(groups: Iterable[Any], argument: str, names: Sequence[str]) -> list[str]:
    """Return groups as text; raise if there is none, or one is unknown."""
    wanted = [str(group) for group in groups]
    if not wanted:
        raise ValueError(f"{argument} is empty; pass at least one of {listed(names)}.")
    for group in wanted:
        one_of(group, argument, names)
    return wanted


def warn_of_reserved_name(reference: str, names: Sequence[str], groupby: str) -> None:
    """Warn if the reference is a keyword that is also the name of a group."""
    meaning = {"rest": "all other cells", "each": "each of the groups in turn"}
    if reference in meaning and reference in names:
        warn(
            f"reference={reference!r} means {meaning[reference]}, not the group of that name in "
            f"adata.obs[{groupby!r}]. To compare with that group, rename it: "
            f"adata.obs[{groupby!r}] = adata.obs[{groupby!r}].cat.rename_categories("
            f"{{{reference!r}: ...}}).",
        )


def distinct(stored: Sequence[str], names: Sequence[str]) -> None:
    """Raise a ``ValueError`` if the stored names of groups, or of their pairs, are not unique."""
    if len(set(stored)) < len(stored):
        raise ValueError(
            f"names of groups are not unique once they are stored: {listed(names)}. Rename "
            "groups with adata.obs[...].cat.rename_categories."
        )


def warn_of_few_cells(counts: np.ndarray, names: Sequence[str]) -> None:
    """Warn if groups have so few cells that their panels are unreliable."""
    few = [f"{name} ({n})" for name, n in zip(names, counts, strict=True) if n < MIN_CELLS]
    if few:
        warn(
            f"groups of fewer than {MIN_CELLS} cells: {listed(few)}. Their panels depend on "
            "individual cells, and may begin with genes of other cell types (ambient RNA, "
            "doublets). Merge each with a similar group, or do not interpret its panel.",
        )


def warn_of_low_fidelity(
    overall: float, by_group: np.ndarray, names: Sequence[str], prototypes: str
) -> None:
    """Warn if the scorer does not reproduce the groups, or some of them.

    Parameters
    ----------
    overall
        Fraction of all cells that the scorer assigns to their own group.
    by_group
        The same for each group.
    names
        Names of the groups.
    prototypes
        What can be done about the number of prototypes; empty if there are none.
    """
    threshold = MIN_FIDELITY if overall < MIN_FIDELITY else MIN_GROUP_FIDELITY
    order = np.argsort(by_group, kind="stable")
    low = [f"{names[i]} ({by_group[i]:.2f})" for i in order if by_group[i] < threshold]
    if overall < MIN_FIDELITY:
        # Rounded down: "only 90 %" would contradict the threshold.
        found = (
            f"the scorer assigns only {np.floor(1000 * overall) / 10:g}% of the cells to their "
            f"own group (lowest: {', '.join(low[:5])}), so the explanation may not describe these "
            "groups. "
        )
    elif low:
        found = (
            "the scorer assigns most cells of some groups to other groups, so the explanation may "
            f"not describe these groups (fidelity: {listed(low)}). If they are not distinct, "
            "merge each with the group that it resembles. "
        )
    else:
        return
    warn(
        f"{found}{prototypes}Use another embedding: that of a model trained on these labels "
        "(ace.model.KRATOS), or the one that the groups were found on (model=...).",
    )
