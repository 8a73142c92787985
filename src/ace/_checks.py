"""The only place where input is judged: what was wrong, what was expected, how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp

from ace._matrix import read_rows
from ace._numbers import LARGEST_SEED as LARGEST_SEED
from ace._numbers import number as number
from ace._numbers import seed as seed
from ace._numbers import whole as whole
from ace._warn import warn

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from anndata import AnnData

#: Cells looked at to tell counts from normalised values.
N_CELLS_LOOKED_AT = 200

#: Agreement of a scorer with the given groups under which its explanation is doubtful.
MIN_FIDELITY = 0.9

#: Squares of larger values, summed over genes, leave the range of single precision.
LARGEST = 1e15

InputKind = Literal["counts", "log", "scaled", "other"]


def one_of(value: Any, name: str, allowed: Collection[Any]) -> None:
    """Raise a ``ValueError`` with the nearest allowed values if ``value`` is not one of them."""
    try:
        known = value in allowed
    except (TypeError, ValueError):  # arrays and pandas.NA compare to no truth value
        known = False
    if known:
        return
    near = difflib.get_close_matches(str(value), [str(a) for a in allowed], n=3)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    shown = list(allowed) if len(allowed) <= 30 else [*list(allowed)[:30], "..."]
    raise ValueError(f"{name}={value!r} is not one of {shown}.{hint}")


def positive(value: Any, name: str, *, optional: bool = True) -> None:
    """Raise unless ``value`` is a positive whole number (or ``None``, if optional)."""
    whole(value, name, optional=optional)


def share(value: Any, name: str) -> None:
    """Raise unless ``value`` is a share of cells, from 0 to 1."""
    number(value, name, 0, 1)


def layers(units: Any, name: str) -> tuple[int, ...]:
    """Give the units of each hidden layer; a number is one layer."""
    each = units if isinstance(units, list | tuple | np.ndarray) else (units,)
    if not len(each):
        raise ValueError(f"{name} needs a layer at least, such as {name}=(64,), got {units!r}.")
    for number_of_units in each:
        whole(number_of_units, f"{name} (units of each hidden layer)")
    return tuple(int(n) for n in each)


def stored_name(key_added: Any) -> str:
    """Give a name that a result can be stored under."""
    if not isinstance(key_added, str) or not key_added or "/" in key_added:
        raise ValueError(f"key_added must be a name without a '/', got {key_added!r}.")
    return key_added


def matrix_of(adata: AnnData, layer: Any) -> Any:
    """Give the matrix of a layer, or ``X``.

    Raises
    ------
    KeyError
        If there is no such layer.
    ValueError
        If ``X`` is empty or there are no cells.
    """
    if adata.n_obs == 0 or adata.n_vars == 0:
        raise ValueError(f"adata is empty: {adata.n_obs} cells x {adata.n_vars} genes.")
    if layer is not None:
        if not isinstance(layer, Hashable) or layer not in adata.layers:
            raise KeyError(
                f"there is no layer {layer!r}; adata.layers has {list(adata.layers)}, and "
                "layer=None takes adata.X."
            )
        return adata.layers[layer]
    if adata.X is None:
        raise ValueError(f"adata.X is empty; name one of the layers {list(adata.layers)}.")
    return adata.X


def unique_genes(adata: AnnData) -> None:
    """Raise if a gene name occurs twice."""
    if not adata.var_names.is_unique:
        twice = adata.var_names[adata.var_names.duplicated()].unique()
        raise ValueError(
            f"{len(twice)} gene names occur more than once, such as {list(twice[:3])}. Make them "
            "unique with `adata.var_names_make_unique()`."
        )


def column_of(adata: AnnData, key: Any, name: str = "adata") -> pd.Series:
    """Give a column of ``obs`` of the object that the user calls ``name``.

    Raises
    ------
    KeyError
        If there is none, with the nearest.
    """
    if not isinstance(key, Hashable) or key not in adata.obs:
        near = difflib.get_close_matches(str(key), list(map(str, adata.obs.columns)), n=3)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise KeyError(
            f"there is no column {key!r} in {name}.obs, which has {list(adata.obs.columns)}.{hint}"
        )
    return adata.obs[key]


def column_names(keys: Any, name: str) -> tuple[str, ...]:
    """Give the names of columns that an argument lists: none, one, or several."""
    if keys is None:
        return ()
    names = (keys,) if isinstance(keys, str) else keys
    if not isinstance(names, list | tuple) or not all(isinstance(key, str) for key in names):
        raise TypeError(
            f"{name} must be the name of a column of obs, or a list of them, got {keys!r:.60}."
        )
    return tuple(names)


def category(value: Any, name: str) -> None:
    """Raise unless a value can be a category of cells: a name or a number, and not missing."""
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
        holds measurements.
    """
    column = column_of(adata, groupby)
    if pd.api.types.is_float_dtype(column.dtype):
        raise ValueError(
            f"adata.obs[{groupby!r}] holds measurements ({column.dtype}), not groups. If they are "
            f"groups, say so: adata.obs[{groupby!r}] = adata.obs[{groupby!r}].astype('category')."
        )
    n_missing = int(column.isna().sum())
    if n_missing:
        raise ValueError(
            f"{n_missing} cells have no group in adata.obs[{groupby!r}]. Leave them out with "
            f"`adata = adata[adata.obs[{groupby!r}].notna()].copy()`, or name their group."
        )
    category = (
        column if isinstance(column.dtype, pd.CategoricalDtype) else column.astype("category")
    )
    if leave_out is not None and leave_out in category.cat.categories:
        category = category.cat.remove_categories([leave_out])
    codes = category.cat.codes.to_numpy()
    used = np.bincount(codes[codes >= 0], minlength=len(category.cat.categories)) > 0
    unused = list(category.cat.categories[~used])
    if unused:
        warn(
            f"categories of adata.obs[{groupby!r}] without a cell are left out: {unused}. Drop "
            f"them with `adata.obs[{groupby!r}] = "
            f"adata.obs[{groupby!r}].cat.remove_unused_categories()`.",
        )
        category = category.cat.remove_unused_categories()
    names = [str(c) for c in category.cat.categories]
    if len(set(names)) < len(names):
        raise ValueError(f"names of groups in adata.obs[{groupby!r}] coincide as text: {names}.")
    if not names:
        raise ValueError(f"adata.obs[{groupby!r}] names no group of the {adata.n_obs} cells.")
    if len(names) < at_least:
        raise ValueError(
            f"adata.obs[{groupby!r}] has one group only, {names}: there is nothing to tell it "
            "from."
        )
    return category.cat.codes.to_numpy().astype(np.int64), names


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


