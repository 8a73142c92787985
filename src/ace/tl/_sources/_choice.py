"""The source for each kind of ``model``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from ace import _checks
from ace.explain import GroupScorer
from ace.tl._sources._given_embedding import GivenEmbedding
from ace.tl._sources._given_scorer import GivenScorer
from ace.tl._sources._latent_space import LatentSpace
from ace.tl._sources._own_model import OwnModel
from ace.tl._sources._principal_components import PrincipalComponents

if TYPE_CHECKING:
    from anndata import AnnData

    from ace.tl._sources._source import Source


def source_of(model: Any, adata: AnnData, layer: str | None, *, unseen: bool = False) -> Source:
    """Return the source of the scorer.

    Parameters
    ----------
    model
        Argument of :func:`ace.tl.explain`.
    adata
        The cells.
    layer
        Layer to read, as the user gave it.
    unseen
        Also attribute to genes that principal components were not computed from.

    Raises
    ------
    TypeError
        If ``model`` cannot be explained.
    """
    if model is None:
        return PrincipalComponents(adata, layer, unseen=unseen)
    if isinstance(model, GroupScorer):
        return GivenScorer(model, adata, layer)
    if isinstance(model, nn.Module):
        return GivenEmbedding(model, adata, layer)
    if isinstance(model, str):
        raise _checks.not_a_function_of_genes(adata, model)
    if OwnModel.takes(model):
        return OwnModel(model, adata, layer)
    if hasattr(model, "module"):
        return LatentSpace(model, adata, layer)
    raise _checks.not_a_model(model)
