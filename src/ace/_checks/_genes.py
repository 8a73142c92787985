"""Check names of genes, and find genes by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ace._checks import _columns, _storable
from ace._listed import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData


def unique_genes(adata: AnnData, name: str = "adata") -> None:
    """Raise a ``ValueError`` if gene names are missing, not unique or cannot be stored."""
    nameless = adata.var_names.isna()
    if nameless.any():
        raise ValueError(
            f"{int(nameless.sum())} genes have no name in {name}.var_names. Remove them with "
            f"`{name} = {name}[:, {name}.var_names.notna()].copy()`, or name them."
        )
    if not adata.var_names.is_unique:
        twice = adata.var_names[adata.var_names.duplicated()].unique()
        raise ValueError(
            f"{len(twice)} gene names occur more than once in {name}, such as "
            f"{listed(twice[:3])}. Make them unique with `{name}.var_names_make_unique()`."
        )
    _storable.text(adata.var_names, "names of genes", "Rename them: adata.var_names = [...].")


def gene_positions(have: pd.Index, want: Sequence[str], owner: str) -> np.ndarray:
    """Return the positions of genes, matched by name.

    Parameters
    ----------
    have
        Genes of the data, unique.
    want
        Genes to find, in the order of the result.
    owner
        The model that needs them, for the message.

    Raises
    ------
    ValueError
        If genes are missing.
    """
    positions = have.get_indexer(pd.Index(want))
    missing = [gene for gene, i in zip(want, positions, strict=True) if i < 0]
    if missing:
        raise ValueError(
            f"{len(missing)} of the {len(want)} genes of {owner} are not in adata, such as "
            f"{listed(missing[:3])}. Pass data with all genes that it was trained on, in any "
            "order."
        )
    return positions


def known_genes(genes: Any, have: pd.Index, owner: str) -> np.ndarray:
    """Return the positions of a set of genes, each once and in increasing order.

    Raises
    ------
    TypeError
        If ``genes`` are not strings.
    ValueError
        If the set is empty, or genes are missing; the message suggests similar names.
    """
    is_list = isinstance(genes, Iterable) and not isinstance(genes, str)
    if not is_list or not all(isinstance(gene, str) for gene in genes):
        raise TypeError(
            f"genes must be names of genes, such as ['CD3D', 'CD8A'], got {genes!r:.80}."
        )
    want = list(dict.fromkeys(genes))
    if not want:
        raise ValueError("genes is empty: pass at least one gene name.")
    positions = have.get_indexer(pd.Index(want))
    missing = [gene for gene, at in zip(want, positions, strict=True) if at < 0]
    if missing:
        near = {gene: difflib.get_close_matches(gene, have, n=1) for gene in missing[:3]}
        hints = [f"{found[0]!r} for {gene!r}" for gene, found in near.items() if found]
        hint = f" Did you mean {', '.join(hints)}?" if hints else ""
        raise ValueError(
            f"{len(missing)} of {len(want)} genes are not among those of {owner}: "
            f"{listed(missing)}.{hint} Keep the known ones with "
            f"[g for g in genes if g in {owner}.var_names]."
        )
    return np.sort(positions)


def mask_of(adata: AnnData, mask_var: Any) -> np.ndarray | None:
    """Return which genes a mask selects; ``None`` for no mask.

    Raises
    ------
    KeyError
        If there is no such column.
    ValueError
        If it does not hold a Boolean for each gene, or selects none.
    """
    if mask_var is None:
        return None
    if isinstance(mask_var, str):
        place = f"adata.var[{mask_var!r}]"
        mask = _columns.flags_of(_columns.column_of(adata.var, mask_var, "adata.var"), place)
    else:
        place = "mask_var"
        values = pd.Series(np.asarray(mask_var).ravel())
        if len(values) != adata.n_vars:
            raise ValueError(
                f"mask_var has {len(values)} values, but adata has {adata.n_vars} genes. Pass one "
                "Boolean for each gene, or the name of a column of adata.var."
            )
        mask = _columns.flags_of(values, place)
    if not mask.any():
        raise ValueError(f"{place} is False for all {adata.n_vars} genes, so none can be ranked.")
    return mask


def nothing_eligible(owner: str) -> ValueError:
    """The error for a mask that selects none of the genes of the scorer."""
    return ValueError(
        f"mask_var selects no gene that {owner} scores. Select genes of its input, or use another "
        "model."
    )
