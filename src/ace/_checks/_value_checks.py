"""Check the kind of values in a matrix: counts, logarithms, or what a model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ace._values import CONSTANT, NAMES, describe
from ace._warn import warn

if TYPE_CHECKING:
    from ace._values import Values

#: Larger ratios between median totals of the same genes mean different normalisation.
MAX_RATIO_OF_TOTALS = 3.0


def values_of(
    matrix: Any,
    layer: str | None,
    *,
    name: str = "adata",
    base: float | None = None,
    groups: np.ndarray | None = None,
    columns: np.ndarray | None = None,
) -> Values:
    """Detect the kind of values in a matrix, from a sample of its cells.

    Parameters
    ----------
    matrix, base, groups, columns
        As in :func:`ace._values.describe`.
    layer
        Layer of the matrix, for messages; ``None`` for ``X``.
    name
        Name of the object, for messages.

    Raises
    ------
    ValueError
        If cells certainly have values of different kinds, such as counts and logarithms.
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
    """Warn if values are not log-normalised, or not all in the same way."""
    where = _where(name, layer)
    if values.kind == "normalised":
        warn(
            f"{where} holds {NAMES[values.kind]}, which makes highly expressed genes dominate. "
            f"Log-transform them first:\n    sc.pp.log1p({name})"
        )
    elif values.is_linear:
        warn(
            f"{where} holds {NAMES[values.kind]}, which makes highly expressed genes dominate. "
            "Normalise them first, and keep the counts in a layer:\n" + _normalise(name),
        )
    elif values.is_log and values.detail:
        warn(
            f"the cells of {where} were not normalised in the same way: {values.detail}. Start "
            "from the counts of all cells:\n" + _normalise(name)
        )


def not_negative(values: Values, means: np.ndarray, layer: str | None) -> None:
    """Raise if values or means are negative, for which fractions of expression are undefined."""
    if (values.kind != "scaled" or values.detail) and not (means < 0).any():
        return
    raise ValueError(
        f"{_where('adata', layer)} holds negative values (scaled or batch-corrected), for which "
        "fractions of the expression are undefined. Pass a layer with log-normalised expression "
        "(layer=...)."
    )


def warn_unless_counts(values: Values, layer: str | None, model: str) -> None:
    """For a model of counts: warn if values may not be counts, raise if they cannot be."""
    where = _where("adata", layer)
    fix = f"Pass the layer with the counts: {model}.setup_anndata(adata, layer='counts', ...)."
    if values.kind == "scaled":
        holds = "values scaled to unit variance" if values.detail else "negative values"
        raise ValueError(f"{where} holds {holds}, but {model} models counts. {fix}")
    if values.kind not in ("counts", "binary") and values.detail != CONSTANT:
        warn(
            f"{where} holds {NAMES[values.kind]}, but {model} models counts. {fix}",
        )


def log_normalised(values: Values, name: str, layer: str | None) -> None:
    """Raise if values certainly are not log-normalised, warn if they may not be."""
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
    """Compare values given to a model with those it was trained on.

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
            f"{'holds' if certainty else 'seems to hold'} {NAMES[seen.kind]}. Pass values "
            "that were computed in the same way as the training data."
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
    """Whether two kinds certainly differ; ``None`` if they are compatible."""
    kinds = {trained.kind, seen.kind}
    for one in (trained, seen):
        if one.kind == "unknown" and not one.certain:
            return None  # nothing but zeros, for example
    if kinds == {"counts", "binary"}:  # a few cells may have no count above 1
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
