"""Check what is selected for tables and figures, and that there is something to draw."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ace._listed import listed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence, Sized

    import pandas as pd
    from anndata import AnnData


def selected_groups(
    groups: Any,
    known: Sequence[str],
    place: str,
    *,
    at_least: int = 1,
    fix: str = "",
) -> list[str]:
    """Return the selected groups as text, in the order given; all of them if ``None``.

    Parameters
    ----------
    groups
        A group, several, or ``None``.
    known
        Groups that can be selected.
    place
        Where these are, for messages.
    at_least
        Minimum number of groups.
    fix
        How to get groups that are not known, for the message.

    Raises
    ------
    KeyError
        If a group is not known; the message suggests a similar one.
    ValueError
        If there are fewer than ``at_least`` groups, or a group is repeated.
    """
    if groups is None:
        wanted = list(known)
    else:
        several = isinstance(groups, Iterable) and not isinstance(groups, str)
        wanted = [str(group) for group in (groups if several else [groups])]
    unknown = [group for group in wanted if group not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise KeyError(
            f"there are no groups {listed(unknown)} in {place}, which has {listed(known)}."
            f"{hint}{fix}"
        )
    if len(wanted) < at_least:
        raise ValueError(
            f"groups must have at least {at_least} of {listed(known)}, or be None for all, got "
            f"{wanted}."
        )
    repeated = sorted({group for group in wanted if wanted.count(group) > 1})
    if repeated:
        raise ValueError(f"groups has {listed(repeated)} more than once; pass each group once.")
    return wanted


def compares_pairs(
    pairs: dict[str, tuple[str, str]] | None, params: Mapping[str, Any], key: str
) -> dict[str, tuple[str, str]]:
    """Return the pairs that an explanation compares; raise a ``ValueError`` if there are none.

    Parameters
    ----------
    pairs
        The pair of each field, ``None`` if groups were not compared in pairs.
    params, key
        Stored parameters and name of the explanation, for the message.
    """
    if pairs is None and params["reference"] == "each":
        raise ValueError(
            f"adata.uns[{key!r}] compares pairs of groups within each category of "
            f"{params['within']!r}. Run ace.tl.explain for the cells of one category, without "
            "within, or pass the names of its comparisons to the other functions."
        )
    if pairs is None:
        raise ValueError(
            f"adata.uns[{key!r}] compares groups with {params['reference']!r}, not in pairs. Run "
            f'ace.tl.explain(adata, groupby={params["groupby"]!r}, reference="each", '
            'key_added="pairs"), and pass key="pairs".'
        )
    return pairs


def something(values: Sized, why: str) -> None:
    """Raise a ``ValueError`` that gives the reason if there is nothing to draw."""
    if not len(values):
        raise ValueError(f"there is nothing to draw: {why}.")


def as_many(values: Sized, n: int, name: str, each: str) -> None:
    """Raise a ``ValueError`` unless an argument has one value for each of ``n`` items."""
    if len(values) != n:
        raise ValueError(f"{name} must have one value for each {each}, {n}, got {len(values)}.")


def one_per_panel(axes: Sized, n: int, what: str) -> None:
    """Raise a ``ValueError`` unless there are axes for each of ``n`` panels."""
    if len(axes) != n:
        raise ValueError(
            f"ax must have {n} axes ({what}), got {len(axes)}. Pass a list of {n}, such as "
            f"list(plt.subplots(1, {n})[1].flat), or ax=None."
        )


def several_groups(groups: Sequence[str]) -> None:
    """Raise a ``ValueError`` unless there are at least two groups for a dendrogram."""
    if len(groups) < 2:
        raise ValueError(
            f"a dendrogram needs at least two groups, got {groups}. Pass dendrogram=False or more "
            "groups."
        )


def has_values(columns: Iterable[str], filled: Sequence[str], name: str) -> None:
    """Raise a ``KeyError`` if columns have no values."""
    unknown = [column for column in columns if column not in filled]
    if unknown:
        raise KeyError(
            f"there are no values of {listed(unknown)} in {name}, only of {listed(filled)}."
        )


def has_columns(columns: Collection[Any], needed: Iterable[str], name: str, fix: str) -> None:
    """Raise a ``ValueError`` if a table lacks columns."""
    missing = [column for column in needed if column not in columns]
    if missing:
        raise ValueError(f"{name} has no column {listed(missing)}. {fix}")


def embedding_of(adata: AnnData, basis: str) -> str:
    """Return the key in ``obsm`` of an embedding, with or without its prefix ``X_``.

    Raises
    ------
    KeyError
        If there is no embedding of at least two dimensions with that name.
    """
    for name in (f"X_{basis}", basis):
        if name in adata.obsm and np.ndim(adata.obsm[name]) == 2 and adata.obsm[name].shape[1] > 1:
            return name
    raise KeyError(
        f"there is no embedding {basis!r} in adata.obsm, which has {listed(adata.obsm)}. Compute "
        "one (sc.tl.umap), or pass basis=None to draw distributions."
    )


def coordinates_of(adata: AnnData, use_rep: str | None) -> np.ndarray:
    """Return coordinates in ``obsm``; raise a ``KeyError`` if there are none with that name."""
    if use_rep not in adata.obsm:
        raise KeyError(
            f"there is no {use_rep!r} in adata.obsm, which has {listed(adata.obsm)}. Store the "
            "latent space: adata.obsm['X_scare'] = model.get_latent_representation()."
        )
    return np.asarray(adata.obsm[use_rep])


def images(values: np.ndarray) -> np.ndarray:
    """Return images × height × width; raise a ``ValueError`` if flat images are not square."""
    if values.ndim == 3:
        return values
    side = round(values.shape[1] ** 0.5)
    if side**2 != values.shape[1]:
        raise ValueError(
            f"flat images of {values.shape[1]} pixels are not square. Explain them as an array of "
            "shape (n_images, height, width)."
        )
    return values.reshape(-1, side, side)


def positions(index: Sequence[int] | None, n: int, name: str) -> np.ndarray:
    """Return positions from 0 to ``n - 1``, all if ``None``; negative ones count from the end.

    Raises
    ------
    IndexError
        If a position is out of range.
    """
    chosen = np.arange(n) if index is None else np.atleast_1d(np.asarray(index, dtype=int))
    outside = chosen[(chosen < -n) | (chosen >= n)]
    if len(outside):
        raise IndexError(f"index has {outside.tolist()}, but there are {n} {name}.")
    return chosen % n if n else chosen


def given(arguments: Mapping[str, Any], option: str) -> None:
    """Raise a ``ValueError`` if one of the arguments is ``None``, which ``option`` requires."""
    if any(value is None for value in arguments.values()):
        raise ValueError(f"{option} requires {', '.join(f'{name}=...' for name in arguments)}.")


def enough_cells(n_cells: int, n_neighbors: int, group: str) -> None:
    """Raise a ``ValueError`` unless a group has more cells than ``n_neighbors``."""
    if n_cells <= n_neighbors:
        raise ValueError(
            f"group {group!r} has {n_cells} cells, but must have more than "
            f"n_neighbors={n_neighbors}. Pass a smaller n_neighbors, or leave the group out."
        )


def has_votes(df: pd.DataFrame, column: str) -> None:
    """Raise a ``KeyError`` if an annotation has no majority votes."""
    if "majority" not in df:
        raise KeyError(
            f"there are no majority votes in adata.obs[{column!r}]. Run "
            "ace.tl.annotate(..., over_clustering=...) with a column of clusters."
        )


def has_reliability(stored: Mapping[str, Any], key: str) -> None:
    """Raise a ``KeyError`` if no labelled cells were held out for an annotation."""
    if "reliability" not in stored:
        raise KeyError(
            f"adata.uns[{key!r}] has no reliability, because no labelled cells were held out. "
            "Pass model.get_calibration(adata) for labelled cells."
        )
