"""The only place where input is judged: what was wrong, what was expected, how to mend it."""

from __future__ import annotations

import difflib
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from ace._kinds import CONSTANT, NAMES
from ace._values import describe
from ace._warn import warn

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from anndata import AnnData

    from ace._kinds import Values

#: Totals of the same genes that differ more, in the median cell, are no difference of cells.
MAX_RATIO_OF_TOTALS = 3.0

#: Agreement of a scorer with the given groups under which its explanation is doubtful.
MIN_FIDELITY = 0.9


def one_of(value: Any, name: str, allowed: Collection[Any]) -> None:
    """Raise a ``ValueError`` with the nearest allowed values if ``value`` is not one of them."""
    if value in allowed:
        return
    near = difflib.get_close_matches(str(value), [str(a) for a in allowed], n=3)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    shown = list(allowed) if len(allowed) <= 30 else [*list(allowed)[:30], "..."]
    raise ValueError(f"{name}={value!r} is not one of {shown}.{hint}")


def positive(value: int | None, name: str, *, optional: bool = True) -> None:
    """Raise unless ``value`` is a positive whole number (or ``None``, if optional)."""
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        either = "a positive whole number or None" if optional else "a positive whole number"
        raise ValueError(f"{name} must be {either}, got {value!r}.")


def whole(value: Any, name: str, lowest: int) -> None:
    """Raise unless ``value`` is a whole number from ``lowest``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < lowest:
        raise ValueError(f"{name} must be a whole number from {lowest}, got {value!r}.")


def share(value: Any, name: str) -> None:
    """Raise unless ``value`` is a share of cells."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise ValueError(f"{name} is a share of cells, from 0 to 1, got {value!r}.")


def seed(value: Any) -> None:
    """Raise unless ``value`` can seed a random number generator."""
    whole(value, "random_state", 0)


def stored_name(key_added: Any) -> str:
    """Give a name that a result can be stored under."""
    if not isinstance(key_added, str) or not key_added or "/" in key_added:
        raise ValueError(f"key_added must be a name without a '/', got {key_added!r}.")
    return key_added


def matrix_of(adata: AnnData, layer: str | None) -> Any:
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
        if layer not in adata.layers:
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


def column_of(adata: AnnData, key: str, name: str = "adata") -> pd.Series:
    """Give a column of ``obs`` of the object that the user calls ``name``.

    Raises
    ------
    KeyError
        If there is none, with the nearest.
    """
    if key not in adata.obs:
        near = difflib.get_close_matches(str(key), list(map(str, adata.obs.columns)), n=3)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise KeyError(
            f"there is no column {key!r} in {name}.obs, which has {list(adata.obs.columns)}.{hint}"
        )
    return adata.obs[key]


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
    if len(names) < at_least:
        raise ValueError(
            f"adata.obs[{groupby!r}] has one group only, {names}: there is nothing to tell it "
            "from."
        )
    return category.cat.codes.to_numpy().astype(np.int64), names


def chosen_groups(groups: Literal["all"] | Iterable[str], names: Sequence[str]) -> list[int]:
    """Codes of the groups that were asked for, in the order of ``names``."""
    if isinstance(groups, str):
        if groups == "all":
            return list(range(len(names)))
        raise ValueError(f"groups must be 'all' or a list, such as [{groups!r}], got {groups!r}.")
    wanted = [str(g) for g in groups]
    if not wanted:
        raise ValueError("groups is empty; give at least one group, or 'all'.")
    for group in wanted:
        one_of(group, "groups", names)
    return [code for code, name in enumerate(names) if name in set(wanted)]


def values_of(
    matrix: Any,
    layer: str | None,
    *,
    name: str = "adata",
    base: float | None = None,
    groups: np.ndarray | None = None,
    columns: np.ndarray | None = None,
) -> Values:
    """Tell what the values of a matrix are, from a sample of its cells.

    Parameters
    ----------
    matrix, base, groups, columns
        As :func:`ace._values.describe` has them.
    layer
        Where the matrix is from, for messages; ``None`` for ``X``.
    name
        What the user calls the object.

    Raises
    ------
    ValueError
        If cells of one matrix hold values of different kinds, such as counts and logarithms.
    """
    found = describe(matrix, columns=columns, groups=groups, base=base)
    if found.kind != "mixed":
        return found
    message = (
        f"{_where(name, layer)} holds values of different kinds: {found.detail}. Start from the "
        "counts of all cells, and normalise them together:\n" + _normalise(name)
    )
    if found.certain:
        raise ValueError(message)
    warn(message.replace(" holds ", " seems to hold ", 1))
    return found


def warn_unless_log(values: Values, layer: str | None, name: str = "adata") -> None:
    """Warn where log-normalised values are expected, and these are not or not all alike."""
    where = _where(name, layer)
    if values.kind == "normalised":
        warn(
            f"{where} holds {NAMES[values.kind]}, and equal steps do not mean the same for every "
            f"gene. Take the logarithm first:\n    sc.pp.log1p({name})"
        )
    elif values.is_linear:
        warn(
            f"{where} holds {NAMES[values.kind]}, and equal steps of a count do not mean the same "
            "for every gene. Normalise first, and keep the counts in a layer:\n"
            + _normalise(name),
        )
    elif values.is_log and values.detail:
        warn(
            f"cells of {where} were not normalised alike: {values.detail}. Start from the counts "
            "of all cells:\n" + _normalise(name)
        )


