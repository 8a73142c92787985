"""Which genes a model is to listen to, in every form that it can be said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch

from ace import _checks, _columns
from ace._listed import listed
from ace.model.saving._document import saved_as

if TYPE_CHECKING:
    from anndata import AnnData
    from torch import Tensor

    from ace.model.scare._attribution import Loss


@saved_as("GroundTruth")
@dataclass(frozen=True)
class GroundTruth:
    """Genes that a model is to listen to: one term of the attribution loss of an ``SCARE``.

    Parameters
    ----------
    genes
        One of

        - names of genes; none at all is a ground truth of zeros,
        - the name of a Boolean column of ``adata.var``,
        - a mapping from categories of ``labels_key`` to names of genes: each cell then has the
          genes of its category, and a cell of another category has no part in this term,
        - a Boolean array or sparse matrix cells × genes, in the order of ``adata``.
    name
        Name of the term in the history. ``None``: its number.
    weight
        Weight of the term in the attribution loss.
    loss
        Loss of this term; ``None`` takes that of the model.

    Examples
    --------
    >>> import ace
    >>> nf_kb = ace.model.GroundTruth(["BIRC3", "CD40", "TRAF2"], name="NF-kB", weight=2.0)
    """

    genes: Any
    name: str | None = None
    weight: float = 1.0
    loss: Loss | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it has no gene at all."""
        if isinstance(self.genes, Mapping):
            return not any(map(len, self.genes.values()))
        return self.genes.nnz == 0 if sp.issparse(self.genes) else len(self.genes) == 0


