"""Smallest perturbations that move a cell out of its group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from ace._checks._arguments import number, one_of
from ace._warn import warn
from ace.explain._method import Method, MethodInfo, is_range
from ace.explain._solver import Solver, SolverName
from ace.nn._clamp import clamp

if TYPE_CHECKING:
    from ace.explain._attribution import Attribution
    from ace.explain._cells import GroupedCells
    from ace.explain._scorer import GroupScorer

#: Number of values of the perturbations solved for together, which fit in the cache of a core.
CACHED_VALUES = 2**18


class Adversarial(Method):
    r"""The smallest change of expression that moves a cell out of its group.

    .. math::
        \min_\delta \lVert \delta \rVert_1
        + \lambda \max\bigl(0, \alpha + m_s(x + \delta) - m_t(x + \delta)\bigr)

    against a group :math:`t` (ACE Eq. 7, Kratos Eq. 13), or with
    :math:`\max_{t \neq s} m_t` instead of :math:`m_t` against the rest (ACE Eq. 8, Kratos Eq. 12).
    The score of a gene is the mean of :math:`\lvert \delta_i \rvert` over the cells. Genes whose
    expression is decreased are enriched in the group, the others are depleted.

    Parameters
    ----------
    scorer, cells, random_state, per_cell
        See :class:`~ace.explain.Method`; individual cells get :math:`-\delta`.
    solver
        ``"proximal"`` (a proximal-linear method, with exact zeros) or ``"subgradient"`` (the
        published plain subgradient steps, for comparison).
    penalty
        Weight :math:`\lambda` of the hinge, 100 as published.
    margin
        Margin :math:`\alpha` in the log-odds, 1 as published.
    shared
        Use one perturbation for all cells of the group, as in the text of ACE, with the mean of
        their hinges, instead of one per cell, as in the published code. The hinges are smoothed
        first, less and less, because their mean has many corners.
    bounds
        Bounds of perturbed values: ``"observed"`` (the range of each feature over the cells), a
        pair of numbers (``(0, 1)`` for images), or ``None`` (no bounds).
    output
        Explain the ``"logit"`` or, like the published code of Kratos, the ``"probability"``, whose
        gradient vanishes where the scorer is confident.
    only_correct
        Explain only cells that the scorer assigns to their group (Kratos, Algorithm 1).
    max_steps
        Largest number of steps of the solver; by default 200 (proximal, for each of the problems
        of ``shared``) or 5000 (subgradient, as published).
    step_size
        Step size in units of the features; by default 1e-3 (subgradient, as published), or
        initially 1, then adapted (proximal).
    tol
        Relative decrease of the objective over ten steps below which a cell is finished
        (proximal).
    """

    info = MethodInfo(
        name="adversarial",
        computes="smallest L1 perturbation that changes the group",
        paper="ACE, Eq. 7-8; Kratos, Eq. 12-13",
        signed=True,
        needs_reference=False,
        revision=2,
    )

    def __init__(
        self,
        scorer: GroupScorer,
        cells: GroupedCells,
        *,
        random_state: int = 0,
        per_cell: bool = False,
        solver: SolverName = "proximal",
        penalty: float = 100.0,
        margin: float = 1.0,
        shared: bool = False,
        bounds: Literal["observed"] | tuple[float, float] | None = "observed",
        output: Literal["logit", "probability"] = "logit",
        only_correct: bool = True,
        max_steps: int | None = None,
        step_size: float | None = None,
        tol: float = 1e-4,
    ) -> None:
        super().__init__(scorer, cells, random_state=random_state, per_cell=per_cell)
        self.solver = Solver(
            solver, penalty=penalty, max_steps=max_steps, step_size=step_size, tol=tol
        )
        one_of(output, "output", ("logit", "probability"))
        number(margin, "margin")
        self.margin = margin
        self.shared = shared
        self.output = output
        self.only_correct = only_correct
        self._range = self._bounds(bounds)

    def _bounds(self, bounds: Any) -> tuple[Tensor, Tensor] | None:
        if bounds is None:
            return None
        if isinstance(bounds, str) and bounds == "observed":
            low, high = self.cells.feature_range
        elif is_range(bounds):
            low, high = map(torch.tensor, bounds)
        else:
            raise ValueError(
                "bounds must be 'observed', None, or a pair of numbers (lowest, highest), got "
                f"{bounds!r:.60}."
            )
        return low.to(self.scorer.device).float(), high.to(self.scorer.device).float()

    def explain(self, source: int, reference: int | None) -> Attribution:
        """Perturb the cells of one group."""
        rows = self.cells[source]
        correct = self._correct(source)
        delta = np.zeros((len(rows), rows.n_features), dtype=np.float32)
        margin_left = np.full(len(rows), np.inf)
        n_rows = len(correct) if self.shared else max(1, CACHED_VALUES // rows.n_features)
        for start in range(0, len(correct), n_rows):
            index = correct[start : start + n_rows]
            x = rows[index].to(self.scorer.device)
            context = rows.context(index, self.scorer.device)
            found = self._perturb(x, source, reference, *context)
            delta[index] = found.cpu().numpy()
            with torch.no_grad():
                margin_left[index] = (
                    self._gap(self._clip(x, found), source, reference, *context).cpu().numpy()
                )
        explained = delta[correct]
        size = np.abs(explained)
        diagnostics = {
            "n_cells": float(len(correct)),
            "flip_rate": float(np.mean(margin_left[correct] < 0)),
            "l1": float(np.median(size.sum(1))),
            "n_features": float(np.median((size > 0).sum(1))),
        }
        return self.attribution(
            size.mean(0),
            -explained.mean(0),
            source,
            reference,
            per_cell=-delta if self.per_cell else None,
            diagnostics=diagnostics,
        )

    def _correct(self, source: int) -> np.ndarray:
        """Rows of the cells to explain."""
        rows = self.cells[source]
        if not self.only_correct:
            return np.arange(len(rows))
        assigned = self.cells.log_odds(self.scorer)[source].argmax(1)
        correct = np.flatnonzero(assigned == source)
        if len(correct) == 0:
            warn(
                f"the scorer assigns none of the cells of {self.scorer.groups[source]!r} to that "
                "group, so all of its cells are explained. Use more prototypes or another "
                "embedding.",
            )
            return np.arange(len(rows))
        return correct

    def _gap(self, x: Tensor, source: int, reference: int | None, *context: Tensor) -> Tensor:
        """Difference that must become negative, shape ``(n_cells,)``."""
        m = self.scorer(x, *context)
        if self.output == "probability":
            m = torch.sigmoid(m)
        if reference is not None:
            return m[:, source] - m[:, reference]
        own = torch.zeros_like(m, dtype=torch.bool)
        own[:, source] = True
        return m[:, source] - m.masked_fill(own, -torch.inf).amax(1)

    def _perturb(self, x: Tensor, source: int, reference: int | None, *context: Tensor) -> Tensor:
        """Smallest perturbations of these cells, clipped to the bounds of each cell."""

        def gap(delta: Tensor, active: Tensor | slice) -> tuple[Tensor, Tensor]:
            delta = delta.detach().requires_grad_()
            own = tuple(c[active] for c in context)
            moved = self._clip(x[active], delta)
            value = self.margin + self._gap(moved, source, reference, *own)
            (gradient,) = torch.autograd.grad(value.sum(), delta)
            return value.detach(), gradient

        lower = upper = None
        if self._range is not None:
            lower, upper = self._range[0] - x, self._range[1] - x
        if not self.shared:
            shape = (len(x), x.shape[1])
            found = self.solver(gap, shape, lower=lower, upper=upper, device=x.device)
            return self._clip(x, found) - x
        if lower is not None and upper is not None:
            # A feature may change as far as any cell permits; each cell is clipped separately.
            lower, upper = lower.amin(0, keepdim=True), upper.amax(0, keepdim=True)
        found = self.solver.shared(
            lambda delta: gap(delta.expand_as(x), slice(None)),
            x.shape[1],
            lower=lower,
            upper=upper,
            device=x.device,
        )
        return self._clip(x, found) - x

    def _clip(self, x: Tensor, delta: Tensor) -> Tensor:
        moved = x + delta
        if self._range is None:
            return moved
        return clamp(moved, *self._range)
