"""Check panels of genes: as column indices of a matrix, or as ranked names."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from ace._checks._arguments import number
from ace._checks._arrays import numbers, plain_array
from ace._listed import listed

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: ``{group: column indices, best first}``.
Panels: TypeAlias = Mapping[Hashable, "Sequence[int] | NDArray[np.integer]"]
#: ``{group: genes, best first}``, a frame with a column for each group, a record array such as
#: ``adata.uns["ace"]["names"]`` and ``adata.uns["rank_genes_groups"]["names"]``, or a table with a
#: row for each gene of each group, as ``adata.uns["ace"]["table"]`` and ``ace.get.explain_df``.
RankedPanels: TypeAlias = Mapping[Hashable, Iterable[Hashable]] | pd.DataFrame | np.ndarray
#: An ordered pair of groups.
Pair: TypeAlias = tuple[str, str]


def panel_sizes(
    n_top: float | Sequence[float], n_genes: int | None = None, *, smallest: int = 1
) -> tuple[int, ...]:
    """Return the numbers of genes, increasing and unique; fractions are of ``n_genes``."""
    values = np.atleast_1d(plain_array(n_top))
    if n_genes is not None and values.dtype.kind == "f" and ((values > 0) & (values <= 1)).all():
        # Rounded down, as in the papers (18 genes are 1 % of 1838), but 0.29 * 100 must be 29.
        values = np.maximum(np.floor(values * n_genes + 1e-9), 1).astype(np.intp)
    if values.ndim != 1 or not len(values) or values.dtype.kind not in "iu" or values.min() < 1:
        shares = "" if n_genes is None else ", or fractions of the genes between 0.0 and 1.0"
        raise ValueError(
            f"n_top must be a positive integer or several of them{shares}, got {n_top!r:.60}."
        )
    sizes = tuple(sorted({int(v) for v in values}))
    if sizes[0] < smallest:
        raise ValueError(f"n_top must be at least {smallest}, got {sizes[0]}.")
    return sizes


# -- column indices ----------------------------------------------------------------------------


def index_panels(
    panels: Panels, n_genes: int, n_top: int, labels: NDArray[np.str_] | None = None
) -> dict[str, NDArray[np.intp]]:
    """Return the first ``n_top`` columns of each panel, with the group's name as text.

    Parameters
    ----------
    panels
        Column indices for each group.
    n_genes
        Number of columns.
    n_top
        Number of genes that every panel must have.
    labels
        The group of each cell; if given, every panel must belong to a group that has cells.

    Raises
    ------
    TypeError
        If ``panels`` is not a mapping.
    ValueError
        If a panel is too short, has an invalid or repeated column, or belongs to no group.
    """
    if not isinstance(panels, Mapping):
        raise TypeError(
            f"panels must be {{group: column indices, best first}}, got {type(panels).__name__}. "
            "From a table with a column of gene names for each group: {group: "
            "adata.var_names.get_indexer(table[group]) for group in table}."
        )
    if not panels:
        raise ValueError("panels is empty; pass {group: column indices, best first}.")
    checked: dict[str, NDArray[np.intp]] = {}
    for group, columns in panels.items():
        values = plain_array(columns)
        what = f"the panel of group {group!r}"
        if values.ndim != 1 or (values.dtype.kind not in "iu" and len(values)):
            raise ValueError(
                f"{what} must be a sequence of column indices, got {columns!r:.60}. For gene "
                "names: adata.var_names.get_indexer(names)."
            )
        if len(values) < n_top:
            raise ValueError(f"{what} has {len(values)} genes, fewer than n_top={n_top}.")
        _add(checked, group, _indices(values[:n_top], n_genes, what), "panels")
    if labels is not None:
        known = np.unique(labels)
        unknown = sorted(set(checked) - set(known))
        if unknown:
            raise ValueError(
                f"no cell has the label {listed(unknown)} of a panel; labels has {listed(known)}."
            )
    return checked


def _indices(values: NDArray[Any], n_genes: int, what: str) -> NDArray[np.intp]:
    """Return column indices; raise if they are invalid or repeated."""
    values = values.astype(np.intp)
    if values.min() < 0 or values.max() >= n_genes:
        raise ValueError(f"{what} has columns outside 0 to {n_genes - 1}.")
    if len(np.unique(values)) < len(values):
        raise ValueError(f"{what} has a column twice.")
    return values


def _add(checked: dict[str, Any], group: Hashable, panel: Any, of: str) -> None:
    """Add a panel under its group's name as text; raise if the name is not unique."""
    if str(group) in checked:
        raise ValueError(
            f"{of} has two groups with the name {str(group)!r}, such as 1 and '1'; rename one."
        )
    checked[str(group)] = panel


# -- ranked names ------------------------------------------------------------------------------


def ranked_panels(
    panels: RankedPanels, n_top: int | None, *, of: str
) -> dict[str, list[Hashable]]:
    """Return the first genes of each group, with the group's name as text.

    Parameters
    ----------
    panels
        The panels of one method or run.
    n_top
        Number of genes, at most; ``None`` for all.
    of
        The method or run, for messages.
    """
    columns = _by_group(panels, of)
    if not columns:
        raise ValueError(f"the panels of {of} are empty; pass {{group: genes, best first}}.")
    checked: dict[str, list[Hashable]] = {}
    for group, genes in columns.items():
        what = f"the panel of {of} for group {group!r}"
        _add(checked, group, ranking(genes, what, n_top), of)
    return checked


