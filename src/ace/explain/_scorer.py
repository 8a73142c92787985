"""Group scorers: the functions that are explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from ace._listed import listed
from ace.explain._paths import sum_by_minibatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ace.explain._cells import GroupedCells
    from ace.explain._contrast import Contrast
    from ace.explain._paths import Paths
    from ace.explain._rows import Rows


class GroupScorer(nn.Module):
    r"""A differentiable map from the features of a cell to the log-odds of each group.

    ``forward`` takes a tensor of shape ``(n_cells, n_features)`` and returns
    :math:`m_c = \log p_c / (1 - p_c)`, shape ``(n_cells, n_groups)``: the log-odds of each group
    against all others. Cells must be scored independently of one another. Subclass it to explain
    a function of your own, and pass an instance to ``ace.tl.explain(..., model=scorer)``.

    ``forward`` may take a second tensor, the *context*, of shape ``(n_cells, n_context)``: input
    other than features, such as the batch or the total count of a cell. The cells supply it,
    ``GroupedCells(matrices, contexts=...)``. Methods change features only; a baseline or a
    perturbed copy of a cell is scored in the context of the cell, and context is not attributed.

    Parameters
    ----------
    groups
        Name of each group, in the order of the columns of the output.
    feature_names
        Name of each input feature, in order; ``None`` if features have no names (pixels).

    Raises
    ------
    ValueError
        If there are fewer than two groups, or a name occurs twice.

    Examples
    --------
    Cells are called B cells if CD79A is higher than CD3D:

    >>> import torch
    >>> from ace.explain import GroupScorer
    >>> class Difference(GroupScorer):
    ...     def forward(self, x):
    ...         b = x[:, 0] - x[:, 1]
    ...         return torch.stack([b, -b], dim=1)
    >>> scorer = Difference(["B", "T"], feature_names=["CD79A", "CD3D"])
    >>> scorer(torch.tensor([[3.0, 1.0]]))
    tensor([[ 2., -2.]])
    """

    def __init__(self, groups: Sequence[str], feature_names: Sequence[str] | None = None) -> None:
        super().__init__()
        self.groups = tuple(str(g) for g in groups)
        self.feature_names = None if feature_names is None else tuple(feature_names)
        if len(self.groups) < 2 or len(set(self.groups)) < len(self.groups):
            raise ValueError(
                f"groups must be two or more different names, got {listed(self.groups)}."
            )

    @property
    def device(self) -> torch.device:
        """Device of the first parameter or buffer; the CPU if there is none."""
        for tensor in (*self.parameters(), *self.buffers()):
            return tensor.device
        return torch.device("cpu")

    def score(self, cells: GroupedCells) -> list[np.ndarray]:
        """Log-odds of all cells, computed in minibatches.

        Override it, as :class:`EmbeddingScorer` does, if there is a faster way. Called in
        evaluation mode and without gradients; :meth:`GroupedCells.log_odds` caches the result.

        Returns
        -------
        For each group of ``cells`` an array of shape ``(n_cells, n_groups)``.
        """
        return [self._score_rows(rows) for rows in cells.groups]

    def _score_rows(self, rows: Rows) -> np.ndarray:
        scored, start = [], 0
        for x in rows.batches():
            here = slice(start, start := start + len(x))
            log_odds = self(x.to(self.device), *rows.context(here, self.device))
            scored.append(log_odds.cpu().numpy())
        return np.concatenate(scored)

    def refitted(self, cells: GroupedCells) -> GroupScorer:
        """The scorer, fitted to these cells only, for cross-fitting.

        Override it, as :class:`EmbeddingScorer` does, if fitting is quick. The default returns the
        scorer as it is.
        """
        return self

    def path_attributions(
        self, contrast: Contrast, cells: GroupedCells, paths: Paths
    ) -> np.ndarray:
        r"""Sum :math:`(x - x') \odot \nabla m(x' + \alpha (x - x'))` over paths between cells.

        Override it, as :class:`EmbeddingScorer` does, if there is a faster way.

        Returns
        -------
        Array of shape ``(n_reference_groups, n_features)``, with the reference groups of the
        paths in increasing order.
        """
        return sum_by_minibatch(contrast, cells, paths)
