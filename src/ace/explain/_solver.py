"""The solvers for smallest perturbations, and their settings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from ace._checks._arguments import number, one_of, whole
from ace.explain._prox_linear import Gap, prox_linear

if TYPE_CHECKING:
    from collections.abc import Callable

SolverName = Literal["proximal", "subgradient"]


class Solver:
    r"""Minimise :math:`\lVert\delta\rVert_1 + \lambda \max(0, c(\delta))` for each row.

    Parameters
    ----------
    name
        ``"proximal"`` for :func:`~ace.explain._prox_linear.prox_linear`, or ``"subgradient"`` for
        the published plain subgradient steps.
    penalty
        :math:`\lambda`.
    max_steps
        Largest number of steps; by default 200 proximal steps, or 5000 subgradient steps as
        published.
    step_size
        Step size in units of the features: initially 1 by default (proximal), or 1e-3 as
        published (subgradient).
    tol
        Relative decrease of the norm over ten steps below which a row stops (proximal only).
    restarts
        Number of restarts from half of the smallest perturbation found (proximal only). The
        problem has several local minima, and a restart may find a better one.

    Raises
    ------
    ValueError
        If the solver is unknown or a number is out of range.
    """

    def __init__(
        self,
        name: SolverName,
        *,
        penalty: float,
        max_steps: int | None,
        step_size: float | None,
        tol: float,
        restarts: int = 0,
    ) -> None:
        one_of(name, "solver", ("proximal", "subgradient"))
        number(penalty, "penalty", above=True)
        whole(max_steps, "max_steps", optional=True)
        whole(restarts, "restarts", 0)
        number(step_size, "step_size", above=True, optional=True)
        number(tol, "tol")
        proximal = name == "proximal"
        self.penalty = penalty
        self.max_steps = max_steps if max_steps is not None else (200 if proximal else 5000)
        self.step_size = step_size if step_size is not None else (1.0 if proximal else 1e-3)
        self.tol = tol
        self.restarts = restarts if proximal else 0
        self._solve: Callable[..., Tensor] = prox_linear if proximal else subgradient

    def __call__(
        self,
        gap: Gap,
        shape: tuple[int, int],
        *,
        lower: Tensor | None,
        upper: Tensor | None,
        device: torch.device,
    ) -> Tensor:
        """Return perturbations of shape ``shape``; for arguments see ``prox_linear``."""
        solve = partial(
            self._solve,
            gap,
            shape,
            penalty=self.penalty,
            lower=lower,
            upper=upper,
            step=self.step_size,
            max_steps=self.max_steps,
            tol=self.tol,
            device=device,
        )
        best = solve()
        if self.restarts == 0:
            return best
        norm = _closed_norm(gap, best)
        for _ in range(self.restarts):
            other = solve(start=best / 2)
            other_norm = _closed_norm(gap, other)
            best = torch.where((other_norm < norm).unsqueeze(1), other, best)
            norm = torch.minimum(other_norm, norm)
        return best


def _closed_norm(gap: Gap, delta: Tensor) -> Tensor:
    """Norm of each perturbation; infinite where the hinge is positive."""
    value, _ = gap(delta, torch.arange(len(delta), device=delta.device))
    return delta.abs().sum(1).masked_fill(value > 0, torch.inf)


def subgradient(
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
    """Published solver: fixed subgradient steps on every row, even after it has flipped.

    For arguments see :func:`~ace.explain._prox_linear.prox_linear`; ``tol`` is ignored.
    """
    delta = torch.zeros(shape, device=device)
    rows = torch.arange(shape[0], device=device)
    for _ in range(max_steps):
        value, gradient = gap(delta, rows)
        open_ = (value > 0).unsqueeze(1)
        delta = delta - step * (delta.sign() + penalty * gradient * open_)
        if lower is not None:
            delta = torch.maximum(delta, lower)
        if upper is not None:
            delta = torch.minimum(delta, upper)
    return delta
