"""Gradients averaged over noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ace._checks._arguments import number
from ace.explain._gradient import GradientMethod, input_gradient, repeated
from ace.explain._method import MethodInfo, at_least_one

if TYPE_CHECKING:
    import numpy as np

    from ace.explain._cells import GroupedCells
    from ace.explain._contrast import Contrast
    from ace.explain._scorer import GroupScorer


class SmoothGrad(GradientMethod):
    r"""Gradients averaged over noisy copies of each cell (Eq. 8 of the Kratos paper).

    .. math:: \frac{1}{n} \sum_{k=1}^{n} \nabla m_s\bigl(x + \mathcal{N}(0, \sigma^2)\bigr)

    Parameters
    ----------
    scorer, cells, random_state, per_cell
        See :class:`~ace.explain.Method`.
    n_samples
        Number of noisy copies per cell; 20 as published.
    noise
        Standard deviation :math:`\sigma` of the noise, relative to that of the values of the cell;
        0.2 as published.
    """

    info = MethodInfo(
        name="smoothgrad",
        computes="gradient averaged over noisy copies of each cell",
        paper="Smilkov et al. 2017; Kratos, Eq. 8",
        signed=True,
        needs_reference=False,
    )

    def __init__(
        self,
        scorer: GroupScorer,
        cells: GroupedCells,
        *,
        random_state: int = 0,
        per_cell: bool = False,
        n_samples: int = 20,
        noise: float = 0.2,
    ) -> None:
        super().__init__(scorer, cells, random_state=random_state, per_cell=per_cell)
        at_least_one(n_samples=n_samples)
        number(noise, "noise")
        self.n_copies = n_samples
        self.noise = noise

    def attribute(
        self, contrast: Contrast, x: Tensor, context: tuple[Tensor, ...], rng: np.random.Generator
    ) -> tuple[Tensor, None]:
        """Mean gradient of the noisy copies of each cell."""
        sigma = self.noise * x.std(1, keepdim=True).repeat_interleave(self.n_copies, 0)
        copies = x.repeat_interleave(self.n_copies, 0)
        # Drawn by PyTorch on the device, which the base class has seeded.
        noisy = copies + sigma * torch.randn_like(copies)
        gradients = input_gradient(contrast, noisy, repeated(context, self.n_copies))
        return gradients.view(len(x), self.n_copies, -1).mean(1), None
