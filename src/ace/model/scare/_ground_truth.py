"""Ground truths: the genes that the latent space should depend on, in every accepted form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch

from ace import _checks
from ace._checks import _columns
from ace._listed import listed
from ace.model.saving._document import saved_as
from ace.model.scare._attribution import LOSSES

if TYPE_CHECKING:
    from anndata import AnnData
    from torch import Tensor

    from ace.model.scare._attribution import Loss, Transform


@saved_as("GroundTruth")
@dataclass(frozen=True)
class GroundTruth:
    """Genes that the latent space of SCARE should depend on: one term of its attribution loss.

    Parameters
    ----------
    genes
        One of

        - names of genes; an empty list means no gene,
        - the name of a Boolean column of ``adata.var``,
        - a mapping from categories of ``labels_key`` to names of genes; cells of other categories
          are left out of this term,
        - a Boolean array or sparse matrix of shape ``(n_cells, n_genes)``, in the order of
          ``adata``.
    name
        Name of the term in the history; ``None`` for its number.
    weight
        Weight of the term in the attribution loss.
    loss
        Loss of this term; ``None`` for that of the model.

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
        """Whether it has no genes."""
        if isinstance(self.genes, Mapping):
            return not any(map(len, self.genes.values()))
        return self.genes.nnz == 0 if sp.issparse(self.genes) else len(self.genes) == 0


class Genes(torch.nn.Module):
    """A ground truth as zeros and ones.

    Parameters
    ----------
    table
        Zeros and ones: a dense array with a row for each kind of cell, or a sparse matrix with a
        row for each cell.
    kinds
        Row of the table for each label, -1 for none; ``None`` if the table has a single row.
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
        """Return the genes of each cell, and whether the ground truth covers it (1 or 0).

        Parameters
        ----------
        cells
            Row numbers, shape ``(n_cells,)``.
        labels
            Codes of their labels, shape ``(n_cells,)``.

        Returns
        -------
        Shapes ``(n_cells, n_genes)``, or ``(1, n_genes)`` if all cells have the same genes, and
        ``(n_cells,)``.
        """
        every = torch.ones(len(cells), device=self.table.device)
        if self._by_cell is not None:
            rows = self._by_cell[cells.cpu().numpy()].toarray()
            return torch.from_numpy(rows).to(self.table), every
        if self.kinds is None:
            return self.table, every
        # Labels unknown to the model (-1) have no row.
        kinds = torch.where(labels < 0, -1, self.kinds[labels.clamp_min(0)])
        return self.table[kinds.clamp_min(0)], (kinds >= 0).to(self.table)


def named(
    ground_truth: Any, adata: AnnData | None, genes: np.ndarray, has_labels: bool
) -> list[GroundTruth]:
    """Convert ground truths to a form that does not depend on the AnnData, so it can be saved.

    Raises
    ------
    TypeError
        If its type is not supported.
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
        raise TypeError("a list of ground truths must hold GroundTruth objects only.")
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
        raise ValueError(f"names of ground truths must be unique, got {listed(names)}.")
    for term in found:
        _checks.number(term.weight, "the weight of a ground truth", above=True)
    return found


def has_truth_by_cell(terms: Sequence[GroundTruth]) -> bool:
    """Whether one of the ground truths, as returned by :func:`named`, has genes of each cell."""
    return any(sp.issparse(term.genes) for term in terms)


def as_numbers(term: GroundTruth, genes: np.ndarray, categories: Sequence[Any]) -> Genes:
    """Convert a ground truth, as returned by :func:`named`, to zeros and ones."""
    if sp.issparse(term.genes):
        return Genes(term.genes)
    if not isinstance(term.genes, Mapping):
        return Genes(_flags(term.genes, genes)[None])
    unknown = [key for key in term.genes if key not in set(categories)]
    if unknown:
        raise ValueError(
            f"the ground truth has the categories {listed(unknown)}, but the labels are "
            f"{listed(categories)}."
        )
    kinds = np.full(len(categories), -1)
    for i, key in enumerate(term.genes):
        kinds[list(categories).index(key)] = i
    return Genes(np.stack([_flags(names, genes) for names in term.genes.values()]), kinds)


