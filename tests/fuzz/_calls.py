"""Functions that are called on an AnnData, and what each may write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata as ad
from tests.fuzz._models import model, query
from tests.fuzz._tl import annotate, explain, fssf, informative_genes, rank_specificity

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

ON_CELLS = {
    "explain": (explain, False),
    "rank_specificity": (rank_specificity, False),
    "informative_genes": (informative_genes, False),
    "annotate": (annotate, False),
    "fssf": (fssf, False),
    "query": (query, False),
    "model": (model, True),
}
#: How often each is called.
WEIGHTS = {
    "explain": 6,
    "rank_specificity": 2,
    "informative_genes": 2,
    "annotate": 3,
    "fssf": 2,
    "query": 3,
    "model": 5,
    "metric": 6,
}
#: What a call may write, as beginnings of places; ``{key}`` is its ``key_added``.
WRITES = {
    "explain": ("uns/{key}", "varm/{key}_scores", "layers/{key}_cells", "obs/{key}_explained"),
    "rank_specificity": (
        "uns/{key}",
        "varm/{key}_scores",
        "layers/{key}_cells",
        "obs/{key}_explained",
    ),
    "informative_genes": ("uns/{key}",),
    "annotate": ("uns/{key}", "obs/{key}", "obsm/{key}_probabilities", "obsm/X_{key}"),
    "fssf": ("uns/{key}", "obs/{key}_subcluster", "obsm/X_{key}"),
    "query": (),
    "model": ("obs/_scvi", "uns/_scvi", "obsm/_scvi"),
}
DEFAULT_KEYS = {
    "explain": "ace",
    "rank_specificity": "rank_specificity",
    "informative_genes": "informative_genes",
    "annotate": "scnym",
    "fssf": "fssf",
}


def unreadable(adata: AnnData, folder: Path) -> str | None:
    """Why an object cannot be written and read back; ``None`` if it can."""
    path = folder / "written.h5ad"
    try:
        adata.write_h5ad(path)
        ad.read_h5ad(path)
    except Exception as error:  # noqa: BLE001 (every error is reported)
        return f"{type(error).__name__}: {str(error)[:200]}"
    return None
