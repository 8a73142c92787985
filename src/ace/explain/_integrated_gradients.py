"""Gradients integrated along the line from a constant baseline."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ace._checks._arguments import number
from ace.explain._gradient import GradientMethod
from ace.explain._method import MethodInfo, at_least_one

if TYPE_CHECKING:
    import numpy as np

    from ace.explain._cells import GroupedCells
    from ace.explain._contrast import Contrast
    from ace.explain._scorer import GroupScorer


class IntegratedGradients(GradientMethod):
    r"""Gradients integrated along the line from a baseline :math:`x'` (Eq. 9 of Kratos).

    .. math:: (x_i - x'_i) \int_0^1 \frac{\partial m_s(x' + \alpha (x - x'))}{\partial x_i} d\alpha

    They sum to :math:`m_s(x) - m_s(x')`; the mean relative error of that sum is reported as
    ``delta``.

    Parameters
    ----------
    scorer, cells, random_state, per_cell
        See :class:`~ace.explain.Method`.
    n_steps
        Number of points of the integral; 20 as published.
    baseline
        Value of every feature at the baseline; 0 (not expressed) as published.
    """

    info = MethodInfo(
        name="integrated_gradients",
        computes="gradient integrated from a constant baseline",
        paper="Sundararajan et al. 2017; Kratos, Eq. 9",
        signed=True,
        needs_reference=False,
    )
    sign_is_direction = False

    def __init__(
        self,
        scorer: GroupScorer,
        cells: GroupedCells,
        *,
        random_state: int = 0,
        per_cell: bool = False,
        n_steps: int = 20,
        baseline: float = 0.0,
    ) -> None:
        super().__init__(scorer, cells, random_state=random_state, per_cell=per_cell)
        at_least_one(n_steps=n_steps)
        number(baseline, "baseline", -math.inf)
        self.n_copies = n_steps
        self.baseline = baseline

    def attribute(
        self, contrast: Contrast, x: Tensor, context: tuple[Tensor, ...], rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Integrated gradient of each cell."""
        from captum.attr import IntegratedGradients as CaptumIntegratedGradients

        start = torch.full_like(x, self.baseline)
        attributions, gap = CaptumIntegratedGradients(contrast).attribute(
            x,
            baselines=start,
            additional_forward_args=context,
            n_steps=self.n_copies,
            return_convergence_delta=True,
        )
        with torch.no_grad():
            change = contrast(x, *context) - contrast(start, *context)
        return attributions, torch.stack([gap, change], 1)
