"""Base class of the gradient methods: the loop over cells, and the direction of features."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from ace.explain._contrast import Contrast
from ace.explain._method import Method
from ace.explain._rows import rows_at_once

if TYPE_CHECKING:
    from torch import Tensor

    from ace.explain._attribution import Attribution


def input_gradient(contrast: Contrast, x: Tensor, context: tuple[Tensor, ...]) -> Tensor:
    """Gradient of the contrast with respect to the features, by captum, shape of ``x``."""
    from captum.attr import Saliency

    # captum warns about inputs that do not require a gradient yet.
    return Saliency(contrast).attribute(
        x.detach().requires_grad_(), abs=False, additional_forward_args=context
    )


def repeated(context: tuple[Tensor, ...], n_copies: int) -> tuple[Tensor, ...]:
    """Context of ``n_copies`` consecutive copies of each cell."""
    return tuple(c.repeat_interleave(n_copies, 0) for c in context)


class GradientMethod(Method):
    """Mean over the source cells of an attribution that is computed cell by cell."""

    #: Number of copies that each cell is expanded to.
    n_copies: int = 1

    #: Largest number of source cells that are explained; ``None`` for all.
    max_cells: int | None = None

    #: Whether the sign of an attribution is the direction of the feature, as for a gradient.
    #: Otherwise it is a contribution for or against the group, and the direction is that of the
    #: mean difference.
    sign_is_direction: bool = True

    @abstractmethod
    def attribute(
        self, contrast: Contrast, x: Tensor, context: tuple[Tensor, ...], rng: np.random.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Attribute a minibatch.

        Parameters
        ----------
        contrast
            What is explained.
        x
            Source cells, shape ``(n_cells, n_features)``.
        context
            Their context, one tensor of shape ``(n_cells, n_context)``, if the scorer takes one.
            Perturbed and baseline cells are scored in the context of the source cell.
        rng
            Random number generator, shared by the minibatches of a comparison.

        Returns
        -------
        Attributions, shape of ``x``. If they should sum to a known change of the score, also the
        error of the sum and that change, shape ``(n_cells, 2)``; otherwise ``None``.
        """

    def explain(self, source: int, reference: int | None) -> Attribution:
        """Explain one group."""
        contrast = Contrast(self.scorer, source, reference)
        rng = self.rng_of(source, reference)
        rows = self.cells[source]
        explained = self._explained(source, reference)
        per_cell = (
            np.full((len(rows), rows.n_features), np.nan, np.float32) if self.per_cell else None
        )
        total = np.zeros(rows.n_features)
        gaps = []
        n_rows = rows_at_once(rows.n_features, self.n_copies)
        for start in range(0, len(explained), n_rows):
            index = explained[start : start + n_rows]
            x, device = rows[index], self.scorer.device
            attributions, gap = self.attribute(
                contrast, x.to(device), rows.context(index, device), rng
            )
            total += attributions.sum(0).cpu().double().numpy()
            if per_cell is not None:
                per_cell[index] = attributions.cpu().numpy()
            if gap is not None:
                gaps.append(gap.cpu().numpy())
        mean = total / len(explained)
        direction = mean if self.sign_is_direction else self.cells.difference(source, reference)
        diagnostics = {"n_cells": float(len(explained))}
        if gaps:
            error, change = np.abs(np.concatenate(gaps)).mean(0)
            diagnostics["delta"] = float(error / max(change, 1e-12))
        return self.attribution(
            np.abs(mean),
            direction,
            source,
            reference,
            per_cell=per_cell,
            diagnostics=diagnostics,
        )

    def _explained(self, source: int, reference: int | None) -> np.ndarray:
        """Rows of the source cells that are explained, in increasing order."""
        n_cells = len(self.cells[source])
        if self.max_cells is None or self.max_cells >= n_cells:
            return np.arange(n_cells)
        rng = self.rng_of(source, reference)
        return np.sort(rng.choice(n_cells, self.max_cells, replace=False))
