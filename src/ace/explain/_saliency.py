"""Plain gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ace.explain._gradient import GradientMethod, input_gradient
from ace.explain._method import MethodInfo

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ace.explain._contrast import Contrast


class Saliency(GradientMethod):
    r"""Mean gradient of the log-odds of the group, :math:`\partial m_s / \partial x_i`.

    The gradient measures how the score would change, not how much each gene contributes to it: a
    gene that no cell of the group expresses can have a large gradient
    (:cite:p:`simonyan2013saliency`).
    """

    info = MethodInfo(
        name="saliency",
        computes="mean gradient of the log-odds",
        paper="Simonyan et al. 2013",
        signed=True,
        needs_reference=False,
    )

    def attribute(
        self, contrast: Contrast, x: Tensor, context: tuple[Tensor, ...], rng: np.random.Generator
    ) -> tuple[Tensor, None]:
        """Gradient at each cell."""
        return input_gradient(contrast, x, context), None
