"""How smallest perturbations are found, and the settings of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from ace.explain._method import at_least_one
from ace.explain._prox_linear import Gap, prox_linear

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SolverName = Literal["proximal", "subgradient"]


class Solver:
    r"""Minimise :math:`\lVert\delta\rVert_1 + \lambda \max(0, c(\delta))` for each row.

    Parameters
    ----------
    name
        ``"proximal"``: :func:`~ace.explain._prox_linear.prox_linear`; ``"subgradient"``: the
        published plain subgradient steps.
    penalty
        :math:`\lambda`.
    max_steps
        Steps at most; by default 200 proximal or the published 5000 subgradient ones.
    step_size
        First step of the proximal solver in units of the features, by default 1; or of the
        subgradient one, as published 1e-3. Of several, each is tried and every row keeps the
        smallest perturbation that closes its hinge: the problem has more than one lowest point.
    tol
        Relative decrease of the norm over ten steps at which a row rests (proximal only).

    Raises
    ------
    ValueError
        If there is no such solver or a number is out of its range.
    """

    def __init__(
        self,
        name: SolverName,
        *,
        penalty: float,
        max_steps: int | None,
        step_size: float | Sequence[float] | None,
        tol: float,
    ) -> None:
        if name not in ("proximal", "subgradient"):
            raise ValueError(f"solver must be 'proximal' or 'subgradient', got {name!r}.")
        if penalty <= 0:
            raise ValueError(f"penalty must be positive, got {penalty}.")
        at_least_one(max_steps=1 if max_steps is None else max_steps)
        proximal = name == "proximal"
        if step_size is None:
            step_size = 1.0 if proximal else 1e-3
        self.step_sizes = tuple(float(step) for step in np.atleast_1d(step_size))
        if not self.step_sizes or min(self.step_sizes) <= 0:
            raise ValueError(f"step_size must be positive, got {step_size}.")
        self._solve: Callable[..., Tensor] = prox_linear if proximal else subgradient
        self.penalty = penalty
        self.max_steps = max_steps if max_steps is not None else (200 if proximal else 5000)
        self.tol = tol

    def __call__(
        self,
        gap: Gap,
        shape: tuple[int, int],
        *,
        lower: Tensor | None,
        upper: Tensor | None,
        device: torch.device,
    ) -> Tensor:
        """Perturbations of shape ``shape``; arguments as for ``prox_linear``."""
        found = [
            self._solve(
                gap,
                shape,
                penalty=self.penalty,
                lower=lower,
                upper=upper,
                step=step,
                max_steps=self.max_steps,
                tol=self.tol,
                device=device,
            )
            for step in self.step_sizes
        ]
        if len(found) == 1:
            return found[0]
        rows = torch.arange(shape[0], device=device)
        norms = [
            delta.abs().sum(1).masked_fill(gap(delta, rows)[0] > 0, torch.inf) for delta in found
        ]
        # Where none closes the hinge, the first.
        return torch.stack(found)[torch.stack(norms).argmin(0), rows]


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
    """Published solver: fixed subgradient steps on every row, whether flipped or not.

    Arguments as for :func:`~ace.explain._prox_linear.prox_linear`; ``tol`` is not used.
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
