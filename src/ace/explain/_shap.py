"""Shapley values by sampling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ace.explain._gradient import GradientMethod, rows_at_once
from ace.explain._method import Contrast, MethodInfo, at_least_one

if TYPE_CHECKING:
    from ace.explain._cells import GroupedCells
    from ace.explain._scorer import GroupScorer


class Shap(GradientMethod):
    """Shapley values of the log-odds, by sampling orders of the features.

    captum's ``ShapleyValueSampling`` (:cite:p:`strumbelj2010shapley`,
    :cite:p:`lundberg2017shap`), each cell against one cell drawn from the reference. It takes
    ``n_features × n_samples`` evaluations a cell: a check of the cheaper methods, not a rival.

    Parameters
    ----------
    scorer, cells, seed, per_cell
        See :class:`~ace.explain.Method`.
    n_samples
        Orders of the features for each cell.
    max_cells
        Cells of the source that are explained.
    """

    info = MethodInfo(
        name="shap",
        computes="sampled Shapley values against cells of the reference",
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
        seed: int = 0,
        per_cell: bool = False,
        n_samples: int = 3,
        max_cells: int = 50,
    ) -> None:
        super().__init__(scorer, cells, seed=seed, per_cell=per_cell)
        at_least_one(n_samples=n_samples, max_cells=max_cells)
        self.n_samples = n_samples
        self.max_cells = max_cells

    def attribute(self, contrast: Contrast, x: Tensor, *context: Tensor) -> tuple[Tensor, Tensor]:
        """Sampled Shapley values of each cell."""
        from captum.attr import ShapleyValueSampling

        drawn = self.cells.gather(
            *self.cells.draw_reference(*self._pair, len(x), self._rng, balanced=False)
        )
        baseline = drawn[torch.from_numpy(self._rng.permutation(len(x)))].to(x)
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