def input_kind(matrix: Any) -> InputKind:
    """Tell counts, log-normalised and scaled values apart, from the first cells.

    Returns
    -------
    ``"counts"``: whole numbers, not only 0 and 1; ``"scaled"``: some negative; ``"log"``: neither,
    and none above 20 (the logarithm of 5e8); else ``"other"``.
    """
    part = read_rows(matrix, slice(0, min(matrix.shape[0], N_CELLS_LOOKED_AT)))
    values = part.data if sp.issparse(part) else np.asarray(part).ravel()
    values = values[np.isfinite(values)]
    if values.size == 0:
        return "other"
    if values.min() < 0:
        return "scaled"
    if values.max() > 1 and (values == np.rint(values)).all():
        return "counts"
    return "log" if values.max() <= 20 else "other"


def warn_of_counts(kind: InputKind, layer: str | None) -> None:
    """Warn where counts came and normalised values are expected."""
    if kind != "counts":
        return
    where = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    warn(
        f"{where} holds counts, and equal steps of a count do not mean the same for every gene. "
        "Normalise first, and keep the counts in a layer:\n"
        "    sc.pp.normalize_total(adata, target_sum=1e4)\n"
        "    sc.pp.log1p(adata)",
    )


def not_negative(kind: InputKind, means: np.ndarray, layer: str | None) -> None:
    """Raise if values or means are negative: there are no shares of such an expression."""
    if kind != "scaled" and not (means < 0).any():
        return
    where = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    raise ValueError(
        f"{where} holds negative values (scaled, or corrected for batches), and shares of an "
        "expression cannot be negative. Name a layer with log-normalised expression (layer=...)."
    )


def warn_unless_counts(kind: InputKind, layer: str | None, model: str) -> None:
    """Warn a model of counts of what looks like none, and refuse what cannot be any."""
    where = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    mend = f"Name the layer that has them: {model}.setup_anndata(adata, layer='counts', ...)."
    if kind == "scaled":
        raise ValueError(f"{where} holds negative values, and {model} models counts. {mend}")
    if kind == "log":
        warn(
            f"{where} holds no whole numbers, and {model} models counts. {mend}",
        )


