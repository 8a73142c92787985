"""Prototypes in an embedding as group scorers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ace.explain._clustering import fit_clustering
from ace.explain._frozen import device_of
from ace.explain._linear_embedding import sum_through_linear_embedding
from ace.explain._scorer import GroupScorer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from ace.explain._cells import GroupedCells
    from ace.explain._contrast import Contrast
    from ace.explain._paths import Paths
    from ace.nn import NeuralizedClustering


class EmbeddingScorer(GroupScorer):
    """A differentiable embedding, with groups as prototypes in its latent space.

    Parameters
    ----------
    embedding
        Module from ``(n_cells, n_features)``, and the context if it takes one, to
        ``(n_cells, n_latent)``.
    clustering
        The groups as prototypes in that latent space.
    groups
        Name of each group of ``clustering``.
    feature_names
        Name of each input feature.
    refits
        Whether the prototypes were fitted to the groups of the cells, so that cross-fitting fits
        them again to a part of the cells. Otherwise the scorer is judged as it is.

    Raises
    ------
    ValueError
        If the number of names differs from the number of groups of ``clustering``.
    """

    def __init__(
        self,
        embedding: nn.Module,
        clustering: NeuralizedClustering,
        groups: Sequence[str],
        feature_names: Sequence[str] | None = None,
        *,
        refits: bool = False,
    ) -> None:
        super().__init__(groups, feature_names)
        if clustering.n_groups != len(self.groups):
            raise ValueError(
                f"the clustering has {clustering.n_groups} groups, but {len(self.groups)} names "
                "were given."
            )
        self.embedding = embedding
        self.clustering = clustering
        self.refits = refits

    @property
    def n_prototypes(self) -> int:
        """Largest number of prototypes of a group."""
        return int(torch.bincount(self.clustering.group_of).max())

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        """Log-odds of each group, shape ``(n_cells, n_groups)``."""
        return self.clustering(self.embedding(x, *context))

    def score(self, cells: GroupedCells) -> list[np.ndarray]:
        """Log-odds of all cells; their coordinates are computed once for several clusterings."""
        if not self._is_plain:
            return super().score(cells)
        device = device_of(self.clustering)
        return [
            self.clustering(torch.from_numpy(z).to(device)).cpu().numpy()
            for z in cells.coordinates(self.embedding)
        ]

    def refitted(self, cells: GroupedCells) -> GroupScorer:
        """The same embedding, with as many prototypes of these cells, if they were fitted."""
        if not self.refits or not self._is_plain:
            return self
        z = cells.coordinates(self.embedding)
        codes = np.repeat(np.arange(len(z)), [len(own) for own in z])
        clustering = fit_clustering(np.concatenate(z), codes, n_prototypes=self.n_prototypes)
        return EmbeddingScorer(
            self.embedding, clustering.to(self.device), self.groups, self.feature_names
        )

    def path_attributions(
        self, contrast: Contrast, cells: GroupedCells, paths: Paths
    ) -> np.ndarray:
        """Summed path attributions; a linear embedding does not convert cells to dense."""
        if not self._is_plain or not cells.is_linear(self.embedding):
            return super().path_attributions(contrast, cells, paths)
        return sum_through_linear_embedding(
            self.embedding, self.clustering, contrast, cells, paths
        )

    @property
    def _is_plain(self) -> bool:
        """Whether log-odds are those of the clustering; subclasses may compute others."""
        return type(self).forward is EmbeddingScorer.forward
