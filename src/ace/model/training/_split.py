"""Split cells into training, validation and test cells."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ace._checks._arguments import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from mudata import MuData

    from ace.model.base._gene_model import GeneModel

    #: Rows of the training, validation and test cells.
    Split = tuple[np.ndarray, np.ndarray, np.ndarray]


def split_of(
    model: GeneModel,
    codes: np.ndarray,
    train_size: float | None,
    validation_size: float | None,
    external_indexing: Sequence[Sequence[int] | np.ndarray | None] | None,
    rng: np.random.Generator,
) -> Split:
    """Return the split for a training: the user's, that of an earlier training, or a new one.

    Parameters
    ----------
    model
        The model.
    codes
        Class of each cell; cells with a negative code are not split.
    train_size, validation_size, external_indexing
        Arguments of ``train``.
    rng
        Source of randomness.
    """
    if external_indexing is not None:
        if train_size is not None or validation_size is not None:
            raise ValueError("give either external_indexing or sizes, not both.")
        return given_split(external_indexing, codes)
    if train_size is None and validation_size is None:
        if is_split_of(model, model.adata) and model._split_eligible_ == eligible(codes):
            return model.train_indices_, model.validation_indices_, model.test_indices_
        return split_cells(codes, *model._default_split, rng)
    if train_size is None:
        number(validation_size, "validation_size", 0, 1)
        assert validation_size is not None
        has_test_cells = sum(model._default_split) < 1
        train_size = model._default_split[0] if has_test_cells else 1 - validation_size
    return split_cells(codes, train_size, validation_size, rng)


def fingerprint(adata: AnnData | MuData) -> str:
    """Identify the cells of an object and their order."""
    return hashlib.sha256("\n".join(map(str, adata.obs_names)).encode()).hexdigest()


def is_split_of(model: GeneModel, adata: AnnData | MuData | None) -> bool:
    """Whether the rows of the model's split are rows of ``adata``."""
    return (
        adata is not None
        and model._split_fingerprint_ is not None
        and model._split_fingerprint_ == fingerprint(adata)
    )


def eligible(codes: np.ndarray) -> str:
    """Identify the cells that can be split: those with labels."""
    return hashlib.sha256(np.packbits(codes >= 0).tobytes()).hexdigest()


def split_cells(
    codes: np.ndarray,
    train_size: float,
    validation_size: float | None,
    rng: np.random.Generator,
) -> Split:
    """Split labelled cells at random, stratified by class.

    The numbers of cells of each class are rounded at random, so that the fractions are exact on
    average; at least one cell of each class is for training.

    Parameters
    ----------
    codes
        Class of each cell; cells with a negative code are left out.
    train_size
        Fraction of the cells to train on.
    validation_size
        Fraction to validate on; ``None`` for the rest. The remaining cells are test cells.
    rng
        Source of randomness.

    Returns
    -------
    Sorted row numbers of the training, validation and test cells.

    Raises
    ------
    ValueError
        If a fraction is out of range, or they add up to more than 1.
    """
    number(train_size, "train_size", 0, 1, above=True)
    number(validation_size, "validation_size", 0, 1, optional=True)
    if validation_size is None:
        validation_size = max(0.0, 1 - train_size)
    if not train_size + validation_size < 1 + 1e-9:
        raise ValueError(
            f"train_size={train_size} and validation_size={validation_size} are fractions of the "
            "labelled cells: together they must be at most 1."
        )
    none = np.empty(0, dtype=np.int64)
    parts: tuple[list[np.ndarray], ...] = ([none], [none], [none])
    for code in np.unique(codes[codes >= 0]):
        cells = rng.permutation(np.flatnonzero(codes == code))
        bounds = np.array([train_size, train_size + validation_size]) * len(cells)
        first, second = np.floor(bounds + rng.random() - 1e-9).astype(int)
        first = max(1, first)
        for part, chosen in zip(parts, np.split(cells, [first, max(first, second)]), strict=True):
            part.append(chosen)
    train, validation, test = (np.sort(np.concatenate(part)) for part in parts)
    return train, validation, test


def given_split(parts: Any, codes: np.ndarray) -> Split:
    """Check the user's split, and leave out cells without a label.

    Parameters
    ----------
    parts
        Row numbers for training and, optionally, for validation and for testing.
    codes
        Class of each cell, negative for none.

    Raises
    ------
    ValueError
        If a cell occurs twice or does not exist, or there is nothing to train on.
    """
    several = isinstance(parts, list | tuple) and 1 <= len(parts) <= 3
    arrays = [np.asarray([] if p is None else p) for p in parts] if several else []
    if not arrays or any(a.ndim != 1 or (len(a) and a.dtype.kind not in "iu") for a in arrays):
        raise ValueError(
            "external_indexing takes row numbers of the cells, [training, validation, test], of "
            f"which the last two may be left out; got {parts!r:.80}."
        )
    arrays = [a.astype(np.int64) for a in arrays]
    cells = np.concatenate(arrays)
    if len(cells) and (cells.min() < 0 or cells.max() >= len(codes)):
        raise ValueError(f"external_indexing has rows outside 0 … {len(codes) - 1}.")
    if len(np.unique(cells)) < len(cells):
        raise ValueError(
            "external_indexing has a cell more than once; the parts must be disjoint."
        )
    labelled = [a[codes[a] >= 0] for a in arrays]
    if len(labelled[0]) == 0:
        raise ValueError(
            "external_indexing has no cell to train on (cells without a label are not used)."
        )
    none = np.empty(0, dtype=np.int64)
    train, validation, test = (*labelled, none, none)[:3]
    return train, validation, test
