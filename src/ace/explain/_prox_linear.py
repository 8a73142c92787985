"""Smallest perturbations that change a decision: an L1 norm with a hinge."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

#: Gives the hinge's argument and its gradient at perturbations of some rows:
#: ``(delta[rows], rows) -> (value (n,), gradient (n, n_features))``.
Gap = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def prox_linear(
    gap: Gap,
    shape: tuple[int, int],
    *,
    penalty: float,
    lower: Tensor | None,
    upper: Tensor | None,
    step: float,
    max_steps: int,
    tol: float,
    device: torch.device,
) -> Tensor:
    r"""Minimise :math:`\lVert\delta\rVert_1 + \lambda \max(0, c(\delta))` for each row.

    A proximal-linear method: :math:`c` is linearised at the current :math:`\delta_k` and the convex
    rest is solved exactly,

    .. math::
        \min_\delta \lVert \delta \rVert_1
        + \lambda \max\bigl(0, c_k + g_k^\top (\delta - \delta_k)\bigr)
        + \tfrac{1}{2\eta} \lVert \delta - \delta_k \rVert^2 ,

    whose solution is the soft threshold
    :math:`\delta(\nu) = \mathrm{soft}(\delta_k - \eta \nu g_k, \eta)`, clipped to the box, with the
    one multiplier :math:`0 \le \nu \le \lambda` at which the linearised hinge closes. Exact zeros
    come from the threshold and feasibility from the multiplier, so neither the scale of :math:`c`
    nor a step size for :math:`\lambda` has to be tuned. Rows move on their own; each keeps its own
    :math:`\eta`, which shrinks when the hinge stays open, and leaves the active set when its norm
    no longer falls.

    Parameters
    ----------
    gap
        The function :math:`c` and its gradient.
    shape
        Rows and features.
    penalty
        :math:`\lambda`.
    lower, upper
        Box for :math:`\delta`, broadcastable to ``shape``; ``None``: free.
    step
        First :math:`\eta`, in units of the features.
    max_steps
        Steps at most.
    tol
        A closed row rests when ten steps lower its norm by less than this share.
    device
        Where to compute.

    Returns
    -------
    For each row the perturbation of smallest norm whose hinge was closed, or the last one where
    none was, shape ``shape``.
    """
    n_rows, _ = shape
    delta = torch.zeros(shape, device=device)
    best = torch.zeros(shape, device=device)
    best_norm = torch.full((n_rows,), torch.inf, device=device)
    eta = torch.full((n_rows, 1), step, device=device)
    resting = torch.zeros(n_rows, dtype=torch.bool, device=device)
    checked = best_norm.clone()
    for iteration in range(max_steps):
        active = torch.nonzero(~resting).flatten()
        if len(active) == 0:
            break
        here = delta[active]
        value, gradient = gap(here, active)
        closed = value <= 0
        norm = here.abs().sum(1)
        better = closed & (norm < best_norm[active])
        best[active[better]] = here[better]
        best_norm[active[better]] = norm[better]
        if iteration % 10 == 9:
            rested = best_norm[active] > (1 - tol) * checked[active]
            resting[active[rested & torch.isfinite(best_norm[active])]] = True
            checked = best_norm.clone()
        # Closing on the wrong side of the linearisation means that it reached too far.
        eta[active] *= torch.where(closed, 1.0, 0.9).unsqueeze(1)
        low = None if lower is None else lower.expand(shape)[active]
        high = None if upper is None else upper.expand(shape)[active]
        delta[active] = _close(here, value, gradient, eta[active], penalty, low, high)
    unsolved = torch.isinf(best_norm)
    best[unsolved] = delta[unsolved]
    return best


def _close(
    delta: Tensor,
    value: Tensor,
    gradient: Tensor,
    eta: Tensor,
    penalty: float,
    low: Tensor | None,
    high: Tensor | None,
) -> Tensor:
    """Solve the convex subproblem: the multiplier by safeguarded Newton steps."""

    def move(nu: Tensor) -> Tensor:
        moved = delta - eta * nu.unsqueeze(1) * gradient
        # soft(v, eta) = v - clip(v, -eta, eta)
        moved = moved - torch.minimum(torch.maximum(moved, -eta), eta)
        if low is not None:
            moved = torch.maximum(moved, low)
        if high is not None:
            moved = torch.minimum(moved, high)
        return moved

    below = torch.zeros_like(value)
    above = torch.full_like(value, penalty)
    nu = torch.zeros_like(value)
    moved = move(nu)
    for _ in range(30):
        # The linearised hinge is decreasing and piecewise linear in the multiplier.
        left = value + (gradient * (moved - delta)).sum(1)
        open_ = left > 0
        below = torch.where(open_, nu, below)
        above = torch.where(open_, above, nu)
        if bool(((left.abs() <= 1e-4 * (1 + value.abs())) | (above - below <= 1e-6 * above)).all()):
            break
        free = moved != 0
        if low is not None:
            free &= moved > low
        if high is not None:
            free &= moved < high
        slope = (gradient.square() * free).sum(1) * eta.squeeze(1)
        newton = nu + left / slope.clamp_min(1e-12)
        inside = (newton > below) & (newton < above)
        nu = torch.where(inside, newton, (below + above) / 2)
        moved = move(nu)
    return moved
