"""Base class of the explanation methods."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

import numpy as np
import torch

from ace._checks._arguments import number, one_of, whole
from ace._threads import seeded
from ace.explain._attribution import Attribution, rank
from ace.explain._frozen import frozen

if TYPE_CHECKING:
    from ace.explain._cells import GroupedCells
    from ace.explain._scorer import GroupScorer

#: Which features are ranked.
Direction = Literal["both", "enriched", "depleted"]


@dataclass(frozen=True)
class MethodInfo:
    """Metadata of a method, used by the documentation, ``methods()`` and the conformance suite.

    Attributes
    ----------
    name
        Value of ``method=`` in :func:`ace.tl.explain`.
    computes
        What the method computes, in one line.
    paper
        Reference.
    signed
        Whether the sign of a score is meaningful.
    needs_reference
        Whether reference cells are used.
    ranks_unseen
        Whether it can rank genes that are not part of a linear embedding but vary with it.
    revision
        Increased whenever the numbers change, so that stored results are known to be outdated.
    """

    name: str
    computes: str
    paper: str
    signed: bool
    needs_reference: bool
    ranks_unseen: bool = False
    revision: int = 1


class Method(ABC):
    """Base class of the explanation methods.

    A method is constructed once for a scorer and its cells and then called for each comparison,
    so that shared results are computed once. To add a method, subclass it in a file of
    its own, give it a :class:`MethodInfo`, and import it in ``ace.explain``.

    Parameters
    ----------
    scorer
        The scorer that is explained.
    cells
        The cells of each group of the scorer.
    random_state
        Seed. The result of a comparison does not depend on which others are computed.
    per_cell
        Also return the attributions of individual cells.

    Raises
    ------
    ValueError
        If the number of groups of ``cells`` and ``scorer`` differs, or an option is out of range.
    """

    info: ClassVar[MethodInfo]
    #: Options of quicker runs on parts of the cells, for cross-fitting.
    fold_options: ClassVar[dict[str, Any]] = {}
    registry: ClassVar[dict[str, type[Method]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not inspect.isabstract(cls) and hasattr(cls, "info"):
            Method.registry[cls.info.name] = cls

    def __init__(
        self,
        scorer: GroupScorer,
        cells: GroupedCells,
        *,
        random_state: int = 0,
        per_cell: bool = False,
    ) -> None:
        if len(cells) != len(scorer.groups):
            raise ValueError(
                f"the scorer has {len(scorer.groups)} groups, but cells has {len(cells)}."
            )
        self.scorer = scorer
        self.cells = cells
        self.random_state = random_state
        self.per_cell = per_cell
        self.direction: Direction = "both"
        self.eligible = np.ones(cells.n_features, dtype=bool)

    def restrict(
        self, *, eligible: np.ndarray | None = None, direction: Direction = "both"
    ) -> Self:
        """Rank only some features; the others get the score NaN and rank last.

        Parameters
        ----------
        eligible
            Which features may be ranked, Boolean, shape ``(n_features,)``; ``None`` for all.
        direction
            Rank only features whose mean in the source is higher than in the reference
            (``"enriched"``) or lower (``"depleted"``), or ``"both"``.

        Returns
        -------
        The method itself.

        Raises
        ------
        ValueError
            If no feature is eligible, or there is no such direction.
        """
        one_of(direction, "direction", list(get_args(Direction)))
        self.direction = direction
        if eligible is not None:
            self.eligible = np.asarray(eligible, dtype=bool)
        if self.eligible.shape != (self.cells.n_features,) or not self.eligible.any():
            raise ValueError(
                f"eligible must be True for some of {self.cells.n_features} features, got "
                f"{int(self.eligible.sum())} of {self.eligible.size}."
            )
        return self

    def __call__(self, source: int, reference: int | None = None) -> Attribution:
        """Explain one group.

        Parameters
        ----------
        source
            Code of the group.
        reference
            Code of the group that it is compared with; ``None`` for all others.

        Returns
        -------
        The attribution of every feature.
        """
        seed = self.seed_of(source, reference)
        with torch.enable_grad(), frozen(self.scorer), seeded(seed, self.scorer.device):
            return self.explain(source, reference)

    def ranked(self, source: int, reference: int | None) -> np.ndarray:
        """Features that may be ranked in a comparison, best first."""
        found = self(source, reference)
        return found.ranking[np.isfinite(found.scores[found.ranking])]

    @abstractmethod
    def explain(self, source: int, reference: int | None) -> Attribution:
        """Explain one group; called with the scorer frozen and PyTorch seeded."""

    def seed_of(self, source: int, reference: int | None) -> int:
        """Seed of one comparison."""
        entropy = (self.random_state, source, 0 if reference is None else reference + 1)
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])

    def rng_of(self, source: int, reference: int | None) -> np.random.Generator:
        """Return a new random number generator for one comparison."""
        return np.random.default_rng(self.seed_of(source, reference))

    def attribution(
        self,
        magnitude: np.ndarray,
        direction: np.ndarray,
        source: int,
        reference: int | None,
        **rest: Any,
    ) -> Attribution:
        """Build the result from magnitudes and directions; ties are broken by the data."""
        tie_break = np.abs(self.cells.difference(source, reference))
        allowed = self.eligible_for(source, reference)
        scores = np.where(allowed, magnitude * np.where(direction < 0, -1.0, 1.0), np.nan)
        return Attribution(
            scores=scores.astype(np.float32),
            ranking=rank(np.where(allowed, magnitude, -1), tie_break, self.scorer.feature_names),
            **rest,
        )

    def eligible_for(self, source: int, reference: int | None) -> np.ndarray:
        """Which features may be ranked in one comparison, shape ``(n_features,)``."""
        if self.direction == "both":
            return self.eligible.copy()
        difference = self.cells.difference(source, reference)
        return self.eligible & (difference > 0 if self.direction == "enriched" else difference < 0)


def at_least_one(**numbers: Any) -> None:
    """Raise unless these options are positive whole numbers."""
    for name, value in numbers.items():
        whole(value, name, 1)


def is_range(bounds: Any) -> bool:
    """Whether it is a pair of finite numbers in increasing order."""
    try:
        low, high = bounds
        number(low, "lowest", -math.inf)
        number(high, "highest", float(low))
    except (TypeError, ValueError):
        return False
    return True
