"""Labelled and unlabelled cells of one or two objects, as one AnnData."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData
from anndata.utils import make_index_unique

from ace import _checks
from ace._checks import _columns, _storable, _value_checks
from ace._checks._objects import annotated
from ace._keys import storable
from ace._listed import listed
from ace._matrix import CHUNK_VALUES, read_rows
from ace._values import claimed_base
from ace._warn import warn
from ace.tl._shared_genes import shared_genes, variable_genes

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Number of cells, over all domains, that variable genes are chosen and totals compared on.
N_CELLS_SAMPLED = 40_000
#: Ratio of the totals of cells above which they were normalised differently.
MAX_RATIO = 2.0
#: Categories that look like missing labels, but would be learned as types.
_LOOKS_UNLABELLED = {"", "-", "na", "n/a", "nan", "none", "unassigned", "unknown", "unlabeled"}
_LOOKS_UNLABELLED |= {"unlabelled", "unannotated", "undefined"}


@dataclass(frozen=True)
class Pool:
    """Cells to annotate, followed by those of the reference.

    Parameters
    ----------
    adata
        All cells, with the chosen genes, labels and domains.
    n_query
        Number of cells, the first ones, of the object that is annotated.
    given
        Label of each of these, missing if it is to be predicted.
    n_shared_genes
        Number of genes that both objects have.
    """

    adata: AnnData
    n_query: int
    given: pd.Categorical
    n_shared_genes: int


def pool_cells(
    query: AnnData,
    reference: AnnData | None,
    labels_key: str,
    *,
    unlabeled_category: Any,
    domain_key: Sequence[str],
    layer: str | None,
    n_top_genes: int | None,
    random_state: int,
) -> Pool:
    """Check the objects, choose genes, and copy the cells to one object."""
    objects = {"adata": query} if reference is None else {"query": query, "reference": reference}
    for name, adata in objects.items():
        _checks.unique_genes(annotated(adata, name), name)
    matrices = [_checks.matrix_of(adata, layer, name) for name, adata in objects.items()]
    domains = [_domains(adata, domain_key, labels_key, name) for name, adata in objects.items()]
    for (name, adata), matrix, own in zip(objects.items(), matrices, domains, strict=True):
        batch = own.agg(" ".join, axis=1).factorize()[0] if domain_key else None
        base = claimed_base(adata, layer)
        values = _value_checks.values_of(matrix, layer, name=name, base=base, groups=batch)
        _value_checks.log_normalised(values, name, layer)
    rows = [np.arange(adata.n_obs) for adata in objects.values()]
    if reference is None:
        labels = given = _labels_to_complete(query, labels_key, unlabeled_category)
        genes = query.var_names
    else:
        known, rows[1] = _labels_of_reference(reference, labels_key, unlabeled_category)
        given = pd.Categorical.from_codes(np.full(query.n_obs, -1), dtype=known.dtype)
        codes = np.concatenate([given.codes, known.codes])
        labels = pd.Categorical.from_codes(codes, dtype=known.dtype)
        genes = shared_genes(query, reference)
    columns = [adata.var_names.get_indexer(genes) for adata in objects.values()]
    n_shared = len(genes)
    labelled = labels.codes >= 0
    obs = pd.concat([f.iloc[r] for f, r in zip(domains, rows, strict=True)])
    obs.index = make_index_unique(obs.index.astype(str))

    sides = pd.Series(np.where(labelled, "labelled", "unlabelled"), index=obs.index)
    domain = obs.astype(str).agg(" ".join, axis=1) if domain_key else sides
    chosen = _sample(sides if n_top_genes is None else domain, random_state)
    sample = _read(matrices, rows, columns, chosen)
    _finite(sample, genes, layer)
    _warn_of_totals(sample, sides.iloc[chosen].to_numpy(), reference is None)
    if n_top_genes is not None:
        variable = variable_genes(sample, domain.iloc[chosen], n_top_genes)
        columns, genes = [c[variable] for c in columns], genes[variable]

    x = _read(matrices, rows, columns, np.arange(len(obs)))
    _finite(x, genes, layer)
    categories = pd.Index([*labels.categories, unlabeled_category], dtype=object)
    obs[labels_key] = pd.Categorical.from_codes(
        np.where(labelled, labels.codes, len(labels.categories)), categories=categories
    )
    pooled = AnnData(x, obs=obs, var=pd.DataFrame(index=genes))
    return Pool(pooled, query.n_obs, given, n_shared)


# -- labels and domains ----------------------------------------------------------------------


def _labels(adata: AnnData, key: str, unlabeled_category: Any, name: str) -> pd.Categorical:
    """Label of each cell, or missing; without unused categories."""
    values = _checks.column_of(adata, key, name)
    if pd.api.types.is_float_dtype(values.dtype):
        raise ValueError(
            f"{name}.obs[{key!r}] holds measurements ({values.dtype}), not labels. If they are "
            f"labels, convert them: `{name}.obs[{key!r}] = "
            f"{name}.obs[{key!r}].astype('Int64').astype('category')`."
        )
    labels = _columns.labels_of(values, f"{name}.obs[{key!r}]")
    labels = _columns.without(labels, unlabeled_category).remove_unused_categories()
    # Numbers beside "Unknown" have dtype object. Without it they are numbers, and can be stored.
    labels = labels.rename_categories(labels.categories.infer_objects())
    classes = [str(label) for label in labels.categories]
    if len(classes) < 2:
        raise ValueError(
            f"{name}.obs[{key!r}] has {len(classes)} labels besides {unlabeled_category!r}, "
            f"{listed(classes)}. At least two are required."
        )
    _storable.labels(labels.categories, key, name)
    _checks.distinct([storable(label) for label in classes], classes)
    doubtful = [label for label in classes if label.strip().lower() in _LOOKS_UNLABELLED]
    if doubtful:
        warn(
            f"{name}.obs[{key!r}] has {listed(doubtful)}, which is learned as a type. If these "
            f"cells have no label, pass unlabeled_category={doubtful[0]!r}.",
        )
    return labels


def _labels_to_complete(adata: AnnData, key: str, unlabeled: Any) -> pd.Categorical:
    """Label of each cell of one object, some of them missing."""
    labels = _labels(adata, key, unlabeled, "adata")
    if not (labels.codes < 0).any():
        raise _nothing_to_annotate(labels, key, unlabeled)
    return labels


def _labels_of_reference(
    reference: AnnData, key: str, unlabeled: Any
) -> tuple[pd.Categorical, np.ndarray]:
    """Labels of the labelled cells of the reference, and their rows."""
    labels = _labels(reference, key, unlabeled, "reference")
    labelled = labels.codes >= 0
    if not labelled.all():
        warn(
            f"{(~labelled).sum()} cells of the reference have no label in "
            f"reference.obs[{key!r}] and are left out.",
        )
    return labels[labelled], np.flatnonzero(labelled)


def _nothing_to_annotate(labels: pd.Categorical, key: str, unlabeled: Any) -> ValueError:
    """Return the error if every cell has a label."""
    names = {str(label).strip().lower(): label for label in labels.categories}
    telling = [name for name in names if name in _LOOKS_UNLABELLED]
    near = telling or difflib.get_close_matches(str(unlabeled).lower(), names, n=1)
    hint = ""
    if near:
        match = names[near[0]]
        hint = f" Did you mean unlabeled_category={match!r}?"
    return ValueError(
        f"every cell has a label in adata.obs[{key!r}], so there is nothing to annotate. "
        f"Unlabelled cells must have the value {unlabeled!r} (unlabeled_category) or a missing "
        f"value.{hint} To transfer labels from another object, use annotate(query, labels_key, "
        "reference=...)."
    )


def _domains(adata: AnnData, keys: Sequence[str], labels_key: str, name: str) -> pd.DataFrame:
    """Domain columns of each cell, as strings."""
    if labels_key in keys:
        raise ValueError(
            f"domain_key={labels_key!r} is the column of the labels, whose differences cannot be "
            "both learned and ignored. Leave domain_key out, or pass another column."
        )
    domains = {}
    for key in keys:
        values = _columns.labels_of(
            _checks.column_of(adata, key, name), f"{name}.obs[{key!r}]"
        ).remove_unused_categories()
        if n_missing := int((values.codes < 0).sum()):
            raise ValueError(
                f"{name}.obs[{key!r}] (domain_key) is missing for {n_missing} cells: every cell "
                "must have a domain."
            )
        # As strings, because the categories of two objects may have different types.
        texts = np.array([str(value) for value in values.categories], dtype=object)
        domains[key] = texts[values.codes]
    return pd.DataFrame(domains, index=adata.obs_names)


# -- reading ----------------------------------------------------------------------------------


def _sample(domain: pd.Series, random_state: int) -> np.ndarray:
    """Rows of some cells of every domain, in increasing order."""
    rng = np.random.default_rng([random_state, 2])
    codes, names = pd.factorize(domain, sort=True)
    most = max(N_CELLS_SAMPLED // len(names), 1)
    cells = [np.flatnonzero(codes == code) for code in range(len(names))]
    drawn = [c if len(c) <= most else rng.choice(c, most, replace=False) for c in cells]
    return np.sort(np.concatenate(drawn))


def _read(
    matrices: list[Any], rows: list[np.ndarray], columns: list[np.ndarray], cells: np.ndarray
) -> sp.csr_matrix:
    """Sparse values of some cells of the pool, with the columns of each object."""
    parts, start = [], 0
    for matrix, own, genes in zip(matrices, rows, columns, strict=True):
        mine = cells[(cells >= start) & (cells < start + len(own))] - start
        parts += _blocks(matrix, own[mine], genes)
        start += len(own)
    x = sp.csr_matrix(sp.vstack(parts, format="csr"))
    x.sum_duplicates()
    return x


def _blocks(matrix: Any, rows: np.ndarray, columns: np.ndarray) -> list[sp.csr_matrix]:
    """Rows in sparse blocks, at most one of which is dense at a time."""
    if sp.issparse(matrix) and matrix.format != "csr":
        return [sp.csr_matrix(matrix.tocsc()[:, columns].tocsr()[rows], dtype=np.float32)]
    height = max(1, CHUNK_VALUES // matrix.shape[1])
    if sp.issparse(matrix):
        height = max(1, len(rows))
    return [
        sp.csr_matrix(read_rows(matrix, rows[i : i + height], columns), dtype=np.float32)
        for i in range(0, len(rows), height)
    ]


def _finite(x: sp.csr_matrix, genes: pd.Index, layer: str | None) -> None:
    """Raise if values are not finite."""
    bad = np.unique(x.indices[~np.isfinite(x.data)])
    if len(bad):
        where = "X" if layer is None else f"layer {layer!r}"
        raise ValueError(
            f"{where} has NaN or infinite values in {len(bad)} genes, such as "
            f"{listed(genes[bad[:3]])}. Leave these genes out, or fix the values."
        )


def _warn_of_totals(x: sp.csr_matrix, sides: np.ndarray, one_object: bool) -> None:
    """Warn if labelled and unlabelled cells were normalised to different totals."""
    totals = np.asarray(x.expm1().sum(1)).ravel()
    median = {side: float(np.median(totals[sides == side])) for side in np.unique(sides)}
    low, high = sorted(median.values())
    if high <= MAX_RATIO * low:
        return
    names = ("labelled cells", "unlabelled cells") if one_object else ("reference", "query")
    warn(
        f"totals of the {names[0]} and the {names[1]} differ: over the same {x.shape[1]} genes, "
        f"the median total of a cell is {median['labelled']:.4g} and "
        f"{median['unlabelled']:.4g}. They seem to be normalised to different totals, or with "
        "different logarithms, and labels will not transfer well. Normalise the counts of all "
        "genes of both again:\n"
        "    sc.pp.normalize_total(adata, target_sum=1e4)\n"
        "    sc.pp.log1p(adata)",
    )