def ranking(genes: Any, what: str, n_top: int | None = None) -> list[Hashable]:
    """Return the first genes of a ranking without missing values; messages call it ``what``."""
    if isinstance(genes, str) or not isinstance(genes, Iterable):
        raise ValueError(f"{what} must be a list of genes, got {genes!r:.60}.")
    genes = list(genes)
    if not all(isinstance(gene, Hashable) for gene in genes):
        raise ValueError(f"{what} must hold names of genes, got {genes!r:.60}.")
    # scanpy.tl.filter_rank_genes_groups replaces the genes that it removes by NaN.
    best = list(islice((gene for gene in genes if not pd.isna(gene)), n_top))
    if len(set(best)) < len(best):
        raise ValueError(f"{what} has a gene twice.")
    return best


def _by_group(panels: RankedPanels, of: str) -> dict[Hashable, Any]:
    """Genes by group, from each of the accepted forms."""
    if isinstance(panels, np.ndarray) and panels.dtype.names:
        return {name: panels[name] for name in panels.dtype.names}
    if isinstance(panels, pd.DataFrame) and {"group", "gene", "score"} <= set(panels.columns):
        return dict(iter(panels.groupby("group", observed=True, sort=False)["gene"]))
    if isinstance(panels, Mapping | pd.DataFrame):
        if isinstance(panels, pd.DataFrame) and not panels.columns.is_unique:
            raise ValueError(f"the panels of {of} have columns with the same name; rename them.")
        return {name: panels[name] for name in panels}
    raise ValueError(
        f"the panels of {of} must be {{group: genes, best first}}, a frame with a column for "
        f"each group, or adata.uns['ace']['names'], got {type(panels).__name__}."
    )


def panels_of_methods(
    panels: Mapping[Hashable, RankedPanels], n_top: int
) -> dict[Hashable, dict[str, list[Hashable]]]:
    """Return the first genes of each group for each method."""
    form = "{method: {group: genes, best first}}"
    if not isinstance(panels, Mapping):
        raise TypeError(f"panels must be {form}, got {type(panels).__name__}.")
    if not panels:
        raise ValueError(f"panels is empty; pass {form}.")
    return {m: ranked_panels(own, n_top, of=f"method {m!r}") for m, own in panels.items()}


def panels_of_runs(runs: Any, n_top: int) -> dict[Hashable, dict[str, list[Hashable]]]:
    """Return the first genes of each group for each of at least two runs."""
    if not isinstance(runs, Mapping):
        if isinstance(runs, pd.DataFrame) or getattr(getattr(runs, "dtype", None), "names", None):
            raise ValueError("runs holds the panels of one run; pass a list of at least two runs.")
        if isinstance(runs, str) or not isinstance(runs, Iterable):
            raise ValueError(f"runs must be a list with the panels of each run, got {runs!r:.60}.")
        runs = dict(enumerate(runs))
    if len(runs) < 2:
        raise ValueError(f"runs must have at least two runs to compare, got {len(runs)}.")
    return {run: ranked_panels(own, n_top, of=f"run {run!r}") for run, own in runs.items()}


def shared_group(panels: Mapping[Hashable, Mapping[str, object]], group: Hashable | None) -> str:
    """Return the name of the group to compare, for which every method must have a panel."""
    every = list(dict.fromkeys(name for own in panels.values() for name in own))
    if group is None and len(every) > 1:
        raise ValueError(f"there are panels for {listed(every)}; pass one of them as group.")
    name = every[0] if group is None else str(group)
    without = [method for method, own in panels.items() if name not in own]
    if without:
        raise ValueError(
            f"the methods {listed(without)} have no panel for group {name!r}; there are panels "
            f"for {listed(every)}."
        )
    return name


def same_groups(panels: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Return the groups, in the order of the first panels; raise if any panels lack a group."""
    every = list(dict.fromkeys(group for own in panels.values() for group in own))
    for of, own in panels.items():
        lacking = [group for group in every if group not in own]
        if lacking:
            raise ValueError(
                f"{of} has no panel for {listed(lacking)}, unlike others; leave these groups out."
            )
    return every


def persistence_of(persistence: Any) -> float:
    """Return the persistence of a rank-biased overlap; raise unless it is between 0 and 1."""
    number(persistence, "persistence", 0, 1, above=True, below=True)
    return float(persistence)


# -- pairs of groups ---------------------------------------------------------------------------


def scores_of_pairs(scores: Any) -> dict[Pair, NDArray[np.float64]]:
    """Return the scores of all genes for each ordered pair of groups."""
    _check_pairs(scores, "scores")
    values = {pair: numbers(own, f"the score of {pair}") for pair, own in scores.items()}
    shapes = sorted({score.shape for score in values.values()})
    if len(shapes) != 1 or len(shapes[0]) != 1:
        raise ValueError(
            f"scores must have one value per gene for each pair of groups, got shapes {shapes}."
        )
    return values


def rankings_of_pairs(
    rankings: Any, pairs: Iterable[Pair], n_genes: int
) -> dict[Pair, NDArray[np.intp]]:
    """Return the ranking of each pair, as column indices."""
    _check_pairs(rankings, "rankings")
    return {pair: _ranking_of_pair(rankings, pair, n_genes) for pair in pairs}


def _ranking_of_pair(
    rankings: Mapping[Pair, ArrayLike], pair: Pair, n_genes: int
) -> NDArray[np.intp]:
    if pair not in rankings:
        raise ValueError(f"rankings has no {pair}, unlike scores.")
    values = plain_array(rankings[pair])
    what = f"the ranking of {pair}"
    if values.ndim != 1 or values.dtype.kind not in "iu" or not len(values):
        raise ValueError(f"{what} must be a list of column indices, got {rankings[pair]!r:.60}.")
    return _indices(values, n_genes, what)


def _check_pairs(given: object, name: str) -> None:
    """Raise unless the argument maps ordered pairs to arrays."""
    pairs = list(given) if isinstance(given, Mapping) else [None]
    if not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
        raise ValueError(f"{name} must be {{(group, reference): array}}, got {given!r:.60}.")