class Genes(torch.nn.Module):
    """Ground truth of one term as numbers: for any cells, which genes count.

    Parameters
    ----------
    table
        Array of 0 and 1, kinds of cells × genes; or sparse, cells × genes.
    kinds
        Row of the table of each label, -1 for none; ``None``: one row for all.
    """

    table: Tensor
    kinds: Tensor | None

    def __init__(self, table: np.ndarray | sp.csr_matrix, kinds: np.ndarray | None = None) -> None:
        super().__init__()
        self._by_cell = table if sp.issparse(table) else None
        dense = np.zeros((0, table.shape[1])) if self._by_cell is not None else table
        self.register_buffer("table", torch.as_tensor(dense, dtype=torch.float32))
        self.register_buffer("kinds", None if kinds is None else torch.as_tensor(kinds))

    def of(self, cells: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Genes that count for cells, and which cells have any say (1 or 0).

        Parameters
        ----------
        cells
            Row numbers, shape ``(n_cells,)``.
        labels
            Codes of their labels, shape ``(n_cells,)``.

        Returns
        -------
        Shapes ``(n_cells, n_genes)``, or 1 in place of ``n_cells``, and ``(n_cells,)``.
        """
        every = torch.ones(len(cells), device=self.table.device)
        if self._by_cell is not None:
            rows = self._by_cell[cells.cpu().numpy()].toarray()
            return torch.from_numpy(rows).to(self.table), every
        if self.kinds is None:
            return self.table, every
        # A label that the model does not know (-1) is of no kind.
        kinds = torch.where(labels < 0, -1, self.kinds[labels.clamp_min(0)])
        return self.table[kinds.clamp_min(0)], (kinds >= 0).to(self.table)


def named(
    ground_truth: Any, adata: AnnData | None, genes: np.ndarray, has_labels: bool
) -> list[GroundTruth]:
    """Give ground truths in a form that does not depend on the AnnData, for saving.

    Raises
    ------
    TypeError
        If it is of no known kind.
    KeyError
        If a column of ``var`` does not exist.
    ValueError
        If genes are unknown, shapes do not fit, or values are not Boolean.
    """
    if isinstance(ground_truth, GroundTruth):
        ground_truth = [ground_truth]
    several = isinstance(ground_truth, (list, tuple)) and any(
        isinstance(one, GroundTruth) for one in ground_truth
    )
    if several and not all(isinstance(one, GroundTruth) for one in ground_truth):
        raise TypeError("a list of ground truths holds GroundTruth objects and nothing else.")
    terms = list(ground_truth) if several else [GroundTruth(ground_truth)]
    found = [
        replace(
            term,
            genes=_canonical(term.genes, adata, genes, has_labels),
            name=str(i) if term.name is None else term.name,
        )
        for i, term in enumerate(terms)
    ]
    names = [str(term.name) for term in found]
    if len(set(names)) < len(names):
        raise ValueError(f"each ground truth needs a name of its own, got {listed(names)}.")
    for term in found:
        _checks.number(term.weight, "the weight of a ground truth", above=True)
    return found


def as_numbers(term: GroundTruth, genes: np.ndarray, categories: Sequence[Any]) -> Genes:
    """Turn a ground truth of :func:`named` into numbers."""
    if sp.issparse(term.genes):
        return Genes(term.genes)
    if not isinstance(term.genes, Mapping):
        return Genes(_flags(term.genes, genes)[None])
    unknown = [key for key in term.genes if key not in set(categories)]
    if unknown:
        raise ValueError(
            f"the ground truth has the categories {listed(unknown)}, which are none of the "
            f"labels: {listed(categories)}."
        )
    kinds = np.full(len(categories), -1)
    for i, key in enumerate(term.genes):
        kinds[list(categories).index(key)] = i
    return Genes(np.stack([_flags(names, genes) for names in term.genes.values()]), kinds)


def _canonical(value: Any, adata: AnnData | None, genes: np.ndarray, has_labels: bool) -> Any:
    if isinstance(value, str):
        return _column_of_var(value, adata, genes)
    if isinstance(value, pd.Series):
        value = _aligned(value, genes, "genes")
    if isinstance(value, pd.DataFrame):
        value = _aligned(value.T, genes, "genes").T
        value = value if adata is None else _aligned(value, adata.obs_names.to_numpy(), "cells")
        value = value.to_numpy()
    if isinstance(value, Mapping):
        if not has_labels:
            raise ValueError(
                "a ground truth by category needs the category of each cell: set up labels_key."
            )
        if not value:
            raise ValueError("the ground truth by category has no category.")
        return {key: _known(names, genes) for key, names in value.items()}
    if sp.issparse(value) or getattr(value, "ndim", 1) == 2:
        return _matrix(value, adata, genes)
    if str(getattr(value, "dtype", None)) == "bool":
        if len(value) != len(genes):
            raise ValueError(
                f"a Boolean ground truth has a value for each of {len(genes)} genes, got "
                f"{len(value)}."
            )
        return [str(gene) for gene in genes[np.asarray(value)]]
    if isinstance(value, Sequence | set | frozenset) or hasattr(value, "__array__"):
        return _known(value, genes)
    raise TypeError(
        "ground_truth takes names of genes, a Boolean column of var, a dict category → genes, a "
        f"Boolean array cells × genes, or GroundTruth objects; got {type(value).__name__}."
    )


def _aligned(value: Any, names: np.ndarray, what: str) -> Any:
    """Rows of a frame, or values of a series, by name; a series of names as it is."""
    if isinstance(value, pd.Series) and value.dtype != bool:
        return value.to_numpy()
    if not value.index.is_unique or set(value.index) != set(names):
        raise ValueError(
            f"a ground truth as a {type(value).__name__} is read by name, and its names are not "
            f"those of the {what}, each once."
        )
    return value.loc[names] if value.ndim == 2 else value.loc[names].to_numpy()


def _column_of_var(column: str, adata: AnnData | None, genes: np.ndarray) -> list[str]:
    if adata is None:
        raise ValueError(f"without an AnnData there is no var[{column!r}]: name the genes.")
    if column not in adata.var:
        hint = f" To name one gene, pass [{column!r}]." if column in genes else ""
        raise KeyError(
            f"no column {column!r} in adata.var; its columns are {listed(adata.var)}.{hint}"
        )
    values = _columns.column_of(adata.var, column, "adata.var")
    flags = _columns.flags_of(values, f"adata.var[{column!r}]")
    return _known(adata.var_names[flags], genes)


def _matrix(value: Any, adata: AnnData | None, genes: np.ndarray) -> sp.csr_matrix:
    n_cells = value.shape[0] if adata is None else adata.n_obs
    if value.shape != (n_cells, len(genes)):
        raise ValueError(
            f"a ground truth by cell has the shape cells × genes, {(n_cells, len(genes))}, got "
            f"{tuple(value.shape)}."
        )
    table = sp.csr_matrix(value)
    if not np.isin(table.data, [0, 1]).all():
        raise ValueError("a ground truth by cell is Boolean: its values are 0 and 1 only.")
    table.eliminate_zeros()
    return table.astype(np.float32)


def _known(names: Any, genes: np.ndarray) -> list[str]:
    """Names without repetition, all of them genes of the model."""
    names = names if isinstance(names, str) else list(names)
    if not len(names):
        return []
    have = pd.Index(genes.astype(str))
    return list(have[_checks.known_genes(names, have, "adata")])


def _flags(names: Sequence[str], genes: np.ndarray) -> np.ndarray:
    return np.isin(genes.astype(str), list(names)).astype(np.float32)
