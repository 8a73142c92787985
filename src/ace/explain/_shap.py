"""Sampled Shapley values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ace.explain._gradient import GradientMethod
from ace.explain._method import MethodInfo, at_least_one
from ace.explain._rows import rows_at_once

if TYPE_CHECKING:
    import numpy as np

    from ace.explain._cells import GroupedCells
    from ace.explain._contrast import Contrast
    from ace.explain._scorer import GroupScorer


class Shap(GradientMethod):
    """Shapley values of the log-odds, estimated by sampling orders of the features.

    captum's ``ShapleyValueSampling`` (:cite:p:`strumbelj2010shapley`,
    :cite:p:`lundberg2017shap`), with one reference cell as the baseline of each cell. It needs
    ``n_features × n_samples`` evaluations per cell, and is meant to check the cheaper methods.

    Parameters
    ----------
    scorer, cells, random_state, per_cell
        See :class:`~ace.explain.Method`.
    n_samples
        Number of orders of the features per cell.
    max_cells
        Largest number of source cells that are explained.
    """

    info = MethodInfo(
        name="shap",
        computes="sampled Shapley values against reference cells",
        paper="Štrumbelj & Kononenko 2010; Lundberg & Lee 2017",
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
        n_samples: int = 3,
        max_cells: int = 50,
    ) -> None:
        super().__init__(scorer, cells, random_state=random_state, per_cell=per_cell)
        at_least_one(n_samples=n_samples, max_cells=max_cells)
        self.n_samples = n_samples
        self.max_cells = max_cells

    def attribute(
        self, contrast: Contrast, x: Tensor, context: tuple[Tensor, ...], rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Sampled Shapley values of each cell."""
        from captum.attr import ShapleyValueSampling

        drawn = self.cells.gather(
            *self.cells.draw_reference(
                contrast.source, contrast.reference, len(x), rng, balanced=False
            )
        )
        baseline = drawn[torch.from_numpy(rng.permutation(len(x)))].to(x)
        with torch.no_grad():
            attributions = ShapleyValueSampling(contrast).attribute(
                x,
                baselines=baseline,
                additional_forward_args=context,
                n_samples=self.n_samples,
                perturbations_per_eval=min(64, rows_at_once(x.shape[1], len(x))),
            )
            change = contrast(x, *context) - contrast(baseline, *context)
        return attributions, torch.stack([attributions.sum(1) - change, change], 1)
