"""Names of transferred labels in AnnData."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ace._checks import _storable
from ace._keys._names import not_the_index, require_free, storable

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

DEFAULT_ANNOTATION_KEY = "scnym"


@dataclass(frozen=True)
class AnnotationKeys:
    """Names under which an annotation is stored in an AnnData.

    Parameters
    ----------
    key
        The name that they were stored under (``key_added``).
    """

    key: str = DEFAULT_ANNOTATION_KEY

    @property
    def uns(self) -> str:
        """``uns``: ``params``, ``novelty_threshold``, ``temperature``, ``evaluation``, ..."""
        return self.key

    @property
    def label(self) -> str:
        """``obs``: label of each cell."""
        return self.key

    @property
    def given(self) -> str:
        """``obs``: whether the label was given, not predicted."""
        return f"{self.key}_given"

    @property
    def confidence(self) -> str:
        """``obs``: calibrated probability of that label."""
        return f"{self.key}_confidence"

    @property
    def novelty(self) -> str:
        """``obs``: novelty score, the dissimilarity to all known types."""
        return f"{self.key}_novelty"

    @property
    def novel(self) -> str:
        """``obs``: whether the novelty score exceeds the threshold."""
        return f"{self.key}_novel"

    @property
    def majority(self) -> str:
        """``obs``: most frequent label in the cluster of the cell; optional."""
        return f"{self.key}_majority"

    @property
    def probabilities(self) -> str:
        """``obsm``: probabilities, cells × labels; an array if a frame cannot be stored."""
        return f"{self.key}_probabilities"

    @property
    def embedding(self) -> str:
        """``obsm``: latent space of the model."""
        return f"X_{self.key}"

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of ``obs`` that an annotation may write."""
        names = (self.label, self.given, self.confidence, self.novelty, self.novel)
        return (*names, self.majority)

    def require_free(self, adata: AnnData) -> None:
        """Raise if anything other than an annotation would be overwritten.

        Raises
        ------
        ValueError
            If something else is stored under a name that the annotation needs, or the index of
            ``obs`` has that name.
        """
        not_the_index(adata, self.key, self.columns)
        if _is_annotation(adata.uns.get(self.uns)):
            return
        require_free(
            adata,
            self.key,
            {
                "obs": self.columns,
                "obsm": (self.probabilities, self.embedding),
                "uns": (self.uns,),
            },
            "no annotation wrote",
        )

    def read(self, adata: AnnData) -> dict[str, Any]:
        """Return the stored parameters of the annotation.

        Raises
        ------
        KeyError
            If there is no annotation with this key. The message names the call that creates one.
        """
        stored = adata.uns.get(self.uns)
        if not _is_annotation(stored) or self.label not in adata.obs:
            found = [k for k, v in adata.uns.items() if _is_annotation(v) and k in adata.obs]
            hint = f" Annotations that are there: {found}." if found else ""
            raise KeyError(
                f"no annotation in adata.uns[{self.uns!r}] and adata.obs[{self.label!r}].{hint} "
                "Make one with ace.tl.annotate(adata, labels_key=..., "
                f"key_added={self.key!r})."
            )
        return stored

    def write(
        self,
        adata: AnnData,
        *,
        columns: dict[str, Any],
        probabilities: pd.DataFrame,
        embedding: np.ndarray,
        about: dict[str, Any],
    ) -> list[str]:
        """Write an annotation, replacing one with the same key.

        Parameters
        ----------
        adata
            The object written to.
        columns
            Values of :attr:`columns`, by their names; the majority only if it was asked for.
        probabilities
            Cells × labels.
        embedding
            Coordinates of the cells.
        about
            What ``uns`` is to hold.

        Returns
        -------
        The places written, as a user would type them.
        """
        for name, values in columns.items():
            adata.obs[name] = values
        if self.majority not in columns and self.majority in adata.obs:
            # Majority labels of an earlier call would not match the new labels.
            del adata.obs[self.majority]
        names = [str(label) for label in probabilities.columns]
        soft = probabilities.set_axis([storable(name) for name in names], axis=1)
        adata.obsm[self.probabilities] = _storable.frame(soft, adata.obs_names)
        if isinstance(adata.obsm[self.probabilities], np.ndarray):
            about = about | {"labels": names}
        adata.obsm[self.embedding] = embedding
        adata.uns[self.uns] = about
        places = {"obs": columns, "obsm": (self.probabilities, self.embedding), "uns": [self.uns]}
        return [f".{place}[{name!r}]" for place, names in places.items() for name in names]


def _is_annotation(stored: Any) -> bool:
    return isinstance(stored, dict) and {"params", "novelty_threshold"} <= stored.keys()
