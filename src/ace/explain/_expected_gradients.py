"""Gradients along the lines from cells of the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ace.explain._gradient import GradientMethod, repeated
from ace.explain._method import Contrast, MethodInfo, at_least_one

if TYPE_CHECKING:
    from ace.explain._cells import GroupedCells
    from ace.explain._scorer import GroupScorer


def path_attributions(
    contrast: Contrast, x: Tensor, baseline: Tensor, alpha: Tensor, *context: Tensor
) -> Tensor:
    r"""One draw of expected gradients: :math:`(x - x') \odot \nabla m(x' + \alpha (x - x'))`.

    captum's ``GradientShap`` estimates the same mean, but draws cells and :math:`\alpha` from
    NumPy's global state, and differentiates cell by cell; here the caller draws them, and one
    pass differentiates all.

    Parameters
    ----------
    contrast
        What is explained.
    x, baseline
        Cells and their baselines, shape ``(n_cells, n_features)``.
    alpha
        Where on the line the gradient is taken, shape ``(n_cells, 1)``.
    *context
        Context of the cells, if the scorer takes one: the whole line lies in it.

    Returns
    -------
    Tensor of the shape of ``x``.
    """
    point = torch.lerp(baseline, x, alpha).requires_grad_()
    # Cells do not mix, so the gradient of the sum is the gradient of each.
    (gradient,) = torch.autograd.grad(contrast(point, *context).sum(), point)
    return gradient.mul_(x - baseline)


class ExpectedGradients(GradientMethod):
    r"""Integrated gradients, averaged over baselines that are real cells of the reference.

    .. math:: \mathbb{E}_{x' \sim \mathrm{reference},\, \alpha \sim U(0, 1)}
        \left[(x_i - x'_i)\,
        \frac{\partial m_s(x' + \alpha (x - x'))}{\partial x_i}\right]

    :cite:p:`erion2021expected`. They sum to the difference of the mean log-odds between source and
    reference; the relative gap is reported as ``delta`` (it shrinks with ``n_samples``).

    Parameters
    ----------
    scorer, cells, seed, per_cell
        See :class:`~ace.explain.Method`.
    n_samples
        Baselines for each cell.
    balanced
        Draw baselines from every group of the rest alike, not in proportion to its cells.
    """

    info = MethodInfo(
        name="expected_gradients",
        computes="gradient integrated from cells of the reference",
        paper="Erion et al. 2021; scNym, section 3.3",
        signed=True,
        needs_reference=True,
    )
    sign_is_direction = False

    def __init__(
        self,
        scorer: GroupScorer,
        cells: GroupedCells,
        *,
        seed: int = 0,
        per_cell: bool = False,
        n_samples: int = 5,
        balanced: bool = False,
    ) -> None:
        super().__init__(scorer, cells, seed=seed, per_cell=per_cell)
        at_least_one(n_samples=n_samples)
        self.n_copies = n_samples
        self.balanced = balanced

    def attribute(self, contrast: Contrast, x: Tensor, *context: Tensor) -> tuple[Tensor, Tensor]:
        """Expected gradient of each cell."""
        n = len(x) * self.n_copies
        drawn = self.cells.gather(
            *self.cells.draw_reference(*self._pair, n, self._rng, balanced=self.balanced)
        )
        baseline = drawn[torch.from_numpy(self._rng.permutation(n))].to(x)
        alpha = torch.from_numpy(self._rng.random((n, 1))).to(x)
        copies = x.repeat_interleave(self.n_copies, 0)
        with_copies = repeated(context, self.n_copies)
        by_draw = path_attributions(contrast, copies, baseline, alpha, *with_copies)
        attributions = by_draw.view(len(x), self.n_copies, -1).mean(1)
        with torch.no_grad():
            at_baselines = contrast(baseline, *with_copies).view(len(x), -1).mean(1)
            change = contrast(x, *context) - at_baselines
        gap = attributions.sum(1).mean() - change.mean()
        return attributions, torch.stack(
            [gap.expand_as(change), change.mean().expand_as(change)], 1
        )
