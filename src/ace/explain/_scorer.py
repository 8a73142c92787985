"""Group scorers: what every explanation method explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ace._listed import listed
from ace.nn import NeuralizedClustering, log_odds

if TYPE_CHECKING:
    from collections.abc import Sequence


class GroupScorer(nn.Module):
    r"""A differentiable map from features to one log-odds per group.

    ``forward`` takes a tensor of shape ``(n_cells, n_features)`` and returns
    :math:`m_c = \log p_c / (1 - p_c)`, shape ``(n_cells, n_groups)``: the log-odds of each group
    against all others, the same quantity for every scorer. Subclass it to explain anything else.

    A scorer may need to know more of a cell than its features, such as its batch or its size. Its
    ``forward`` then takes a second tensor, the *context*, of shape ``(n_cells, n_context)``, and
    the cells bring theirs: ``GroupedCells(matrices, contexts=...)``. A method changes features
    only. Whatever it makes of a cell, a point on the way from a baseline or a perturbed copy, is
    scored in the cell's own context, and nothing is attributed to that.

    Parameters
    ----------
    groups
        Name of each group, in the order of the columns.
    feature_names
        Name of each feature that ``forward`` expects, in its order; ``None`` where features have
        no names (pixels).

    Raises
    ------
    ValueError
        If there are fewer than two groups or a name occurs twice.
    """

    def __init__(self, groups: Sequence[str], feature_names: Sequence[str] | None = None) -> None:
        super().__init__()
        self.groups = tuple(str(g) for g in groups)
        self.feature_names = None if feature_names is None else tuple(feature_names)
        if len(self.groups) < 2 or len(set(self.groups)) < len(self.groups):
            raise ValueError(
                f"expected two or more different group names, got {listed(self.groups)}."
            )

    @property
    def device(self) -> torch.device:
        """Where the scorer computes: the device of its first parameter or buffer."""
        for tensor in (*self.parameters(), *self.buffers()):
            return tensor.device
        return torch.device("cpu")


class ClassifierScorer(GroupScorer):
    """A classifier as a group scorer.

    Parameters
    ----------
    module
        Any module that maps ``(n_cells, n_features)``, and the context if it takes one, to softmax
        logits ``(n_cells, n_groups)`` (not to probabilities: their gradient vanishes where the
        classifier is sure).
    groups
        Name of each of the module's outputs.
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


class EmbeddingScorer(GroupScorer):
    """Any differentiable embedding with a clustering on top.

    Parameters
    ----------
    embedding
        Module that maps ``(n_cells, n_features)``, and the context if it takes one, to
        ``(n_cells, n_latent)``.
    clustering
        The groups as prototypes in that latent space.
    groups
        Name of each group of ``clustering``.
    feature_names
        Name of each input feature.

    Raises
    ------
    ValueError
        If the number of names is not the clustering's number of groups.
    """

    def __init__(
        self,
        embedding: nn.Module,
        clustering: NeuralizedClustering,
        groups: Sequence[str],
        feature_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(groups, feature_names)
        if clustering.n_groups != len(self.groups):
            raise ValueError(
                f"the clustering has {clustering.n_groups} groups, but {len(self.groups)} names "
                "were given."
            )
        self.embedding = embedding
        self.clustering = clustering

    @property
    def n_prototypes(self) -> int:
        """Most prototypes that a group has."""
        return int(torch.bincount(self.clustering.group_of).max())

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        """Log-odds of each group, shape ``(n_cells, n_groups)``."""
        return self.clustering(self.embedding(x, *context))
