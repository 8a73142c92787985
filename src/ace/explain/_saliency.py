"""Plain gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ace.explain._gradient import GradientMethod, input_gradient
from ace.explain._method import Contrast, MethodInfo

if TYPE_CHECKING:
    from torch import Tensor


class Saliency(GradientMethod):
    r"""Mean gradient of the group's log-odds, :math:`\partial m_s / \partial x_i`.

    It tells what would move a cell, not what makes it what it is: a gene that no cell of the group
    expresses can have a large gradient (:cite:p:`simonyan2013saliency`).
    """

    info = MethodInfo(
        name="saliency",
        computes="mean gradient of the log-odds",
        paper="Simonyan et al. 2013",
        signed=True,
        needs_reference=False,
    )

    def attribute(self, contrast: Contrast, x: Tensor, *context: Tensor) -> tuple[Tensor, None]:
        """Gradient at each cell."""
        return input_gradient(contrast, x, *context), None