def check_terms(
    terms: Sequence[GroundTruth],
    *,
    loss: Loss,
    transform: Transform,
    target: Any,
    n_divided: int | None,
) -> None:
    """Raise if ground truths cannot be combined with the other arguments of a model.

    Parameters
    ----------
    terms
        The ground truths.
    loss, transform, target
        Arguments of the model.
    n_divided
        Number of latent dimensions if they are divided between the ground truths, else ``None``.

    Raises
    ------
    ValueError
        If they cannot be combined; the message suggests another argument.
    """
    for term in terms:
        own = loss if term.loss is None else term.loss
        _checks.one_of(own, "loss", LOSSES)
        if own == "share" and term.is_empty:
            raise ValueError(
                'loss="share" is undefined for a ground truth without genes. To select few genes '
                'with ground_truth=[], use loss="excess".'
            )
        if term.is_empty and transform in ("square_share", "abs_share"):
            raise ValueError(
                f"with transform={transform!r} the attributions of a cell always sum to 1, so no "
                'genes can be selected: use transform="abs_minmax".'
            )
    if n_divided is None:
        return
    if len(terms) < 2:
        raise ValueError("disjoint=True separates several ground truths: pass at least two.")
    if n_divided < len(terms) + 1:
        raise ValueError(
            f"disjoint=True divides the latent dimensions between {len(terms)} ground truths and "
            f"a free block, but n_latent={n_divided}: use at least {len(terms) + 1}."
        )
    if target == "decoder_sum":
        raise ValueError(
            'disjoint=True separates latent dimensions, but target="decoder_sum" depends on all '
            'of them: use target="distance".'
        )


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
                "a ground truth by category needs the category of each cell: pass labels_key to "
                "setup_anndata."
            )
        if not value:
            raise ValueError("the ground truth is an empty mapping: name at least one category.")
        return {key: _known(names, genes) for key, names in value.items()}
    if sp.issparse(value) or getattr(value, "ndim", 1) == 2:
        return _matrix(value, adata, genes)
    if str(getattr(value, "dtype", None)) == "bool":
        if len(value) != len(genes):
            raise ValueError(
                f"a Boolean ground truth must have one value per gene, {len(genes)}, got "
                f"{len(value)}."
            )
        return [str(gene) for gene in genes[np.asarray(value)]]
    if isinstance(value, Sequence | set | frozenset) or hasattr(value, "__array__"):
        return _known(value, genes)
    raise TypeError(
        "ground_truth must be names of genes, a Boolean column of var, a dict from categories to "
        "genes, a Boolean array cells × genes, or GroundTruth objects, got "
        f"{type(value).__name__}."
    )


def _aligned(value: Any, names: np.ndarray, what: str) -> Any:
    """Reorder the rows of a frame, or the values of a Boolean series, by name."""
    if isinstance(value, pd.Series) and value.dtype != bool:
        return value.to_numpy()
    if not value.index.is_unique or set(value.index) != set(names):
        raise ValueError(
            f"the index of a ground truth, a {type(value).__name__}, must hold the names of the "
            f"{what} of adata, each once."
        )
    return value.loc[names] if value.ndim == 2 else value.loc[names].to_numpy()


def _column_of_var(column: str, adata: AnnData | None, genes: np.ndarray) -> list[str]:
    if adata is None:
        raise ValueError(
            f"the model has no AnnData to read var[{column!r}] from: pass names of genes."
        )
    if column not in adata.var:
        hint = f" To pass a single gene, use a list: [{column!r}]." if column in genes else ""
        raise KeyError(
            f"there is no column {column!r} in adata.var, which has {listed(adata.var)}.{hint}"
        )
    values = _columns.column_of(adata.var, column, "adata.var")
    flags = _columns.flags_of(values, f"adata.var[{column!r}]")
    return _known(adata.var_names[flags], genes)


def _matrix(value: Any, adata: AnnData | None, genes: np.ndarray) -> sp.csr_matrix:
    n_cells = value.shape[0] if adata is None else adata.n_obs
    if value.shape != (n_cells, len(genes)):
        raise ValueError(
            f"a ground truth by cell must have the shape cells × genes, {(n_cells, len(genes))}, "
            f"got {tuple(value.shape)}."
        )
    table = sp.csr_matrix(value)
    if not np.isin(table.data, [0, 1]).all():
        raise ValueError("a ground truth by cell must be Boolean, with the values 0 and 1 only.")
    table.eliminate_zeros()
    return table.astype(np.float32)


def _known(names: Any, genes: np.ndarray) -> list[str]:
    """Return the names without duplicates; raise if the model lacks one of the genes."""
    names = names if isinstance(names, str) else list(names)
    if not len(names):
        return []
    have = pd.Index(genes.astype(str))
    return list(have[_checks.known_genes(names, have, "adata")])


def _flags(names: Sequence[str], genes: np.ndarray) -> np.ndarray:
    return np.isin(genes.astype(str), list(names)).astype(np.float32)
