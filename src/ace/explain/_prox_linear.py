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
#: A step is accepted if the objective decreases by the first share of the predicted decrease, and
#: the next one is larger if it decreases by the second.
ACCEPTED, ACCURATE = 0.1, 0.5
#: Largest step size relative to the initial one.
LARGEST_STEP = 100.0
#: Number of steps after which the progress of a row is checked.
CHECKED_EVERY = 10


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
    r"""Minimise :math:`F = \lVert\delta\rVert_1 + \lambda \max(0, c(\delta))` for each row.

    A proximal-linear method: :math:`c` is linearised at the current :math:`\delta_k`, and the
    remaining convex problem is solved exactly,

    .. math::
        \min_\delta \lVert \delta \rVert_1
        + \lambda \max\bigl(0, c_k + g_k^\top (\delta - \delta_k)\bigr)
        + \tfrac{1}{2\eta} \lVert \delta - \delta_k \rVert^2 .

    Its solution is the soft threshold
    :math:`\delta(\nu) = \mathrm{soft}(\delta_k - \eta \nu g_k, \eta)`, clipped to the box, with
    the unique multiplier :math:`0 \le \nu \le \lambda` at which the linearised hinge is zero. The
    threshold gives exact zeros and the multiplier feasibility, so neither the scale of :math:`c`
    nor a step size for :math:`\lambda` has to be tuned.

    As in a trust-region method, the solution is accepted only if it decreases the objective
    sufficiently. The step size :math:`\eta` is doubled where the linearisation predicted the
    decrease well, and halved where the solution was rejected. Here, the hinge is weighted by
    :math:`\min(\lambda, 2\nu)`: an L1 penalty above the multiplier is exact, and with a much
    larger weight, every step along a curved border would be rejected. Rows are independent: each
    has its own :math:`\eta`, and leaves the active set when :math:`F` stops decreasing.

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
        A row stops if ten steps reduce its objective by less than this share.
    device
        Device of the computation.
    start
        Initial perturbations; ``None`` for zero.

    Returns
    -------
    The perturbations with the smallest objective that was found, of shape ``shape``.
    """
    delta = torch.zeros(shape, device=device) if start is None else start.clone()
    active = torch.arange(len(delta), device=device)
    value, gradient = gap(delta, active)
    best, least = delta.clone(), delta.abs().sum(1) + penalty * value.clamp_min(0)
    checked = least.clone()
    eta = torch.full((len(delta), 1), float(step), device=device)
    multiplier, weight = torch.zeros_like(value), torch.zeros_like(value)
    for iteration in range(max_steps):
        if len(active) == 0:
            break
        here, c, g = delta[active], value[active], gradient[active]
        low = None if lower is None else lower.expand(shape)[active]
        high = None if upper is None else upper.expand(shape)[active]
        moved, nu = _close(here, c, g, eta[active], multiplier[active], penalty, low, high)
        c_moved, g_moved = gap(moved, active)
        norm = moved.abs().sum(1)

        objective = norm + penalty * c_moved.clamp_min(0)
        better = objective < least[active]
        best[active[better]], least[active[better]] = moved[better], objective[better]

        weight[active] = torch.maximum(weight[active], (2 * nu).clamp_max(penalty))
        linearised = c + torch.linalg.vecdot(g, moved - here)
        before = here.abs().sum(1) + weight[active] * c.clamp_min(0)
        predicted = before - norm - weight[active] * linearised.clamp_min(0)
        decrease = before - norm - weight[active] * c_moved.clamp_min(0)
        accepted = decrease >= ACCEPTED * predicted
        rows = active[accepted]
        delta[rows], value[rows], gradient[rows] = (
            moved[accepted],
            c_moved[accepted],
            g_moved[accepted],
        )
        multiplier[active] = nu
        factor = torch.where(decrease >= ACCURATE * predicted, 2.0, 1.0)
        eta[active] *= torch.where(accepted, factor, 0.5).unsqueeze(1)
        eta.clamp_max_(LARGEST_STEP * step)
        if iteration % CHECKED_EVERY == CHECKED_EVERY - 1:
            active = active[least[active] < (1 - tol) * checked[active]]
            checked = least.clone()
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