def not_negative(values: Values, means: np.ndarray, layer: str | None) -> None:
    """Raise if values or means are negative: there are no shares of such an expression."""
    if (values.kind != "scaled" or values.detail) and not (means < 0).any():
        return
    raise ValueError(
        f"{_where('adata', layer)} holds negative values (scaled, or corrected for batches), and "
        "shares of an expression cannot be negative. Name a layer with log-normalised expression "
        "(layer=...)."
    )


def warn_unless_counts(values: Values, layer: str | None, model: str) -> None:
    """Warn a model of counts of what looks like none, and refuse what cannot be any."""
    where = _where("adata", layer)
    fix = f"Name the layer that has them: {model}.setup_anndata(adata, layer='counts', ...)."
    if values.kind == "scaled":
        holds = "values scaled to unit variance" if values.detail else "negative values"
        raise ValueError(f"{where} holds {holds}, and {model} models counts. {fix}")
    if values.kind not in ("counts", "binary") and values.detail != CONSTANT:
        warn(
            f"{where} holds no whole numbers but {NAMES[values.kind]}, and {model} models counts. "
            f"{fix}",
        )


def log_normalised(values: Values, name: str, layer: str | None) -> None:
    """Refuse what certainly is not log-normalised, warn of what may not be."""
    if values.is_log:
        return warn_unless_log(values, layer, name)
    holds = f"no expression ({CONSTANT})" if values.detail == CONSTANT else NAMES[values.kind]
    message = (
        f"{_where(name, layer)} holds {holds}, and labels are transferred on log-normalised "
        "expression. Name a layer that has it, or compute it from the counts, in the same way for "
        f"all objects:\n{_normalise(name)}"
    )
    if (values.certain and values.kind != "binary") or values.detail == CONSTANT:
        raise ValueError(message)
    warn(message.replace(" holds ", " seems to hold ", 1))
    return None


def same_values(trained: Values, seen: Values, layer: str | None, model: str) -> None:
    """Compare the values that a model meets with those that it was trained on.

    Raises
    ------
    ValueError
        If they are certainly of another kind.

    Warns
    -----
    UserWarning
        If they may be, or are on a different scale.
    """
    where = _where("adata", layer)
    if trained.kind != seen.kind:
        certainty = _certainty_of_difference(trained, seen)
        if certainty is None:
            return
        message = (
            f"the {model} was trained on {NAMES[trained.kind]}, but {where} "
            f"{'holds' if certainty else 'seems to hold'} {NAMES[seen.kind]}. Give it values that "
            "were computed in the same way as those it was trained on."
        )
        if certainty:
            raise ValueError(message)
        warn(message)
        return
    if trained.is_log and trained.base and seen.base and not np.isclose(trained.base, seen.base):
        warn(
            f"the {model} was trained on logarithms to base {trained.base:.4g}, but those of "
            f"{where} are to base {seen.base:.4g}. Multiply them by "
            f"{np.log(seen.base) / np.log(trained.base):.4g}."
        )
        return
    if trained.kind not in ("normalised", "log-normalised"):
        return
    of = "total" if trained.total and seen.total else "median"
    low, high = sorted(getattr(v, of) or 0.0 for v in (trained, seen))
    limit = 1.2 if of == "total" else MAX_RATIO_OF_TOTALS
    if low > 0 and high > limit * low:
        warn(
            f"the {model} was trained on cells with a total of {getattr(trained, of):.4g} "
            f"(before the logarithm{', median over its genes' * (of == 'median')}), but those of "
            f"{where} have {getattr(seen, of):.4g}: the values are on a different scale. "
            "Normalise to the same total, from the counts of all genes."
        )


def _certainty_of_difference(trained: Values, seen: Values) -> bool | None:
    """Whether two kinds surely are different; ``None`` if they may be used alike."""
    kinds = {trained.kind, seen.kind}
    for one in (trained, seen):
        if one.kind == "unknown" and not one.certain:
            return None  # nothing but zeros, for example
    if kinds == {"counts", "binary"}:  # few cells may have no gene twice
        return None if seen.kind == "binary" else False
    if kinds in ({"counts", "decimal counts"}, {"log-normalised", "log counts"}):
        return False
    if trained.is_linear and seen.is_linear:
        normalised = trained if trained.kind == "normalised" else seen
        return normalised.total is not None
    return trained.certain and seen.certain


def _where(name: str, layer: str | None) -> str:
    return f"{name}.X" if layer is None else f"{name}.layers[{layer!r}]"


def _normalise(name: str) -> str:
    return f"    sc.pp.normalize_total({name}, target_sum=1e4)\n    sc.pp.log1p({name})"


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
    """Raise if the mean of a gene shows that it has NaN or infinite values."""
    bad = ~np.isfinite(means).all(0)
    if bad.any():
        where = "adata.X" if layer is None else f"adata.layers[{layer!r}]"
        raise ValueError(
            f"{where} has NaN or infinite values in {int(bad.sum())} genes, such as "
            f"{list(genes[bad][:3])}. Leave these genes out, or mend the values."
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


def known_genes(genes: Collection[str], have: pd.Index, owner: str) -> np.ndarray:
    """Positions of the genes of a set, each once and in increasing order; raise if any lacks."""
    if isinstance(genes, str) or not all(isinstance(gene, str) for gene in genes):
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
