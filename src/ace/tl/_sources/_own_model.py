"""Models of this package that read log-normalised expression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ace import _checks
from ace._listed import listed
from ace.tl._sources._source import Scored, layer_of_model, used_prototypes

if TYPE_CHECKING:
    from anndata import AnnData

    from ace.tl._comparisons import Groups


class OwnModel:
    """A model with a method ``group_scorer``, such as KRATOS, explained on its own input.

    Parameters
    ----------
    model
        The model.
    adata
        The cells.
    layer
        Layer given by the user, which must be that of the model.
    """

    expects_logarithms = False  # the model compares values with those that it was trained on

    def __init__(self, model: Any, adata: AnnData, layer: str | None) -> None:
        self.name = type(model).__name__
        self.layer = layer_of_model(model.input_layer, layer)
        self._model, self._adata = model, adata

    @property
    def matrix(self) -> Any:
        """Expression that is explained, all cells × all genes."""
        return _checks.matrix_of(self._adata, self.layer)

    @staticmethod
    def takes(model: Any) -> bool:
        """Whether a model scores groups itself, from values of the matrix that are not counts."""
        return hasattr(model, "group_scorer") and not getattr(model, "_expects_counts", False)

    def unlabelled(self, groupby: str) -> Any:
        """Unlabelled category, if ``groupby`` are the labels of the model."""
        if getattr(self._model, "labels_key", None) != groupby:  # ACE has no labels
            return None
        return self._model.unlabeled_category

    def scorer(self, groups: Groups, n_prototypes: int | None, random_state: int) -> Scored:
        """Return the scorer of the model."""
        options = {} if n_prototypes is None else {"n_prototypes": n_prototypes}
        scorer = self._model.group_scorer(
            self._adata, groups.column, random_state=random_state, **options
        )
        if set(scorer.groups) != set(groups.names):
            raise ValueError(
                f"the model scores the groups {listed(scorer.groups)}, but "
                f"adata.obs[{groups.column!r}] has {listed(groups.names)}."
            )
        genes = self._adata.var_names
        columns = _checks.gene_positions(genes, scorer.feature_names, "the model")
        return Scored(scorer, columns, used_prototypes(scorer, n_prototypes))
