"""Check on a few cells whether a function provided by the user can be explained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ace._matrix import read_rows
from ace._threads import seeded
from ace.explain._frozen import device_of, frozen

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ace.tl._comparisons import Groups

#: Number of cells on which a function is tested.
N_CELLS_TRIED = 64
#: Largest difference, relative to the largest value, between results that should be equal.
TOLERANCE = 1e-3


def dense_rows(matrix: Any, rows: np.ndarray, columns: np.ndarray) -> Tensor:
    """Values of cells, in increasing order of rows, as a float32 tensor."""
    part = read_rows(matrix, rows, columns)
    values = part.toarray() if hasattr(part, "toarray") else np.asarray(part)
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def probe(
    function: nn.Module, matrix: Any, groups: Groups, columns: np.ndarray, *, output: str
) -> Tensor:
    """Apply a function to some cells, and raise if it cannot be explained.

    Parameters
    ----------
    function
        The module.
    matrix
        Expression, cells × genes.
    groups
        The groups; cells without a group are not used.
    columns
        Columns of the matrix that are its input.
    output
        What the columns of its output are, for messages: ``"groups"`` or ``"dimensions"``.

    Returns
    -------
    Its output for these cells, of shape ``(n_cells, n_outputs)``, on the CPU.

    Raises
    ------
    ValueError
        If the function fails; does not return a float32 matrix of finite numbers with a row for
        each cell; is random; mixes cells; or is not differentiable.
    """
    rows = np.flatnonzero(groups.codes >= 0)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, N_CELLS_TRIED).astype(np.int64))]
    name, device = type(function).__name__, device_of(function)
    x = dense_rows(matrix, rows, columns).to(device).requires_grad_()
    with torch.enable_grad(), frozen(function):
        y = _call(function, x, name, seed=0)
        _require_matrix(y, len(x), name, output)
        _require_gradient(x, y, name)
    with torch.no_grad(), frozen(function):
        # The output for some of the cells must not depend on the seed or on the other cells.
        few = slice(0, max(1, len(x) // 4))
        again = _call(function, x[few].detach(), name, seed=1)
    largest = float(y.detach().abs().max())
    if again.shape != y[few].shape or not torch.allclose(
        again, y[few].detach(), rtol=TOLERANCE, atol=TOLERANCE * largest
    ):
        raise ValueError(
            f"{name} returns different values when the same cells are passed again among fewer "
            "others, so it is random or mixes cells. It must be a deterministic function of each "
            "cell in evaluation mode: return the mean of a posterior, not a sample of it, and do "
            "not normalise over a minibatch."
        )
    return y.detach().cpu()


def _call(function: nn.Module, x: Tensor, name: str, *, seed: int) -> Tensor:
    """Apply the function; explain what it must accept if it fails."""
    try:
        with seeded(seed, x.device):
            return function(x)
    except Exception as error:
        raise ValueError(
            f"{name} fails on {x.shape[0]} cells x {x.shape[1]} genes: "
            f"{str(error).rstrip('.')}. It must accept one float32 tensor of shape (n_cells, "
            "n_genes) with the values of the matrix. If it does not take all genes of adata in "
            "their order, give the names of its genes as feature_names."
        ) from error


def _require_matrix(y: Any, n_cells: int, name: str, output: str) -> None:
    if not isinstance(y, torch.Tensor):
        raise ValueError(
            f"{name} returns {type(y).__name__}. It must return a tensor of shape "
            f"(n_cells, n_{output}): wrap it in a torch.nn.Module that does."
        )
    if y.ndim != 2 or len(y) != n_cells or y.shape[1] == 0:
        raise ValueError(
            f"{name} returns a tensor of shape {tuple(y.shape)} for {n_cells} cells. The shape "
            f"must be (n_cells, n_{output})."
        )
    if y.layout != torch.strided:
        raise ValueError(f"{name} returns a sparse tensor: call .to_dense() on its output.")
    if y.dtype != torch.float32:
        raise ValueError(
            f"{name} returns {y.dtype}. It must return torch.float32: call .float() on its output."
        )
    bad = int((~torch.isfinite(y)).any(1).sum())
    if bad:
        raise ValueError(
            f"{name} returns NaN or infinite values for {bad} of {n_cells} cells. Does it expect "
            "other values, such as counts? Pass them as layer=...."
        )


def _require_gradient(x: Tensor, y: Tensor, name: str) -> None:
    # Use different weights, because log-odds of two groups cancel in a plain sum.
    weights = torch.linspace(1, 2, y.numel(), dtype=y.dtype, device=y.device).view_as(y)
    gradient = None
    if y.requires_grad:
        (gradient,) = torch.autograd.grad((y * weights).sum(), x, allow_unused=True)
    if gradient is None:
        raise ValueError(
            f"{name} is not differentiable: PyTorch has no gradient of its output with respect to "
            "the genes. It must consist of differentiable operations of PyTorch, without "
            "torch.no_grad, detach or NumPy."
        )
    if not torch.isfinite(gradient).all():
        raise ValueError(
            f"{name} has NaN or infinite gradients with respect to the genes. Functions such as "
            "sqrt and log have none at 0: add a small constant to their argument."
        )
    if not gradient.any():
        raise ValueError(
            f"the gradient of {name} is 0 for all genes of {len(x)} cells, so there is nothing to "
            "explain. Rounding, binning and comparing values have no gradient: replace them by "
            "smooth functions."
        )
