"""Training of models by name."""

from typing import Any

from anndata import AnnData

import ace
from benchmarks.core.data import quiet_scvi
from benchmarks.core.measure import Cost, measure


def new(name: str, adata: AnnData, seed: int, setup: dict[str, Any], **options: Any) -> Any:
    """A model of this package or of scvi-tools, set up on a copy of the cells."""
    scvi = quiet_scvi(seed)
    model = getattr(ace.model, name) if hasattr(ace.model, name) else getattr(scvi.model, name)
    own = adata.copy()  # the model keeps the object it was set up with
    model.setup_anndata(own, **setup)
    return model(own, **options)


def trained(
    name: str,
    adata: AnnData,
    seed: int,
    setup: dict[str, Any],
    train: dict[str, Any] | None = None,
    **options: Any,
) -> tuple[Any, Cost]:
    model = new(name, adata, seed, setup, **options)
    return model, measure(lambda: model.train(enable_progress_bar=False, **(train or {})))[1]


def scanvi(start: Any, labels_key: str, **train: Any) -> Any:
    """SCANVI that continues from a trained SCVI; default settings."""
    import scvi

    unlabeled = {"unlabeled_category": "Unknown"}
    model = scvi.model.SCANVI.from_scvi_model(start, labels_key=labels_key, **unlabeled)
    model.train(enable_progress_bar=False, **train)
    return model
