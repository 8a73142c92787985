"""Checks of user input. Messages say what is wrong, what is expected and how to fix it."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from ace import _columns, _storable
from ace._arguments import LARGEST_SEED as LARGEST_SEED
from ace._arguments import number as number
from ace._arguments import one_of as one_of
from ace._arguments import seed as seed
from ace._arguments import whole as whole
from ace._listed import listed
from ace._matrix import all_finite
from ace._warn import warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData


#: Agreement of a scorer with the given groups under which its explanation is doubtful.
MIN_FIDELITY = 0.9

#: Squares of larger values, summed over genes, overflow in single precision.
LARGEST = 1e15


def positive(value: Any, name: str, *, optional: bool = True) -> None:
    """Raise unless ``value`` is a positive whole number (or ``None``, if optional)."""
    whole(value, name, optional=optional)


def share(value: Any, name: str) -> None:
    """Raise unless ``value`` is a share of cells, from 0 to 1."""
    number(value, name, 0, 1)


def layers(units: Any, name: str) -> tuple[int, ...]:
    """Return the number of units of each hidden layer; a single number is one layer."""
    each = units if isinstance(units, list | tuple | np.ndarray) else (units,)
    if not len(each):
        raise ValueError(f"{name} needs a layer at least, such as {name}=(64,), got {units!r}.")
    for number_of_units in each:
        whole(number_of_units, f"{name} (units of each hidden layer)")
    return tuple(int(n) for n in each)


def matrix_of(adata: AnnData, layer: Any, name: str = "adata") -> Any:
    """Return a layer, or ``X``, of the object that messages call ``name``.

    Raises
    ------
    KeyError
        If there is no such layer.
    ValueError
        If ``X`` is empty or there are no cells.
    """
    if adata.n_obs == 0 or adata.n_vars == 0:
        raise ValueError(f"{name} is empty: {adata.n_obs} cells x {adata.n_vars} genes.")
    if layer is not None:
        if not isinstance(layer, Hashable) or layer not in adata.layers:
            raise KeyError(
                f"there is no layer {layer!r} in {name}; {name}.layers has "
                f"{listed(adata.layers)}, and layer=None takes {name}.X."
            )
        return adata.layers[layer]
    if adata.X is None:
        raise ValueError(f"{name}.X is empty; name one of the layers {listed(adata.layers)}.")
    return adata.X


def not_raw(use_raw: Any) -> None:
    """Raise if ``use_raw`` is true: ``adata.raw`` is never read."""
    if not use_raw:
        return
    raise ValueError(
        f"use_raw={use_raw!r}: only adata.X and adata.layers are read, never adata.raw. To "
        "read its values, pass `adata.raw.to_adata()`, or put them in a layer (layer=...)."
    )


def unique_genes(adata: AnnData, name: str = "adata") -> None:
    """Raise if gene names are missing, not unique or cannot be stored."""
    nameless = adata.var_names.isna()
    if nameless.any():
        raise ValueError(
            f"{int(nameless.sum())} genes have no name in {name}.var_names. Leave them out with "
            f"`{name} = {name}[:, {name}.var_names.notna()].copy()`, or name them."
        )
    if not adata.var_names.is_unique:
        twice = adata.var_names[adata.var_names.duplicated()].unique()
        raise ValueError(
            f"{len(twice)} gene names occur more than once in {name}, such as "
            f"{listed(twice[:3])}. Make them unique with `{name}.var_names_make_unique()`."
        )
    _storable.text(adata.var_names, "names of genes", "Rename them: adata.var_names = [...].")


def column_of(adata: AnnData, key: Any, name: str = "adata") -> pd.Series:
    """Return a column of ``obs`` of the object that messages call ``name``."""
    if isinstance(key, int | np.integer) and key in adata.obs:
        raise TypeError(
            f"a column of {name}.obs is called by its name, got {key!r:.80}. If that is one, "
            f"make text of them all: {name}.obs.columns = {name}.obs.columns.astype(str)."
        )
    column = _columns.column_of(adata.obs, key, f"{name}.obs")
    _storable.text([key], f"the column of {name}.obs", f"Rename it: {name}.obs.rename(...).")
    return column


def column_names(keys: Any, name: str) -> tuple[str, ...]:
    """Return the column names in an argument: none, one or several."""
    if keys is None:
        return ()
    names = (keys,) if isinstance(keys, str) else keys
    if not isinstance(names, list | tuple) or not all(isinstance(key, str) for key in names):
        raise TypeError(
            f"{name} must be the name of a column of obs, or a list of them, got {keys!r:.60}."
        )
    return tuple(names)


def category(value: Any, name: str) -> None:
    """Raise unless a value can be a category: a string or number, not missing."""
    if not pd.api.types.is_scalar(value) or (value is not None and pd.isna(value)):
        raise ValueError(
            f"{name} must be a category, such as 'Unknown', or None, got {value!r:.60}."
        )


def groups_of(
    adata: AnnData, groupby: str, *, leave_out: Any = None, at_least: int = 2
) -> tuple[np.ndarray, list[str]]:
    """Give the code of each cell's group and the names of the groups, two or more by default.

    Cells of the category ``leave_out``, which is no group, have the code -1.

    Raises
    ------
    KeyError
        If there is no such column.
    ValueError
        If a cell has no group, there are too few groups, names coincide as text, or the column
        has measurements or lists, or its name is not unique.
    """
    column = column_of(adata, groupby)
    if pd.api.types.is_float_dtype(column.dtype):
        raise ValueError(
            f"adata.obs[{groupby!r}] holds measurements ({column.dtype}), not groups. If they are "
            f"groups, say so: adata.obs[{groupby!r}] = adata.obs[{groupby!r}].astype('category')."
        )
    category = _columns.labels_of(column, f"adata.obs[{groupby!r}]")
    n_missing = int((category.codes < 0).sum())
    if n_missing:
        raise ValueError(
            f"{n_missing} cells have no group in adata.obs[{groupby!r}]. Leave them out with "
            f"`adata = adata[adata.obs[{groupby!r}].notna()].copy()`, or name their group."
        )
    category = _columns.without(category, leave_out)
    codes = category.codes
    used = np.bincount(codes[codes >= 0], minlength=len(category.categories)) > 0
    unused = category.categories[~used]
    if len(unused):
        warn(
            f"categories of adata.obs[{groupby!r}] without a cell are left out: {listed(unused)}. "
            f"Drop them with `adata.obs[{groupby!r}] = "
            f"adata.obs[{groupby!r}].cat.remove_unused_categories()`.",
        )
        category = category.remove_unused_categories()
    names = [str(c) for c in category.categories]
    if len(set(names)) < len(names):
        raise ValueError(
            f"names of groups in adata.obs[{groupby!r}] coincide as text: {listed(names)}."
        )
    if not names:
        raise ValueError(f"adata.obs[{groupby!r}] names no group of the {adata.n_obs} cells.")
    if len(names) < at_least:
        raise ValueError(
            f"adata.obs[{groupby!r}] has one group only, {names}: there is nothing to tell it "
            "from."
        )
    return category.codes.astype(np.int64), names


def chosen_groups(groups: Any, names: Sequence[str]) -> list[int]:
    """Codes of the groups that were asked for, in the order of ``names``."""
    if isinstance(groups, str) and groups == "all":
        return list(range(len(names)))
    if isinstance(groups, str) or not isinstance(groups, Iterable):
        raise ValueError(f"groups must be 'all' or a list, such as [{groups!r}], got {groups!r}.")
    wanted = [str(g) for g in groups]
    if not wanted:
        raise ValueError("groups is empty; give at least one group, or 'all'.")
    for group in wanted:
        one_of(group, "groups", names)
    return [code for code, name in enumerate(names) if name in set(wanted)]


def warn_of_reserved_name(reference: str, names: Sequence[str], groupby: str) -> None:
    """Warn if the reference is a keyword that is also the name of a group."""
    meaning = {"rest": "all other cells", "each": "each of the groups in turn"}
    if reference in meaning and reference in names:
        warn(
            f"reference={reference!r} means {meaning[reference]}, not the group of that name in "
            f"adata.obs[{groupby!r}]. To compare with that group, give it another name: "
            f"adata.obs[{groupby!r}] = adata.obs[{groupby!r}].cat.rename_categories("
            f"{{{reference!r}: ...}}).",
        )


def distinct(stored: Sequence[str], names: Sequence[str]) -> None:
    """Raise if names of groups or pairs of them could not be told apart where they are stored."""
    if len(set(stored)) < len(stored):
        raise ValueError(
            f"names of groups cannot be told apart where they are stored: {listed(names)}. Rename "
            "them with adata.obs[...].cat.rename_categories."
        )


def warn_of_single_cells(counts: np.ndarray, names: Sequence[str]) -> None:
    """Warn of groups of one cell."""
    single = [name for name, count in zip(names, counts, strict=True) if count == 1]
    if single:
        warn(
            f"groups of a single cell: {listed(single)}. Their panels describe that cell, not a "
            "type.",
        )


def finite(means: np.ndarray, genes: pd.Index, layer: str | None) -> None:
    """Raise if the mean of a gene is NaN, infinite, or too large to square."""
    where = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    bad = ~np.isfinite(means).all(0)
    if bad.any():
        raise ValueError(
            f"{where} has NaN or infinite values in {int(bad.sum())} genes, such as "
            f"{listed(genes[bad][:3])}. Leave these genes out, or fix the values."
        )
    bad = (np.abs(means) > LARGEST).any(0)
    if bad.any():
        raise ValueError(
            f"{where} has values above {LARGEST:g} in {int(bad.sum())} genes, such as "
            f"{list(genes[bad][:3])}, which is no expression. Leave these genes out, or normalise."
        )


def computable(part: Any, where: str = "the matrix") -> None:
    """Raise if values are not finite, or too large for single precision."""
    if not all_finite(part):
        raise ValueError(f"{where} holds NaN or infinite values.")
    values = part.data if sp.issparse(part) else np.asarray(part)
    largest = float(max(values.max(), -float(values.min()))) if values.size else 0.0
    if largest > LARGEST:
        raise ValueError(
            f"{where} holds values as large as {largest:.3g}, too large for single precision: "
            "normalise it again from the counts."
        )


def varied(mean: np.ndarray, variance: np.ndarray) -> None:
    """Raise if no gene differs between cells by more than rounding errors."""
    if (variance > np.maximum(1e-12 * mean**2, 1e-30)).any():
        return
    raise ValueError(
        "the cells do not differ: every gene has the same value in all of them, up to rounding. "
        "There is nothing to explain; look at the values of the matrix."
    )


def finite_scores(scores: np.ndarray, field: str, method: str) -> None:
    """Raise if scores are not finite, before anything is stored."""
    bad = int((~np.isfinite(scores)).sum())
    if bad:
        raise ValueError(
            f"method={method!r} gives {bad} genes of {field!r} scores that are NaN or infinite: "
            "values of the matrix, or an option of the method, are too large or too small for "
            "single precision. Nothing was written."
        )


def gene_positions(have: pd.Index, want: Sequence[str], owner: str) -> np.ndarray:
    """Positions of genes by name, never by position.

    Parameters
    ----------
    have
        Genes of the data, unique.
    want
        Genes that are needed, in their order.
    owner
        Who needs them, for the message.

    Raises
    ------
    ValueError
        If some are missing.
    """
    positions = have.get_indexer(pd.Index(want))
    missing = [gene for gene, i in zip(want, positions, strict=True) if i < 0]
    if missing:
        raise ValueError(
            f"{len(missing)} of the {len(want)} genes of {owner} are not in adata, such as "
            f"{listed(missing[:3])}. Give it the genes that it was trained on; their order does "
            "not matter."
        )
    return positions


def known_genes(genes: Any, have: pd.Index, owner: str) -> np.ndarray:
    """Positions of the genes of a set, each once and in increasing order; raise if any lacks."""
    is_list = isinstance(genes, Iterable) and not isinstance(genes, str)
    if not is_list or not all(isinstance(gene, str) for gene in genes):
        raise TypeError(
            f"genes must be names of genes, such as ['CD3D', 'CD8A'], got {genes!r:.80}."
        )
    want = list(dict.fromkeys(genes))
    if not want:
        raise ValueError("genes names no gene; give one at least.")
    positions = have.get_indexer(pd.Index(want))
    missing = [gene for gene, at in zip(want, positions, strict=True) if at < 0]
    if missing:
        near = {gene: difflib.get_close_matches(gene, have, n=1) for gene in missing[:3]}
        hints = [f"{found[0]!r} for {gene!r}" for gene, found in near.items() if found]
        hint = f" Did you mean {', '.join(hints)}?" if hints else ""
        raise ValueError(
            f"{len(missing)} of {len(want)} genes are not among those of {owner}: "
            f"{listed(missing)}.{hint} Keep those that are there: "
            f"[g for g in genes if g in {owner}.var_names]."
        )
    return np.sort(positions)


def not_a_model(model: Any) -> TypeError:
    """Return the error for an object that is not a model that can be explained."""
    return TypeError(
        "model must be a trained model of ace.model or scvi-tools (ace.model.KRATOS, "
        "scvi.model.SCVI), or None for adata's own principal components, got "
        f"{type(model).__name__}."
    )


def not_a_function_of_genes(adata: AnnData, use_rep: str) -> Exception:
    """Error for coordinates that someone wants to explain through, such as Harmony's."""
    if use_rep not in adata.obsm:
        return KeyError(
            f"there is no {use_rep!r} in adata.obsm, which has {listed(adata.obsm)}. To explain "
            "through a model, pass the trained model itself."
        )
    return ValueError(
        f"adata.obsm[{use_rep!r}] holds coordinates of cells, not the function that makes them of "
        "the genes, and only that can be differentiated (what Harmony, Scanorama or BBKNN correct "
        "is no such function). Any grouping found on it can be explained nevertheless:\n"
        "- model=None explains it through the principal components of adata; its fidelity tells "
        "whether they show the groups;\n"
        "- model=<a trained scvi.model.SCVI or SCANVI, set up with batch_key=...> through a "
        "latent space that is corrected and a function of the genes;\n"
        "- model=<a trained ace.model.ACE, set up with batch_key=...> likewise."
    )


def warn_of_low_fidelity(
    overall: float, by_group: np.ndarray, names: Sequence[str], prototypes: str
) -> None:
    """Warn if the scorer does not reproduce the groups that it should explain.

    ``prototypes`` says what can be done about their number; empty where there are none.
    """
    if overall >= MIN_FIDELITY:
        return
    worst = [
        f"{names[i]} ({by_group[i]:.2f})"
        for i in np.argsort(by_group)[:5]
        if by_group[i] < MIN_FIDELITY
    ]
    warn(
        # Rounded down: "only 90 %" would contradict the threshold.
        f"the scorer gives only {np.floor(1000 * overall) / 10:g}% of the cells to their own "
        f"group, least of all {', '.join(worst)}: what is explained are not quite these groups. "
        f"{prototypes}Explain through another embedding: a model trained on these labels "
        "(ace.model.KRATOS), or the one that the groups were found on (model=...).",
    )
