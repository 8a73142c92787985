"""Embeddings provided by the user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ace import _checks
from ace._threads import seeded
from ace.explain import EmbeddingScorer, fit_clustering
from ace.explain._frozen import device_of, frozen
from ace.explain._rows import BATCH_SIZE
from ace.tl._sources._given_scorer import columns_of
from ace.tl._sources._probe import dense_rows, probe
from ace.tl._sources._prototypes import cells_to_fit
from ace.tl._sources._source import Scored, used_prototypes

if TYPE_CHECKING:
    from anndata import AnnData

    from ace.tl._comparisons import Groups


class GivenEmbedding:
    """A module that embeds cells × genes in a latent space, with prototypes for the groups.

    Parameters
    ----------
    module
        The module. Its attribute ``feature_names``, if there is one, are its genes.
    adata
        The cells.
    layer
        Layer to read; ``None`` for ``adata.X``.
    """

    expects_logarithms = False  # custom modules may expect any values

    def __init__(self, module: torch.nn.Module, adata: AnnData, layer: str | None) -> None:
        self.name = type(module).__name__
        self.layer = layer
        self._module, self._adata = module, adata

    @property
    def matrix(self) -> Any:
        """Expression that is explained, all cells × all genes."""
        return _checks.matrix_of(self._adata, self.layer)

    def unlabelled(self, groupby: str) -> Any:
        """Return ``None``: all categories are groups."""
        return None

    def scorer(self, groups: Groups, n_prototypes: int | None, random_state: int) -> Scored:
        """Fit prototypes to the groups in the latent space."""
        module = self._module
        columns = columns_of(getattr(module, "feature_names", None), self._adata, "the embedding")
        probe(module, self.matrix, groups, columns, output="dimensions")
        fit = cells_to_fit(groups, np.random.default_rng([random_state, 1]))
        clustering = fit_clustering(
            self._embed(fit, columns),
            groups.codes[fit],
            n_prototypes=n_prototypes,
            random_state=random_state,
        ).to(device_of(module))
        genes = self._adata.var_names[columns]
        scorer = EmbeddingScorer(module, clustering, groups.names, genes, refits=True)
        return Scored(scorer, columns, used_prototypes(scorer, n_prototypes))

    def _embed(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Latent representation of cells, in increasing order of rows."""
        matrix, device = self.matrix, device_of(self._module)
        parts = []
        with torch.no_grad(), frozen(self._module), seeded(0, device):
            for start in range(0, len(rows), BATCH_SIZE):
                x = dense_rows(matrix, rows[start : start + BATCH_SIZE], columns)
                parts.append(self._module(x.to(device)).cpu().numpy())
        z = np.concatenate(parts)
        bad = int((~np.isfinite(z)).any(1).sum())
        if bad:
            raise ValueError(
                f"{self.name} returns NaN or infinite values for {bad} of {len(z)} cells."
            )
        return z
