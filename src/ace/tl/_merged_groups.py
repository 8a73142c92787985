"""Scorers of merged groups."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import logsigmoid

from ace.explain import GroupScorer
from ace.tl._sources._given_scorer import GivenScorer
from ace.tl._sources._own_model import OwnModel

if TYPE_CHECKING:
    from torch import Tensor

    from ace.tl._groups import Groups
    from ace.tl._sources import Scored, Source


class MergedGroups(GroupScorer):
    r"""Log-odds of groups that each consist of one or more groups of another scorer.

    With the probabilities :math:`p_c` of the groups of the scorer, the log-odds of a set :math:`S`
    are :math:`\log \sum_{c \in S} p_c - \log \sum_{c \notin S} p_c`. Those of a set of one group
    are unchanged.

    Parameters
    ----------
    scorer
        The scorer.
    names
        Name of each merged group.
    members
        For each merged group the positions of its groups in the output of the scorer.
    """

    def __init__(self, scorer: GroupScorer, names: list[str], members: list[list[int]]) -> None:
        super().__init__(names, scorer.feature_names)
        self.scorer = scorer
        self._members = members

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        """Log-odds of each merged group, shape ``(n_cells, n_groups)``."""
        log_odds = self.scorer(x, *context)
        log_p = logsigmoid(log_odds)
        return torch.stack([self._log_odds_of(each, log_odds, log_p) for each in self._members], 1)

    def _log_odds_of(self, members: list[int], log_odds: Tensor, log_p: Tensor) -> Tensor:
        if len(members) == 1:
            return log_odds[:, members[0]]
        others = [column for column in range(log_p.shape[1]) if column not in members]
        return log_p[:, members].logsumexp(1) - log_p[:, others].logsumexp(1)


def scorer_of(
    source: Source, groups: Groups, n_prototypes: int | None, random_state: int
) -> Scored:
    """Return the scorer of groups, of which some may be merged.

    Prototypes are fitted to the merged groups. A model or scorer that has groups of its own scores
    these, and their probabilities are added.
    """
    if groups.unmerged is None or not isinstance(source, OwnModel | GivenScorer):
        return source.scorer(groups, n_prototypes, random_state)
    scored = source.scorer(groups.unmerged, n_prototypes, random_state)
    position = [scored.scorer.groups.index(name) for name in groups.unmerged.names]
    members = [[position[code] for code in each] for each in groups.members]
    return replace(scored, scorer=MergedGroups(scored.scorer, groups.names, members))
