"""The engine: group scorers and explanation methods. Torch only, no AnnData."""

from ace.explain._scorer import ClassifierScorer, EmbeddingScorer, GroupScorer

__all__ = [
    "ClassifierScorer",
    "EmbeddingScorer",
    "GroupScorer",
]
