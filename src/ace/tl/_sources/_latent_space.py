"""Latent spaces of scvi-tools models and of models of this package that read counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ace.explain import EmbeddingScorer, fit_clustering
from ace.tl._sources._prototypes import cells_to_fit
from ace.tl._sources._source import Scored, layer_of_model, used_prototypes

if TYPE_CHECKING:
    from anndata import AnnData

    from ace.tl._comparisons import Groups


class LatentSpace:
    """The latent space of a model, with prototypes for the groups.

    Parameters
    ----------
    model
        A trained model of scvi-tools with an encoder.
    adata
        The cells.
    layer
        Layer given by the user, which must be that of the model.
    """

    expects_logarithms = False  # the adapter compares values with those of the training

    def __init__(self, model: Any, adata: AnnData, layer: str | None) -> None:
        # scvi-tools takes seconds to import, so it is imported only if it is needed.
        from ace.model.adapter import LatentSpaceAdapter

        self._adapter = LatentSpaceAdapter(model, adata)
        self.name: str = self._adapter.name
        self.matrix = self._adapter.matrix
        self.layer = layer_of_model(self._adapter.input_layer, layer)

    def unlabelled(self, groupby: str) -> Any:
        """Unlabelled category, if ``groupby`` are the labels of the model."""
        return self._adapter.unlabeled_category if self._adapter.labels_key == groupby else None

    def scorer(self, groups: Groups, n_prototypes: int | None, random_state: int) -> Scored:
        """Fit prototypes to the groups in the latent space."""
        model = self._adapter
        fit = cells_to_fit(groups, np.random.default_rng([random_state, 1]))
        clustering = fit_clustering(
            model.embed(fit),
            groups.codes[fit],
            n_prototypes=n_prototypes,
            random_state=random_state,
        )
        scorer = EmbeddingScorer(
            model.embedding, clustering, groups.names, model.genes, refits=True
        )
        n_used = used_prototypes(scorer, n_prototypes)
        return Scored(scorer.to(model.device), model.columns, n_used, model.context)
