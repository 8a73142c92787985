"""Gradients integrated along lines from reference cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ace.explain._gradient import GradientMethod, repeated
from ace.explain._method import MethodInfo, at_least_one
from ace.explain._paths import path_attributions

if TYPE_CHECKING:
    import numpy as np

    from ace.explain._cells import GroupedCells
    from ace.explain._contrast import Contrast
    from ace.explain._scorer import GroupScorer


class ExpectedGradients(GradientMethod):
    r"""Integrated gradients, averaged over baselines that are real reference cells.

    .. math:: \mathbb{E}_{x' \sim \mathrm{reference},\, \alpha \sim U(0, 1)}
        \left[(x_i - x'_i)\,
        \frac{\partial m_s(x' + \alpha (x - x'))}{\partial x_i}\right]

    :cite:p:`erion2021expected`. They sum to the difference of the mean log-odds between source and
    reference. The relative error of that sum is reported as ``delta``; it decreases with
    ``n_samples``.

    Parameters
    ----------
    scorer, cells, random_state, per_cell
        See :class:`~ace.explain.Method`.
    n_samples
        Number of baselines per cell.
    balanced
        Draw baselines equally from all groups of the rest, not in proportion to their size.
    """

    info = MethodInfo(
        name="expected_gradients",
        computes="gradient integrated along lines from reference cells",
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
        random_state: int = 0,
        per_cell: bool = False,
        n_samples: int = 5,
        balanced: bool = False,
    ) -> None:
        super().__init__(scorer, cells, random_state=random_state, per_cell=per_cell)
        at_least_one(n_samples=n_samples)
        self.n_copies = n_samples
        self.balanced = balanced

    def attribute(
        self, contrast: Contrast, x: Tensor, context: tuple[Tensor, ...], rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Expected gradient of each cell."""
        n = len(x) * self.n_copies
        drawn = self.cells.gather(
            *self.cells.draw_reference(
                contrast.source, contrast.reference, n, rng, balanced=self.balanced
            )
        )
        baseline = drawn[torch.from_numpy(rng.permutation(n))].to(x)
        alpha = torch.from_numpy(rng.random((n, 1))).to(x)
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