def log_normalised(matrix: Any, name: str, layer: str | None) -> None:
    """Raise unless a matrix of the object that the user calls ``name`` is log-normalised."""
    kind = input_kind(matrix)
    if kind == "log":
        return
    where = f"{name}.X" if layer is None else f"{name}.layers[{layer!r}]"
    holds = {
        "counts": "counts",
        "scaled": "negative values (scaled, or corrected for batches)",
        "other": "values that are no logarithms (above 20, or none but 0)",
    }
    raise ValueError(
        f"{where} holds {holds[kind]}, and labels are transferred on log-normalised expression. "
        "Name a layer that has it, or make it of the counts, alike in all objects:\n"
        f"    sc.pp.normalize_total({name}, target_sum=1e4)\n"
        f"    sc.pp.log1p({name})"
    )


def warn_of_reserved_name(reference: str, names: Sequence[str], groupby: str) -> None:
    """Warn where a group is called as what the reference may be besides a group."""
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
            f"names of groups cannot be told apart where they are stored: {list(names)}. Rename "
            "them with adata.obs[...].cat.rename_categories."
        )


def warn_of_single_cells(counts: np.ndarray, names: Sequence[str]) -> None:
    """Warn of groups of one cell."""
    single = [name for name, count in zip(names, counts, strict=True) if count == 1]
    if single:
        warn(
            f"groups of a single cell: {single}. Their panels describe that cell, not a type.",
        )


def finite(means: np.ndarray, genes: pd.Index, layer: str | None) -> None:
    """Raise if the mean of a gene shows values that are NaN, infinite, or too large to square."""
    where = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
    bad = ~np.isfinite(means).all(0)
    if bad.any():
        raise ValueError(
            f"{where} has NaN or infinite values in {int(bad.sum())} genes, such as "
            f"{list(genes[bad][:3])}. Leave these genes out, or mend the values."
        )
    bad = (np.abs(means) > LARGEST).any(0)
    if bad.any():
        raise ValueError(
            f"{where} has values above {LARGEST:g} in {int(bad.sum())} genes, such as "
            f"{list(genes[bad][:3])}, which is no expression. Leave these genes out, or normalise."
        )


def varied(mean: np.ndarray, variance: np.ndarray) -> None:
    """Raise unless some gene differs between cells, by more than single precision can tell."""
    if (variance > np.maximum(1e-12 * mean**2, 1e-30)).any():
        return
    raise ValueError(
        "the cells do not differ: every gene has the same value in all of them, up to rounding. "
        "There is nothing to explain; look at the values of the matrix."
    )


def finite_scores(scores: np.ndarray, field: str, method: str) -> None:
    """Raise if a method found scores that are no numbers, so that none is stored."""
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
            f"{missing[:3]}. Give it the genes that it was trained on; their order does not "
            "matter."
        )
    return positions


def known_genes(genes: Any, have: pd.Index, owner: str) -> np.ndarray:
    """Positions of the genes of a set, each once and in increasing order; raise if any lacks."""
    is_list = isinstance(genes, Iterable) and not isinstance(genes, str)
    if not is_list or not all(isinstance(gene, str) for gene in genes):
        raise TypeError(f"genes must be names of genes, such as ['CD3D', 'CD8A'], got {genes!r}.")
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
            f"{missing[:10]}{' and more' * (len(missing) > 10)}.{hint} Keep those that are there: "
            f"[g for g in genes if g in {owner}.var_names]."
        )
    return np.sort(positions)


def not_a_model(model: Any) -> TypeError:
    """Error for what is no model that can be explained."""
    return TypeError(
        "model must be a trained model of ace.model or scvi-tools (ace.model.KRATOS, "
        "scvi.model.SCVI), or None for adata's own principal components, got "
        f"{type(model).__name__}."
    )


def not_a_function_of_genes(adata: AnnData, use_rep: str) -> Exception:
    """Error for coordinates that someone wants to explain through, such as Harmony's."""
    if use_rep not in adata.obsm:
        return KeyError(
            f"there is no {use_rep!r} in adata.obsm, which has {list(adata.obsm)}. To explain "
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
