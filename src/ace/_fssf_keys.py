"""Where subcluster founder scores lie: what ``_keys`` is for explanations and annotations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ace._keys import not_the_index, require_free

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData

DEFAULT_FSSF_KEY = "fssf"


@dataclass(frozen=True)
class FssfKeys:
    """Where the subcluster founder scores called ``key`` lie in an AnnData.

    Parameters
    ----------
    key
        The name that they were stored under (``key_added``).
    """

    key: str = DEFAULT_FSSF_KEY

    @property
    def uns(self) -> str:
        """``uns``: ``params``, ``pairs`` and ``genes``."""
        return self.key

    @property
    def subcluster(self) -> str:
        """``obs``: subcluster of each cell, missing in groups that are too small."""
        return f"{self.key}_subcluster"

    @property
    def embedding(self) -> str:
        """``obsm``: the latent space that subclusters were found in."""
        return f"X_{self.key}"

    @property
    def _places(self) -> dict[str, tuple[str]]:
        return {"uns": (self.uns,), "obs": (self.subcluster,), "obsm": (self.embedding,)}

    def require_free(self, adata: AnnData) -> None:
        """Raise a ``ValueError`` if anything but scores would be overwritten."""
        not_the_index(adata, self.key, (self.subcluster,))
        if _is_fssf(adata.uns.get(self.uns)):
            return
        require_free(adata, self.key, self._places, "ace.tl.fssf did not write")

    def read(self, adata: AnnData) -> dict[str, Any]:
        """Give what is stored, or raise a ``KeyError`` with the call that makes it."""
        stored = adata.uns.get(self.uns)
        if not _is_fssf(stored):
            found = [name for name, value in adata.uns.items() if _is_fssf(value)]
            hint = f" Scores that are there: {found}." if found else ""
            raise KeyError(
                f"no subcluster founder scores in adata.uns[{self.uns!r}].{hint} Make them with "
                f"ace.tl.fssf(adata, model, genes, groupby, key_added={self.key!r})."
            )
        return stored

    def write(
        self,
        adata: AnnData,
        *,
        subcluster: pd.Categorical,
        embedding: np.ndarray,
        about: dict[str, Any],
    ) -> list[str]:
        """Write scores in place of those under the same key; give the places as one types them."""
        adata.obs[self.subcluster] = subcluster
        adata.obsm[self.embedding] = embedding
        adata.uns[self.uns] = about
        return [f".{place}[{name!r}]" for place, (name,) in self._places.items()]


def _is_fssf(stored: Any) -> bool:
    return isinstance(stored, dict) and {"params", "pairs", "genes"} <= stored.keys()
