"""What every explanation method is, and the table of them."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ace._arguments import number, whole
from ace._threads import seeded
from ace.explain._linear_path import embedded, is_linear

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ace.explain._cells import GroupedCells, Rows
    from ace.explain._scorer import GroupScorer


@dataclass(frozen=True)
class MethodInfo:
    """The record of a method: docs, ``methods()`` and the conformance suite are made from it."""

    name: str
    computes: str
    paper: str
    signed: bool
    needs_reference: bool


@dataclass(frozen=True)
class Attribution:
    """What a method says about one group against its reference.

    Attributes
    ----------
    scores
        Signed score of each feature, shape ``(n_features,)``: positive = enriched in the source.
    ranking
        Feature numbers, best first; ``abs(scores[ranking])`` never rises.
    per_cell
        Attributions of the single source cells, shape ``(n_cells, n_features)``, if asked for.
    diagnostics
        What the method can say of its own quality (columns of the diagnostics frame).
    """

    scores: np.ndarray
    ranking: np.ndarray
    per_cell: np.ndarray | None = None
    diagnostics: dict[str, float] = field(default_factory=dict)


class Contrast(nn.Module):
    r"""What is explained: one number a cell.

    :math:`m_s` for one group against the rest, :math:`m_s - m_t` for one against another.
    """

    def __init__(self, scorer: GroupScorer, source: int, reference: int | None) -> None:
        super().__init__()
        self.scorer = scorer
        self.source = source
        self.reference = reference

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        """Shape ``(n_cells, n_features)`` → ``(n_cells,)``."""
        return self.of_log_odds(self.scorer(x, *context))

    def of_log_odds(self, m: Tensor) -> Tensor:
        """Shape ``(n_cells, n_groups)`` → ``(n_cells,)``."""
        if self.reference is None:
            return m[:, self.source]
        return m[:, self.source] - m[:, self.reference]


class Method(ABC):
    """Base of the explanation methods.

    A method is made once for a scorer and its cells and then called for each comparison, so that
    what comparisons share is computed once. To add one, subclass it in a file of its own, give it
    an :class:`MethodInfo` and import it in ``ace.explain``.

    Parameters
    ----------
    scorer
        What is explained.
    cells
        The cells of each of the scorer's groups.
    seed
        Seed of everything random. The result for one comparison does not depend on which others
        are asked for.
    per_cell
        Keep the attributions of single cells.

    Raises
    ------
    ValueError
        If the cells are not grouped as the scorer is.
    """

    info: ClassVar[MethodInfo]
    registry: ClassVar[dict[str, type[Method]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not inspect.isabstract(cls) and hasattr(cls, "info"):
            Method.registry[cls.info.name] = cls

    def __init__(
        self, scorer: GroupScorer, cells: GroupedCells, *, seed: int = 0, per_cell: bool = False
    ) -> None:
        if len(cells) != len(scorer.groups):
            raise ValueError(
                f"the scorer has {len(scorer.groups)} groups, but cells of {len(cells)} were "
                "given."
            )
        self.scorer = scorer
        self.cells = cells
        self.seed = seed
        self.per_cell = per_cell

    def __call__(self, source: int, reference: int | None = None) -> Attribution:
        """Explain one group.

        Parameters
        ----------
        source
            Code of the group that is explained.
        reference
            Code of the group that it is compared with; ``None``: all the others.

        Returns
        -------
        The attribution of every feature.
        """
        seed = self.seed_of(source, reference)
        with torch.enable_grad(), frozen(self.scorer), seeded(seed, self.scorer.device):
            return self.explain(source, reference)

    @abstractmethod
    def explain(self, source: int, reference: int | None) -> Attribution:
        """Explain one group; the scorer is frozen and torch seeded."""

    def seed_of(self, source: int, reference: int | None) -> int:
        """Seed of one comparison."""
        entropy = (self.seed, source, 0 if reference is None else reference + 1)
        return int(np.random.SeedSequence(entropy).generate_state(1)[0])

    def attribution(
        self,
        magnitude: np.ndarray,
        direction: np.ndarray,
        source: int,
        reference: int | None,
        **rest: Any,
    ) -> Attribution:
        """Build the result from sizes and signs, ranked without ties by position."""
        tie_break = np.abs(self.cells.difference(source, reference))
        sign = np.where(direction < 0, -1.0, 1.0)
        return Attribution(
            scores=(magnitude * sign).astype(np.float32),
            ranking=rank(magnitude, tie_break, self.scorer.feature_names),
            **rest,
        )


def rank(
    magnitude: np.ndarray, tie_break: np.ndarray, names: tuple[str, ...] | None = None
) -> np.ndarray:
    """Order features by magnitude, then by a second score, then by name: never by position.

    Parameters
    ----------
    magnitude
        First criterion, larger is better, shape ``(n_features,)``. Compared in float32, the
        precision that scores are stored in.
    tie_break
        Second criterion, likewise.
    names
        Names for features that are alike in both (such as genes never expressed).

    Returns
    -------
    Feature numbers, best first.
    """
    last = np.zeros(len(magnitude)) if names is None else np.argsort(np.argsort(np.array(names)))
    return np.lexsort((last, -np.float32(tie_break), -np.float32(magnitude)))


@contextmanager
def frozen(scorer: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients on parameters, as long as the block lasts."""
    modes = [(module, module.training) for module in scorer.modules()]
    wanted = [(parameter, parameter.requires_grad) for parameter in scorer.parameters()]
    scorer.eval()
    for parameter, _ in wanted:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, requires_grad in wanted:
            parameter.requires_grad_(requires_grad)


