"""Check names of results in AnnData."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from anndata import AnnData


def storable(name: str) -> str:
    """Return the name of a group as a column of a stored frame.

    From version 0.13 anndata writes no frame with a ``/`` in a column's name, because HDF5 and
    Zarr would take it for a path. (Fields of structured arrays, such as the records, are safe.)
    """
    return name.replace("/", "|")


def not_the_index(adata: AnnData, key: str, columns: Iterable[str]) -> None:
    """Raise if a column would have the same name as the index of ``obs``."""
    name = adata.obs.index.name
    if name is not None and name in columns:
        raise ValueError(
            f"key_added={key!r} would write the column {name!r}, which is the name of the index "
            "of adata.obs: choose another name, or `adata.obs.index.name = None`."
        )


def require_free(adata: AnnData, key: str, places: Mapping[str, Iterable[str]], who: str) -> None:
    """Raise if a name is taken; ``who`` completes the message, such as "no annotation wrote"."""
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
