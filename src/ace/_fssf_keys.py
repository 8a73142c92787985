"""Names under which subcluster founder scores are stored in an AnnData."""

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
    """Names under which the subcluster founder scores of one call are stored.

    Parameters
    ----------
    key
        The ``key_added`` of the call.
    """

    key: str = DEFAULT_FSSF_KEY

    @property
    def uns(self) -> str:
        """``uns``: ``params``, ``pairs`` and ``genes``."""
        return self.key

    @property
    def subcluster(self) -> str:
        """``obs``: subcluster of each cell; missing in groups that are too small."""
        return f"{self.key}_subcluster"

    @property
    def embedding(self) -> str:
        """``obsm``: latent space in which the subclusters were found."""
        return f"X_{self.key}"

    @property
    def _places(self) -> dict[str, tuple[str]]:
        return {"uns": (self.uns,), "obs": (self.subcluster,), "obsm": (self.embedding,)}

    def require_not_read(self, *columns: str | None) -> None:
        """Raise a ``ValueError`` if one of the columns to read would be overwritten."""
        if self.subcluster in columns:
            raise ValueError(
                f"key_added={self.key!r} would overwrite obs[{self.subcluster!r}], which this "
                "call reads: choose another name."
            )

    def require_free(self, adata: AnnData) -> None:
        """Raise a ``ValueError`` if anything other than scores would be overwritten."""
        not_the_index(adata, self.key, (self.subcluster,))
        if _is_fssf(adata.uns.get(self.uns)):
            return
        require_free(adata, self.key, self._places, "ace.tl.fssf did not write")

    def read(self, adata: AnnData) -> dict[str, Any]:
        """Return the stored result, or raise a ``KeyError`` that names the call to make."""
        stored = adata.uns.get(self.uns)
        if not _is_fssf(stored):
            found = [name for name, value in adata.uns.items() if _is_fssf(value)]
            hint = f" There are scores in {found}." if found else ""
            raise KeyError(
                f"there are no subcluster founder scores in adata.uns[{self.uns!r}].{hint} "
                "Compute them with ace.tl.fssf(adata, groupby, genes, model=model, "
                f"key_added={self.key!r})."
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
        """Write scores, replacing those of this key; return where, as a user types it."""
        adata.obs[self.subcluster] = subcluster
        adata.obsm[self.embedding] = embedding
        adata.uns[self.uns] = about
        return [f".{place}[{name!r}]" for place, (name,) in self._places.items()]


def _is_fssf(stored: Any) -> bool:
    return isinstance(stored, dict) and {"params", "pairs", "genes"} <= stored.keys()
