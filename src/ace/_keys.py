"""The only place where a key of an AnnData is spelled."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ace import _storable
from ace._ranking import Ranking, is_ranking, pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd
    from anndata import AnnData

logger = logging.getLogger(__name__)

DEFAULT_KEY = "ace"
DEFAULT_ANNOTATION_KEY = "scnym"

#: Between the names of two groups in the name of their pair.
VERSUS = " vs "

#: Columns of ``uns[key]["diagnostics"]``, one row a group (or a pair of groups).
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


def storable(name: str) -> str:
    """Give a group's name as a column of a stored frame.

    From version 0.13 anndata writes no frame with a ``/`` in a column's name, because HDF5 and
    Zarr would take it for a path. (Fields of structured arrays, such as the records, are safe.)
    """
    return name.replace("/", "|")


def pair_name(source: str, reference: str) -> str:
    """Name of the record field that holds an ordered pair of groups."""
    return f"{source}{VERSUS}{reference}"


def pairs_of(fields: Sequence[str]) -> dict[str, tuple[str, str]] | None:
    """Tell the two groups of each field that ``reference="each"`` wrote, ``None`` if it did not.

    A name may hold " vs " itself. The fields are those of every ordered pair, source after source,
    so the first one turned round is the first one of the second source: that tells where to split.
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
    """Where the explanation called ``key`` lies in an AnnData.

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
        """``layers``: signed attributions of single cells, on request."""
        return f"{self.key}_cells"

    def require_free(self, adata: AnnData) -> None:
        """Raise if anything but a gene ranking of ours or scanpy's would be overwritten.

        Raises
        ------
        ValueError
            If something else is stored under a name that the explanation needs.
        """
        stored = adata.uns.get(self.uns)
        if is_ranking(stored):
            return
        places = {"varm": (self.scores,), "layers": (self.cells,)}
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
        per_cell: Any | None = None,
    ) -> list[str]:
        """Write an explanation; what lay under the same key is replaced.

        Parameters
        ----------
        adata
            The object written to.
        params
            How the explanation was made.
        records
            For each name in :data:`ace._ranking.RECORD_DTYPES`, the values by group, best first.
        scores
            Signed scores, genes × groups.
        frames
            Further frames of ``uns[key]``: ``diagnostics``.
        per_cell
            Matrix cells × genes of single cells' attributions, or ``None``.

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
            adata.layers[self.cells] = per_cell
            written.append(f".layers[{self.cells!r}]")
        elif self.cells in adata.layers:
            # Attributions of an earlier call would no longer belong to the scores beside them.
            del adata.layers[self.cells]
        return written


@dataclass(frozen=True)
class AnnotationKeys:
    """Where the labels that were transferred under the name ``key`` lie in an AnnData.

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
        """``obs``: the label of each cell."""
        return self.key

    @property
    def given(self) -> str:
        """``obs``: whether the cell had that label before."""
        return f"{self.key}_given"

    @property
    def confidence(self) -> str:
        """``obs``: calibrated probability of that label."""
        return f"{self.key}_confidence"

    @property
    def novelty(self) -> str:
        """``obs``: how little the cell is like any known type."""
        return f"{self.key}_novelty"

    @property
    def novel(self) -> str:
        """``obs``: whether that is above the threshold."""
        return f"{self.key}_novel"

    @property
    def majority(self) -> str:
        """``obs``: label of most cells of the cell's cluster, on request."""
        return f"{self.key}_majority"

    @property
    def probabilities(self) -> str:
        """``obsm``: cells × labels; an array if a frame cannot be stored."""
        return f"{self.key}_probabilities"

    @property
    def embedding(self) -> str:
        """``obsm``: coordinates in the model's latent space."""
        return f"X_{self.key}"

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of ``obs`` that an annotation may write."""
        names = (self.label, self.given, self.confidence, self.novelty, self.novel)
        return (*names, self.majority)

    def require_free(self, adata: AnnData) -> None:
        """Raise if anything but an annotation would be overwritten.

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
        """Give what is stored about the annotation.

        Raises
        ------
        KeyError
            If there is none under this key, with the call that makes one.
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
        """Write an annotation; what lay under the same key is replaced.

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
            # The votes of an earlier call would no longer belong to the labels beside them.
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


def not_the_index(adata: AnnData, key: str, columns: Iterable[str]) -> None:
    """Raise if a column would have the name of the index of ``obs``: both cannot be stored."""
    name = adata.obs.index.name
    if name is not None and name in columns:
        raise ValueError(
            f"key_added={key!r} would write the column {name!r}, which is the name of the index "
            "of adata.obs: choose another name, or `adata.obs.index.name = None`."
        )


def _are_scores(stored: Any) -> bool:
    """Whether a value looks like the scores of an explanation in ``varm`` (float32)."""
    dtypes = list(stored.dtypes) if hasattr(stored, "dtypes") else [getattr(stored, "dtype", None)]
    return all(dtype == np.float32 for dtype in dtypes)


def require_free(adata: AnnData, key: str, places: Mapping[str, Iterable[str]], who: str) -> None:
    """Raise if something lies where a result is to be written; say whose it is not."""
    taken = [
        f".{place}[{name!r}]"
        for place, names in places.items()
        for name in names
        if name in getattr(adata, place)
    ]
    if taken:
        raise ValueError(
            f"key_added={key!r} would overwrite {', '.join(taken)}, which {who}: choose another "
            "name, or delete these first."
        )
