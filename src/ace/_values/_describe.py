"""Detect the kind of values in a matrix (counts, logarithms, …) from a sample of cells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from ace._matrix import LogCounts, in_memory, read_rows
from ace._values._judge import judge
from ace._values._kinds import Values
from ace._values._sampled_cells import SampledCells, power, same

if TYPE_CHECKING:
    from anndata import AnnData

#: Maximum and minimum number of sampled cells, and target number of stored values.
MOST_CELLS, FEWEST_CELLS, MOST_VALUES = 512, 100, 400_000
#: Distinct cells needed for a certain result.
FEWEST_DIFFERENT = 5
#: Contiguous blocks of cells read from a matrix on disk or a lazy matrix.
N_STRETCHES = 16


def claimed_base(adata: AnnData, layer: str | None) -> float | None:
    """Base that ``sc.pp.log1p`` recorded in ``uns`` for ``X``; ``None`` if there is none."""
    noted = adata.uns.get("log1p") if layer is None else None
    base = noted.get("base") if isinstance(noted, Mapping) else None
    if base is None or isinstance(base, str | bytes | bool | np.bool_) or np.ndim(base) != 0:
        return None
    try:
        number = float(base)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 1 else None


def log_base(values: Values, claimed: float | None) -> float | None:
    """Base of logarithms; ``None`` for other values, or if ``claimed`` contradicts it."""
    if values.base is None or (claimed is not None and not math.isclose(claimed, values.base)):
        return None
    return values.base


def describe(
    matrix: Any,
    *,
    columns: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    base: float | None = None,
) -> Values:
    """Detect the kind of values in a matrix.

    Parameters
    ----------
    matrix
        Cells × genes, of any kind that :func:`ace._matrix.read_rows` reads.
    columns
        Genes to use; ``None`` for all.
    groups
        Code of each cell's group or batch; cells are sampled from each.
    base
        Expected base of the logarithm.

    Returns
    -------
    The kind of values. The sample is deterministic, so the result is reproducible.
    """
    if isinstance(matrix, LogCounts):
        return Values("log-normalised", total=matrix.target, median=matrix.target, base=math.e)
    rows = _rows(matrix, groups)
    part = _sample(matrix, rows)
    part = part if columns is None else part[:, columns]
    bad = ~np.isfinite(part.data)  # reported elsewhere, with their location
    part.data[bad] = 0
    part.eliminate_zeros()
    cells = SampledCells(part, rows)
    found = judge(cells, base)
    if len(np.unique(cells.totals(same))) < FEWEST_DIFFERENT:
        found = replace(found, certain=False)  # copies of a few cells add no information
    if not (found.is_log or found.is_linear):
        return found
    totals = cells.totals(power(found.base) if found.base else same)
    detail = "" if bad.any() else found.detail
    return replace(found, median=float(np.median(totals)), detail=detail)


# -- the sample --------------------------------------------------------------------------------


def _spread(n: int, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """Draw one index from each of ``wanted`` equal intervals, to avoid periodic patterns."""
    if n <= wanted:
        return np.arange(n)
    edges = np.linspace(0, n, wanted + 1)
    return np.minimum((edges[:-1] + rng.random(wanted) * np.diff(edges)).astype(np.int64), n - 1)


def _rows(matrix: Any, groups: np.ndarray | None) -> np.ndarray:
    """Rows to sample, in increasing order."""
    n, width = matrix.shape
    per_row = matrix.nnz / max(n, 1) if sp.issparse(matrix) else width
    wanted = int(np.clip(MOST_VALUES / max(per_row, 1), FEWEST_CELLS, MOST_CELLS))
    rng = np.random.default_rng(0)
    if not _by_cell(matrix):
        length = max(1, wanted // N_STRETCHES)
        starts = _spread(max(n - length, 1), N_STRETCHES, rng)
        return np.unique(np.minimum(starts[:, None] + np.arange(length), n - 1))
    rows = [_spread(n, wanted, rng)]
    if groups is not None:
        present = np.unique(groups)
        each = max(1, min(16, wanted // len(present)))
        for group in present[:wanted]:
            own = np.flatnonzero(groups == group)
            rows.append(own[_spread(len(own), each, rng)])
    return np.unique(np.concatenate(rows))


def _by_cell(matrix: Any) -> bool:
    """Whether reading single rows is as cheap as reading contiguous rows."""
    return in_memory(matrix) or getattr(matrix, "format", None) == "csc"


def _sample(matrix: Any, rows: np.ndarray) -> sp.csr_array:
    """Rows as sparse float64."""
    if _by_cell(matrix):
        parts = [read_rows(matrix, rows)]
    else:
        stretches = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
        parts = [read_rows(matrix, slice(int(s[0]), int(s[-1]) + 1)) for s in stretches]
    # SciPy has no sparse float16.
    parts = [sp.csr_array(p if sp.issparse(p) else np.asarray(p, dtype=float)) for p in parts]
    part = sp.csr_array(sp.vstack(parts, format="csr"), dtype=np.float64, copy=True)
    part.sum_duplicates()
    return part
