"""Group scorers provided by the user."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ace import _checks
from ace._listed import listed
from ace.explain import GroupScorer
from ace.tl._sources._probe import probe
from ace.tl._sources._source import Scored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from torch import Tensor

    from ace.tl._comparisons import Groups


class GivenScorer:
    """A :class:`~ace.explain.GroupScorer`, explained as it is.

    Parameters
    ----------
    scorer
        The scorer.
    adata
        The cells.
    layer
        Layer to read; ``None`` for ``adata.X``.
    """

    expects_logarithms = False  # custom scorers may expect any values

    def __init__(self, scorer: GroupScorer, adata: AnnData, layer: str | None) -> None:
        self.name = type(scorer).__name__
        self.layer = layer
        self._scorer, self._adata = scorer, adata

    @property
    def matrix(self) -> Any:
        """Expression that is explained, all cells × all genes."""
        return _checks.matrix_of(self._adata, self.layer)

    def unlabelled(self, groupby: str) -> Any:
        """Return ``None``: all categories are groups."""
        return None

    def scorer(self, groups: Groups, n_prototypes: int | None, random_state: int) -> Scored:
        """Return the scorer, restricted to the groups that the cells have."""
        scorer, names = self._scorer, groups.names
        if n_prototypes is not None:
            raise ValueError(
                f"n_prototypes={n_prototypes}, but model is a group scorer, to which no "
                "prototypes are fitted: leave n_prototypes out."
            )
        unknown = [name for name in names if name not in scorer.groups]
        if unknown:
            raise ValueError(
                f"adata.obs[{groups.column!r}] has groups that the scorer does not: "
                f"{listed(unknown)}. It scores {listed(scorer.groups)}. Leave other cells out: "
                f"`adata[adata.obs[{groups.column!r}].isin(scorer.groups)].copy()`."
            )
        columns = columns_of(scorer.feature_names, self._adata, "the scorer")
        found = probe(scorer, self.matrix, groups, columns, output="groups")
        if found.shape[1] != len(scorer.groups):
            raise ValueError(
                f"{self.name} returns {found.shape[1]} columns for its {len(scorer.groups)} "
                "groups. It must return one column of log-odds for each."
            )
        if len(names) < len(scorer.groups):
            scorer = SelectedGroups(scorer, names)
        return Scored(scorer, columns, None)


class SelectedGroups(GroupScorer):
    """Log-odds of some groups of a scorer, which are still against all of its groups."""

    def __init__(self, scorer: GroupScorer, names: Sequence[str]) -> None:
        super().__init__(names, scorer.feature_names)
        self.scorer = scorer
        self._columns = [scorer.groups.index(name) for name in names]

    def forward(self, x: Tensor) -> Tensor:
        """Log-odds of these groups, shape ``(n_cells, n_groups)``."""
        return self.scorer(x)[:, self._columns]


def columns_of(genes: Any, adata: AnnData, owner: str) -> np.ndarray:
    """Columns of the genes that ``owner`` takes; all columns if it does not name any."""
    if genes is None:
        return np.arange(adata.n_vars)
    if isinstance(genes, str) or not isinstance(genes, Iterable):
        raise TypeError(
            f"feature_names of {owner} must be a list of names of genes, got {genes!r:.60}."
        )
    names = [str(gene) for gene in genes]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"feature_names of {owner} has genes more than once: {listed(twice)}.")
    return _checks.gene_positions(adata.var_names, names, owner)
