"""Classifiers as group scorers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ace.explain._scorer import GroupScorer
from ace.nn import log_odds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn


class ClassifierScorer(GroupScorer):
    """A classifier as a group scorer.

    Parameters
    ----------
    module
        Module from ``(n_cells, n_features)``, and the context if it takes one, to softmax logits
        ``(n_cells, n_groups)``. It must not return probabilities, whose gradient vanishes where
        the classifier is confident.
    groups
        Name of each output.
    feature_names
        Name of each input feature.

    Examples
    --------
    >>> import torch
    >>> from ace.explain import ClassifierScorer
    >>> scorer = ClassifierScorer(torch.nn.Linear(3, 2), groups=["B", "T"])
    >>> scorer(torch.zeros(5, 3)).shape
    torch.Size([5, 2])
    """

    def __init__(
        self, module: nn.Module, groups: Sequence[str], feature_names: Sequence[str] | None = None
    ) -> None:
        super().__init__(groups, feature_names)
        self.module = module

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        """Log-odds of each group, shape ``(n_cells, n_groups)``."""
        return log_odds(self.module(x, *context))
