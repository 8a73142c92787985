"""The solvers for smallest perturbations, and their settings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from ace._checks._arguments import number, one_of, whole
from ace.explain._prox_linear import Gap, prox_linear
from ace.explain._shared_perturbation import mean_hinge, shared_perturbation

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
        Relative decrease of the objective over ten steps below which a row stops (proximal only).
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
        self.is_proximal = proximal

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
        solve = self._solve(lower, upper, device)
        best = solve(gap, shape)
        if self.restarts == 0:
            return best
        least = self._objective(gap, best)
        for _ in range(self.restarts):
            other = solve(gap, shape, start=best / 2)
            objective = self._objective(gap, other)
            best = torch.where((objective < least).unsqueeze(1), other, best)
            least = torch.minimum(objective, least)
        return best

    def shared(
        self,
        gaps: Callable[[Tensor], tuple[Tensor, Tensor]],
        n_features: int,
        *,
        lower: Tensor | None,
        upper: Tensor | None,
        device: torch.device,
    ) -> Tensor:
        """Return one perturbation for all cells, ``(1, n_features)``; see shared_perturbation."""
        solve = self._solve(lower, upper, device)
        if not self.is_proximal:
            return solve(mean_hinge(gaps), (1, n_features))
        return shared_perturbation(gaps, solve, n_features, self.penalty)

    def _solve(
        self, lower: Tensor | None, upper: Tensor | None, device: torch.device
    ) -> Callable[..., Tensor]:
        """Return a function of ``gap``, ``shape`` and the options of the solver."""
        return partial(
            prox_linear if self.is_proximal else subgradient,
            penalty=self.penalty,
            lower=lower,
            upper=upper,
            step=self.step_size,
            max_steps=self.max_steps,
            tol=self.tol,
            device=device,
        )

    def _objective(self, gap: Gap, delta: Tensor) -> Tensor:
        value, _ = gap(delta, torch.arange(len(delta), device=delta.device))
        return delta.abs().sum(1) + self.penalty * value.clamp_min(0)


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
