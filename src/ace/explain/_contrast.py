"""The number per cell that is explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from ace.explain._scorer import GroupScorer


class Contrast(nn.Module):
    r"""The number per cell that is explained.

    :math:`m_s` for one group against the rest, :math:`m_s - m_t` for one group against another.
    """

    def __init__(self, scorer: GroupScorer, source: int, reference: int | None) -> None:
        super().__init__()
        self.scorer = scorer
        self.source = source
        self.reference = reference

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        """Shape ``(n_cells, n_features)`` → ``(n_cells,)``."""
        return self.of_log_odds(self.scorer(x, *context))

    def of_log_odds(self, m: Tensor) -> Tensor:
        """Shape ``(n_cells, n_groups)`` → ``(n_cells,)``."""
        if self.reference is None:
            return m[:, self.source]
        return m[:, self.source] - m[:, self.reference]
