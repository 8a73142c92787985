"""Names under which a panel of genes for all groups is stored in an AnnData."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ace._keys._names import require_free

if TYPE_CHECKING:
    from anndata import AnnData

DEFAULT_PANEL_KEY = "ace_panel"
#: Data frames of a stored panel.
PANEL_TABLES = ("genes", "quality", "confusion")


@dataclass(frozen=True)
class PanelKeys:
    """Names under which a panel is stored.

    Parameters
    ----------
    key
        The ``key_added`` of the call.
    """

    key: str = DEFAULT_PANEL_KEY

    @property
    def uns(self) -> str:
        """``uns``: ``params`` and the frames ``genes``, ``quality`` and ``confusion``."""
        return self.key

    @property
    def selected(self) -> str:
        """``var``: whether the gene is in the panel."""
        return self.key

    @property
    def rank(self) -> str:
        """``var``: rank of the gene in the panel, from 1; NaN for other genes."""
        return f"{self.key}_rank"

    @property
    def _places(self) -> dict[str, tuple[str, ...]]:
        return {"uns": (self.uns,), "var": (self.selected, self.rank)}

    def require_not_read(self, column: str | None) -> None:
        """Raise a ``ValueError`` if a column of ``var`` to read would be overwritten."""
        if column in self._places["var"]:
            raise ValueError(
                f"key_added={self.key!r} would overwrite var[{column!r}], which this call reads: "
                "choose another name."
            )

    def require_free(self, adata: AnnData) -> None:
        """Raise a ``ValueError`` if anything other than a panel would be overwritten."""
        if adata.var.index.name in self._places["var"]:
            raise ValueError(
                f"key_added={self.key!r} would write the column {adata.var.index.name!r}, which "
                "is the name of the index of adata.var: choose another name, or "
                "`adata.var.index.name = None`."
            )
        if not _is_panel(adata.uns.get(self.uns)):
            require_free(adata, self.key, self._places, "ace.tl.select_panel did not write")

    def read(self, adata: AnnData) -> dict[str, Any]:
        """Return the stored result, or raise a ``KeyError`` that names the call to make."""
        stored = adata.uns.get(self.uns)
        if not _is_panel(stored):
            found = [name for name, value in adata.uns.items() if _is_panel(value)]
            hint = f" There are panels in {found}." if found else ""
            raise KeyError(
                f"there is no panel in adata.uns[{self.uns!r}].{hint} Select one with "
                f"ace.tl.select_panel(adata, groupby, n_genes, key_added={self.key!r})."
            )
        return stored

    def write(self, adata: AnnData, *, ranked: np.ndarray, about: dict[str, Any]) -> list[str]:
        """Write a panel, replacing that of this key; return where, as a user types it.

        Parameters
        ----------
        adata
            The object written to.
        ranked
            Positions of the genes of the panel, in the order in which they entered.
        about
            Content of ``uns``.
        """
        rank = np.full(adata.n_vars, np.nan)
        rank[ranked] = np.arange(len(ranked)) + 1
        adata.var[self.selected] = np.isfinite(rank)
        adata.var[self.rank] = rank
        adata.uns[self.uns] = about
        return [f".{place}[{name!r}]" for place, names in self._places.items() for name in names]


def _is_panel(stored: Any) -> bool:
    return isinstance(stored, dict) and {"params", *PANEL_TABLES} <= stored.keys()
