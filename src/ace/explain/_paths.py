"""Attributions along straight lines from reference cells to source cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ace.explain._rows import BATCH_SIZE, rows_at_once

if TYPE_CHECKING:
    from ace.explain._cells import GroupedCells
    from ace.explain._contrast import Contrast


@dataclass(frozen=True)
class Paths:
    """Straight lines from reference cells to source cells, with one point on each.

    Attributes
    ----------
    source_row
        Row of each source cell in its group, shape ``(n_paths,)``.
    group, row
        Group of each reference cell, and its row in that group, shape ``(n_paths,)``.
    alpha
        Position of the point, from 0 (reference) to 1 (source), shape ``(n_paths, 1)``, float32.
    """

    source_row: np.ndarray
    group: np.ndarray
    row: np.ndarray
    alpha: np.ndarray


def path_attributions(
    contrast: Contrast, x: Tensor, baseline: Tensor, alpha: Tensor, *context: Tensor
) -> Tensor:
    r"""One draw of expected gradients: :math:`(x - x') \odot \nabla m(x' + \alpha (x - x'))`.

    captum's ``GradientShap`` estimates the same mean, but draws cells and :math:`\alpha` from
    NumPy's global random state and differentiates cell by cell. Here the caller draws them, and
    one backward pass gives the gradients of all cells.

    Parameters
    ----------
    contrast
        What is explained.
    x, baseline
        Cells and their baselines, shape ``(n_cells, n_features)``.
    alpha
        Position on the line at which the gradient is taken, shape ``(n_cells, 1)``.
    *context
        Context of the cells, if the scorer takes one; it is the same along the line.

    Returns
    -------
    Tensor of the shape of ``x``.
    """
    point = torch.lerp(baseline, x, alpha).requires_grad_()
    # Cells are scored independently, so the gradient of the sum holds the gradient of each cell.
    (gradient,) = torch.autograd.grad(contrast(point, *context).sum(), point)
    return gradient.mul_(x - baseline)


def sum_by_minibatch(contrast: Contrast, cells: GroupedCells, paths: Paths) -> np.ndarray:
    """Sum the path attributions for each reference group, with any scorer.

    Returns
    -------
    Array of shape ``(n_reference_groups, n_features)``, groups in increasing order.
    """
    source, device = cells[contrast.source], contrast.scorer.device
    groups, number = np.unique(paths.group, return_inverse=True)
    total = torch.zeros(len(groups), cells.n_features, device=device)
    group_of = torch.from_numpy(number).to(device)
    step = min(BATCH_SIZE, rows_at_once(cells.n_features, 4))
    for start in range(0, len(paths.source_row), step):
        i = slice(start, start + step)
        baseline = cells.gather(paths.group[i], paths.row[i]).to(device)
        x = source[paths.source_row[i]].to(device)
        context = source.context(paths.source_row[i], device)
        alpha = torch.from_numpy(paths.alpha[i]).to(device)
        found = path_attributions(contrast, x, baseline, alpha, *context)
        total.index_add_(0, group_of[i], found)
    return total.cpu().double().numpy()
