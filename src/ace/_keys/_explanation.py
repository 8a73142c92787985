"""Names of explanations in AnnData."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ace._checks import _storable
from ace._keys._names import require_free, storable
from ace._ranking import Ranking, is_ranking, pack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from anndata import AnnData

logger = logging.getLogger(__name__)

DEFAULT_KEY = "ace"

#: Separator of the two groups in the name of a pair.
VERSUS = " vs "

#: Separator of a group and the category in which it is compared, with ``within``.
WITHIN = " in "

#: Columns of ``uns[key]["diagnostics"]``, one row per group (or pair of groups).
DIAGNOSTICS: tuple[str, ...] = (
    "fidelity",
    "n_cells",
    "n_reference",
    "panel_size",
    "flip_rate",
    "l1",
    "n_features",
    "delta",
    "seconds",
)


def pair_name(source: str, reference: str) -> str:
    """Name of the record field of an ordered pair of groups."""
    return f"{source}{VERSUS}{reference}"


def category_name(field: str, category: str) -> str:
    """Name of the record field of a comparison among the cells of a category."""
    return f"{field}{WITHIN}{category}"


def pairs_of(fields: Sequence[str]) -> dict[str, tuple[str, str]] | None:
    """Return the two groups of each field written by ``reference="each"``; ``None`` for others.

    A name may hold " vs " itself. The fields are those of every ordered pair, source after source,
    so the first pair reversed is the first pair of the second source, which shows where to split.
    """
    n = round((1 + (1 + 4 * len(fields)) ** 0.5) / 2)
    if n < 2 or n * (n - 1) != len(fields):
        return None
    for match in re.finditer(f"(?={VERSUS})", fields[0]):
        first, second = fields[0][: match.start()], fields[0][match.start() + len(VERSUS) :]
        names = [first, second, *(f[len(pair_name(first, "")) :] for f in fields[1 : n - 1])]
        pairs = [(a, b) for a in names for b in names if a != b]
        if [pair_name(a, b) for a, b in pairs] == list(fields):
            return dict(zip(fields, pairs, strict=True))
    return None


@dataclass(frozen=True)
class ExplanationKeys:
    """Names under which an explanation is stored in an AnnData.

    Parameters
    ----------
    key
        The name that the explanation was stored under (``key_added``).
    """

    key: str = DEFAULT_KEY

    @property
    def uns(self) -> str:
        """``uns``: a ranking in scanpy's structure or a table, ``params`` and ``diagnostics``."""
        return self.key

    @property
    def scores(self) -> str:
        """``varm``: signed scores, genes × groups; an array if a frame cannot be stored."""
        return f"{self.key}_scores"

    @property
    def cells(self) -> str:
        """``layers``: signed attributions of individual cells; optional."""
        return f"{self.key}_cells"

    @property
    def explained(self) -> str:
        """``obs``: whether the layer has attributions of a cell; written with it."""
        return f"{self.key}_explained"

    def require_free(self, adata: AnnData) -> None:
        """Raise if anything other than a gene ranking of ace or scanpy would be overwritten.

        Raises
        ------
        ValueError
            If something else is stored under a name that the explanation needs.
        """
        stored = adata.uns.get(self.uns)
        if is_ranking(stored):
            return
        places = {
            "varm": (self.scores,),
            "layers": (self.cells,),
            "obs": (self.explained,),
        }
        if _are_scores(adata.varm.get(self.scores)):
            places = {}  # from an explanation whose entry in uns was deleted or replaced
        if not (isinstance(stored, dict) and {"params", "names", "scores"} <= stored.keys()):
            places["uns"] = (self.uns,)
        require_free(adata, self.key, places, "no ranking of genes wrote")

    def read(self, adata: AnnData) -> Ranking:
        """Return the stored ranking.

        Raises
        ------
        KeyError
            If there is none under this key, with the call that makes one.
        """
        stored = adata.uns.get(self.uns)
        if not is_ranking(stored):
            found = [name for name, value in adata.uns.items() if is_ranking(value)]
            hint = f" Explanations that are there: {found}." if found else ""
            raise KeyError(
                f"no explanation in adata.uns[{self.uns!r}].{hint} Make one with "
                f"ace.tl.explain(adata, groupby=..., key_added={self.key!r})."
            )
        return Ranking(stored)

    def read_scores(self, adata: AnnData, fields: Sequence[str]) -> np.ndarray | None:
        """Return signed scores, all genes × ``fields``; ``None`` if they are missing."""
        scores = adata.varm.get(self.scores)
        known = self.read(adata).fields
        if scores is None or scores.shape[1] != len(known):
            return None
        return np.asarray(scores)[:, [known.index(field) for field in fields]]

    def write(
        self,
        adata: AnnData,
        *,
        params: dict[str, Any],
        records: Mapping[str, Mapping[str, Any]],
        scores: pd.DataFrame,
        frames: dict[str, pd.DataFrame],
        per_cell: tuple[Any, np.ndarray] | None = None,
    ) -> list[str]:
        """Write an explanation, replacing one with the same key.

        Parameters
        ----------
        adata
            The object written to.
        params
            How the explanation was made.
        records
            For each name in :data:`ace._ranking.RECORD_DTYPES`, the values by group, best first;
            ``against`` and ``mixed`` are optional.
        scores
            Signed scores, genes × groups.
        frames
            Further frames of ``uns[key]``: ``diagnostics``.
        per_cell
            Attributions of individual cells, cells × genes, and whether each cell was explained;
            or ``None``.

        Returns
        -------
        The places written, as a user would type them.
        """
        ranking = pack(records)
        stored_as = "table" if "table" in ranking else "records"
        adata.uns[self.uns] = {"params": params | {"stored_as": stored_as}} | ranking | frames
        columns = scores.rename(columns=storable).astype(np.float32)
        adata.varm[self.scores] = _storable.frame(columns, adata.var_names)
        if stored_as == "table":
            logger.warning(
                "No file holds scanpy's structure with these %d names: adata.uns[%r]['table'] has "
                "the ranking instead. ace.get and ace.pl read it by key=%r, scanpy does not.",
                scores.shape[1], self.uns, self.uns,
            )  # fmt: skip
        written = [f".uns[{self.uns!r}]", f".varm[{self.scores!r}]"]
        if per_cell is not None:
            adata.layers[self.cells], adata.obs[self.explained] = per_cell
            written += [f".layers[{self.cells!r}]", f".obs[{self.explained!r}]"]
        elif self.cells in adata.layers:
            # Attributions of an earlier call would not match the new scores.
            del adata.layers[self.cells]
            if self.explained in adata.obs:
                del adata.obs[self.explained]
        return written


def _are_scores(stored: Any) -> bool:
    """Whether a value looks like the scores of an explanation in ``varm`` (float32)."""
    dtypes = list(stored.dtypes) if hasattr(stored, "dtypes") else [getattr(stored, "dtype", None)]
    return all(dtype == np.float32 for dtype in dtypes)
