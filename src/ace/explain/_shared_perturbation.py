"""One perturbation for several cells: L1 norm plus the mean of their hinges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from ace.explain._prox_linear import Gap

#: Widths over which the corner of each hinge is rounded, in units of the log-odds. The last
#: problem is the original one.
WIDTHS = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.0)
#: Entries below one of these shares of the largest one are set to zero if this increases the
#: objective by less than the tolerance (a share of it).
NEGLIGIBLE, TOLERANCE = (0.1, 0.03, 0.01, 3e-3, 1e-3, 1e-4), 1e-3


def shared_perturbation(
    gaps: Callable[[Tensor], tuple[Tensor, Tensor]],
    solve: Callable[..., Tensor],
    n_features: int,
    penalty: float,
) -> Tensor:
    r"""Minimise :math:`\lVert\delta\rVert_1 + \tfrac{\lambda}{n} \sum_i \max(0, c_i(\delta))`.

    The mean of the hinges of :math:`n` cells has as many corners. Steps that rely on one
    linearisation become very small there, far from the minimum. The hinges are therefore replaced
    by smooth ones, :math:`c^2 / 2w` for :math:`0 \le c \le w`, and :math:`w` decreases from one
    problem to the next, which starts at the solution of the one before. Wide corners also have
    fewer local minima.

    Parameters
    ----------
    gaps
        Returns :math:`c_i` of each cell, ``(n_cells,)``, and their gradients,
        ``(n_cells, n_features)``, for a perturbation of shape ``(1, n_features)``.
    solve
        Minimises :math:`\lVert\delta\rVert_1 + \lambda \max(0, c(\delta))`, given :math:`c`, the
        shape of :math:`\delta` and ``start=``.
    n_features
        Number of features.
    penalty
        :math:`\lambda`.

    Returns
    -------
    The perturbation, shape ``(1, n_features)``.
    """
    delta: Tensor | None = None
    for width in WIDTHS:
        delta = solve(mean_hinge(gaps, width), (1, n_features), start=delta)
    assert delta is not None
    return _without_negligible(delta, mean_hinge(gaps, 0.0), penalty)


def mean_hinge(gaps: Callable[[Tensor], tuple[Tensor, Tensor]], width: float = 0.0) -> Gap:
    """Mean over cells of the hinge, with a corner of the given width, and its gradient."""

    def gap(delta: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        values, gradients = gaps(delta)
        if width == 0:
            hinge, slope = values.clamp_min(0), (values > 0).to(values)
        else:
            slope = (values / width).clamp(0, 1)
            hinge = slope * (values - slope * width / 2)
        return hinge.mean()[None], (slope @ gradients)[None] / len(values)

    return gap


def _without_negligible(delta: Tensor, gap: Gap, penalty: float) -> Tensor:
    """Set the smallest entries to zero: very small steps cannot remove all that are not needed."""
    rows = torch.arange(1, device=delta.device)

    def objective(candidate: Tensor) -> float:
        return float(candidate.abs().sum() + penalty * gap(candidate, rows)[0].clamp_min(0))

    highest = (1 + TOLERANCE) * objective(delta)
    for share in NEGLIGIBLE:
        candidate = torch.where(delta.abs() < share * delta.abs().max(), 0.0, delta)
        if objective(candidate) <= highest:
            return candidate
    return delta