def at_least_one(**numbers: Any) -> None:
    """Raise unless these options are whole numbers from 1."""
    for name, value in numbers.items():
        whole(value, name, 1)


def is_range(bounds: Any) -> bool:
    """Whether it is a pair of finite numbers, the second not below the first."""
    try:
        low, high = bounds
        number(low, "lowest", -math.inf)
        number(high, "highest", float(low))
    except (TypeError, ValueError):
        return False
    return True


def score_cells(scorer: GroupScorer, cells: GroupedCells) -> list[np.ndarray]:
    """Log-odds of the cells of each group, a list of arrays ``(n_cells, n_groups)``.

    The cells remember the last answer: fidelity and the methods ask the same question.
    """
    if cells.scored is None or cells.scored[0] is not scorer:
        with frozen(scorer), seeded(0, scorer.device), torch.no_grad():
            if is_linear(scorer, cells):
                coordinates = embedded(scorer, cells)
                answer = [scorer.clustering(torch.from_numpy(z)).numpy() for z in coordinates]
            else:
                answer = [_score_rows(scorer, rows) for rows in cells.groups]
        cells.scored = (scorer, answer)
    return cells.scored[1]


def _score_rows(scorer: GroupScorer, rows: Rows) -> np.ndarray:
    scored, start = [], 0
    for x in rows.batches():
        here = slice(start, start := start + len(x))
        log_odds = scorer(x.to(scorer.device), *rows.context(here, scorer.device))
        scored.append(log_odds.cpu().numpy())
    return np.concatenate(scored)


def fidelity(scorer: GroupScorer, cells: GroupedCells) -> np.ndarray:
    """Share of each group's cells that the scorer gives to that group.

    An explanation of a scorer that does not reproduce the groups explains nothing.

    Parameters
    ----------
    scorer
        The scorer.
    cells
        Cells of its groups.

    Returns
    -------
    Array of shape ``(n_groups,)``, between 0 and 1.
    """
    scored = score_cells(scorer, cells)
    return np.array([np.mean(m.argmax(1) == g) for g, m in enumerate(scored)])


def methods() -> pd.DataFrame:
    """Table of the explanation methods.

    Returns
    -------
    A frame, one row a method, indexed by its name: what it computes, the paper, whether its sign
    means anything, whether it needs a reference, and its options with their defaults.

    Examples
    --------
    >>> import ace
    >>> "panel" in ace.explain.methods().index
    True
    """
    rows = [
        asdict(cls.info) | {"options": ", ".join(f"{k}={v!r}" for k, v in options(cls).items())}
        for cls in Method.registry.values()
    ]
    return pd.DataFrame(rows).set_index("name")


def options(method: type[Method]) -> dict[str, Any]:
    """Options of a method with their defaults."""
    own = inspect.signature(method).parameters
    shared = inspect.signature(Method).parameters
    return {
        name: p.default
        for name, p in own.items()
        if name not in shared and p.kind == p.KEYWORD_ONLY
    }
