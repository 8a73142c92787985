"""Smallest perturbations that change a decision: L1 norm plus hinge loss."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

#: Argument of the hinge and its gradient, for perturbations of some rows:
#: ``(delta[rows], rows) -> (value (n,), gradient (n, n_features))``.
Gap = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

#: Newton's method is exact once it has reached the right linear piece, so a few steps suffice.
MAX_NEWTON_STEPS = 40


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
    start: Tensor | None = None,
) -> Tensor:
    r"""Minimise :math:`\lVert\delta\rVert_1 + \lambda \max(0, c(\delta))` for each row.

    A proximal-linear method: :math:`c` is linearised at the current :math:`\delta_k`, and the
    remaining convex problem is solved exactly,

    .. math::
        \min_\delta \lVert \delta \rVert_1
        + \lambda \max\bigl(0, c_k + g_k^\top (\delta - \delta_k)\bigr)
        + \tfrac{1}{2\eta} \lVert \delta - \delta_k \rVert^2 ,

    Its solution is the soft threshold
    :math:`\delta(\nu) = \mathrm{soft}(\delta_k - \eta \nu g_k, \eta)`, clipped to the box, with
    the unique multiplier :math:`0 \le \nu \le \lambda` at which the linearised hinge is zero. The
    threshold gives exact zeros and the multiplier feasibility, so neither the scale of :math:`c`
    nor a step size for :math:`\lambda` has to be tuned. Rows are independent: each has its own
    :math:`\eta`, which is reduced while the hinge is positive, and leaves the active set when its
    norm stops decreasing.

    Parameters
    ----------
    gap
        Returns :math:`c` and its gradient.
    shape
        Number of rows and of features.
    penalty
        :math:`\lambda`.
    lower, upper
        Bounds of :math:`\delta`, broadcastable to ``shape``; ``None`` for no bounds.
    step
        Initial :math:`\eta`, in units of the features.
    max_steps
        Largest number of steps.
    tol
        A row stops, once its hinge is zero, if ten steps reduce its norm by less than this share.
    device
        Device of the computation.
    start
        Initial perturbations; ``None`` for zero.

    Returns
    -------
    For each row the smallest perturbation at which the hinge was zero, or the last one if it never
    was, of shape ``shape``.
    """
    n_rows, _ = shape
    delta = torch.zeros(shape, device=device) if start is None else start.clone()
    best = torch.zeros(shape, device=device)
    best_norm = torch.full((n_rows,), torch.inf, device=device)
    eta = torch.full((n_rows, 1), float(step), device=device)
    resting = torch.zeros(n_rows, dtype=torch.bool, device=device)
    multiplier = torch.zeros(n_rows, device=device)
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
        # If the hinge is still positive, the step was too large for the linearisation.
        eta[active] *= torch.where(closed, 1.0, 0.9).unsqueeze(1)
        low = None if lower is None else lower.expand(shape)[active]
        high = None if upper is None else upper.expand(shape)[active]
        delta[active], multiplier[active] = _close(
            here, value, gradient, eta[active], multiplier[active], penalty, low, high
        )
    unsolved = torch.isinf(best_norm)
    best[unsolved] = delta[unsolved]
    return best


def _close(
    delta: Tensor,
    value: Tensor,
    gradient: Tensor,
    eta: Tensor,
    guess: Tensor,
    penalty: float,
    low: Tensor | None,
    high: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Solve the convex subproblem; return its solution and multiplier.

    The linearised hinge is decreasing, convex and piecewise linear in the multiplier. Its zero is
    found by Newton steps inside a bracket, starting at the multiplier of the previous step.
    """
    # Aim slightly beyond zero, so that rounding does not leave the hinge positive.
    close_enough = 1e-4 * (1 + value.abs())
    start = torch.linalg.vecdot(gradient, delta) - value - 2 * close_enough
    squared = gradient.square()
    first_kink = 1 / gradient.abs().amax(1).clamp_min(1e-12)
    # Slightly outside [0, penalty], so that both ends can be tried.
    below = torch.full_like(value, -1.0)
    above = torch.full_like(value, 2 * penalty)
    nu = guess.clamp(0, penalty)
    for _ in range(MAX_NEWTON_STEPS):
        moved = torch.addcmul(delta, eta * nu.unsqueeze(1), gradient, value=-1)
        moved -= moved.clamp(-eta, eta)  # the soft threshold
        free = moved != 0
        if low is not None and high is not None:
            free &= (moved > low) & (moved < high)
            moved = moved.clamp(low, high)
        left = torch.linalg.vecdot(gradient, moved) - start
        # The zero; or 0 if the hinge is zero there; or the penalty if it is still positive there.
        done = left.abs() <= close_enough
        done |= ((nu == 0) & (left <= 0)) | ((nu == penalty) & (left >= 0))
        if bool(done.all()):
            break
        is_open = left > 0
        below = torch.where(is_open, nu, below)
        above = torch.where(is_open, above, nu)
        slope = torch.linalg.vecdot(squared, free.to(squared)) * eta.squeeze(1)
        step = torch.where(slope > 0, left / slope.clamp_min(1e-12), torch.maximum(nu, first_kink))
        newton = (nu + step).clamp(0, penalty)
        halfway = (below.clamp_min(0) + above.clamp_max(penalty)) / 2
        better = torch.where((newton > below) & (newton < above), newton, halfway)
        nu = torch.where(done, nu, better)
    return moved, nu
