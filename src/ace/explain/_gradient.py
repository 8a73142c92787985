"""What the gradient methods share: the loop over cells, directions and the reference."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from ace.explain._method import Attribution, Contrast, Method

if TYPE_CHECKING:
    from torch import Tensor

#: Values that are dense at once, over all steps and samples of a minibatch: 64 MB of float32.
MAX_VALUES = 2**24


def rows_at_once(n_features: int, n_copies: int) -> int:
    """Cells a minibatch may hold where each is expanded ``n_copies`` times."""
    return max(1, MAX_VALUES // (n_features * n_copies))


def input_gradient(contrast: Contrast, x: Tensor, *context: Tensor) -> Tensor:
    """Gradient of the contrast with respect to the features, by captum, shape of ``x``."""
    from captum.attr import Saliency

    # captum warns about inputs that do not ask for a gradient yet.
    return Saliency(contrast).attribute(
        x.detach().requires_grad_(), abs=False, additional_forward_args=context
    )


def repeated(context: tuple[Tensor, ...], n_copies: int) -> tuple[Tensor, ...]:
    """Context of copies of each cell, which follow one another."""
    return tuple(c.repeat_interleave(n_copies, 0) for c in context)


class GradientMethod(Method):
    """Mean over the source cells of an attribution that is computed cell by cell."""

    #: How often a cell is expanded while it is attributed.
    n_copies: int = 1

    #: At most so many source cells are explained; ``None``: all.
    max_cells: int | None = None

    #: Whether the sign of an attribution is the feature's direction (as a gradient's is), or a
    #: contribution for or against the group, whose direction is that of the mean difference.
    sign_is_direction: bool = True

    @abstractmethod
    def attribute(
        self, contrast: Contrast, x: Tensor, *context: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Attribute a minibatch.

        Parameters
        ----------
        contrast
            What is explained.
        x
            Source cells, shape ``(n_cells, n_features)``.
        *context
            Their context, shape ``(n_cells, n_context)``, if the scorer takes one: what stands in
            for a cell is scored in the cell's own.

        Returns
        -------
        Attributions, shape of ``x``, and each cell's completeness gap with the change that the
        attributions should sum to, shape ``(n_cells, 2)``, where the method has such a property.
        """

    def explain(self, source: int, reference: int | None) -> Attribution:
        """Explain one group."""
        contrast = Contrast(self.scorer, source, reference)
        # What the minibatches of one comparison draw, they draw from one stream.
        self._pair = (source, reference)
        self._rng = np.random.default_rng(self.seed_of(source, reference))
        rows = self.cells[source]
        explained = np.arange(len(rows))
        if self.max_cells is not None and self.max_cells < len(rows):
            rng = np.random.default_rng(self.seed_of(source, reference))
            explained = np.sort(rng.choice(len(rows), self.max_cells, replace=False))
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
                contrast, x.to(device), *rows.context(index, device)
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
