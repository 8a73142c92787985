"""Gradients that are rectified at every ReLU."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from ace.explain._gradient import GradientMethod
from ace.explain._method import MethodInfo

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ace.explain._contrast import Contrast


class GuidedBackprop(GradientMethod):
    """Gradients that pass a ReLU only where both the gradient and the activation are positive.

    The rectified backpropagation saliency of scNym (:cite:p:`kimmel2021scnym`, Fig. 2A;
    :cite:p:`springenberg2014guided`). For a scorer without ReLU modules it is the plain gradient.
    """

    info = MethodInfo(
        name="guided_backprop",
        computes="mean gradient, rectified at every ReLU",
        paper="Springenberg et al. 2014; scNym, Fig. 2A",
        signed=True,
        needs_reference=False,
    )

    def attribute(
        self, contrast: Contrast, x: Tensor, context: tuple[Tensor, ...], rng: np.random.Generator
    ) -> tuple[Tensor, None]:
        """Rectified gradient at each cell."""
        from captum.attr import GuidedBackprop as CaptumGuidedBackprop

        with warnings.catch_warnings():
            # captum announces its own hooks on every call and removes them afterwards.
            warnings.filterwarnings("ignore", message="Setting backward hooks on ReLU")
            return CaptumGuidedBackprop(contrast).attribute(
                x.detach().requires_grad_(), additional_forward_args=context
            ), None
