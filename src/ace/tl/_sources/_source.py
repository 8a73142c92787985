"""The interface between an explanation and the function that it explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ace.explain import EmbeddingScorer

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from ace.explain import GroupScorer
    from ace.tl._comparisons import Groups


@dataclass(frozen=True)
class Scored:
    """A scorer, and its input.

    Attributes
    ----------
    scorer
        The scorer; its groups are those of the cells, in any order.
    columns
        Columns of the matrix that are its features, in order.
    n_prototypes
        Number of prototypes per group, as given or as chosen; ``None`` for other scorers.
    context
        Returns the context of cells, given their rows in increasing order; ``None`` if the scorer
        takes no context.
    """

    scorer: GroupScorer
    columns: np.ndarray
    n_prototypes: int | None
    context: Callable[[np.ndarray], np.ndarray] | None = None

    def advice(self, n_prototypes: int | None) -> str:
        """How to improve a low fidelity, for a message; ``n_prototypes`` is as given."""
        if self.n_prototypes is None:
            return ""
        if n_prototypes is None:
            return (
                f"The number of prototypes, {self.n_prototypes} per group, was chosen by "
                "fidelity, so more do not help. "
            )
        return "Leave n_prototypes out to choose their number by fidelity, or use more. "


class Source(Protocol):
    """Where the scorer comes from.

    Attributes
    ----------
    name
        Name that is stored with the result.
    layer
        Layer that the matrix is read from.
    expects_logarithms
        Whether to warn of values that are not log-normalised. Sources that check the values
        themselves, or permit any, set it to false.
    """

    name: str
    layer: str | None
    expects_logarithms: bool

    @property
    def matrix(self) -> Any:
        """Expression that is explained, all cells × all genes."""

    def unlabelled(self, groupby: str) -> Any:
        """Category of ``groupby`` that marks unlabelled cells; ``None`` if there is none."""

    def scorer(self, groups: Groups, n_prototypes: int | None, random_state: int) -> Scored:
        """Return the scorer of the groups."""


def used_prototypes(scorer: GroupScorer, n_prototypes: int | None) -> int | None:
    """Number of prototypes as given, or as chosen; ``None`` for scorers without prototypes."""
    if not isinstance(scorer, EmbeddingScorer):
        return None
    return scorer.n_prototypes if n_prototypes is None else n_prototypes


def layer_of_model(model_layer: str | None, layer: str | None) -> str | None:
    """Layer that a model was set up with; ``layer`` must not contradict it."""
    if layer is not None and layer != model_layer:
        own = "adata.X" if model_layer is None else f"layer {model_layer!r}"
        raise ValueError(
            f"layer={layer!r}, but the model was trained on {own}, which is read here too: "
            "leave layer out."
        )
    return model_layer
