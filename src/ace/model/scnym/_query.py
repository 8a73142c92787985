"""Copy a trained scNym model for new cells."""

from __future__ import annotations

from os import PathLike
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ace import _compat

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from ace.model.scnym._model import SCNYM

    Model = TypeVar("Model", bound=SCNYM)


def model_of_query(
    cls: type[Model], adata: AnnData | MuData, reference_model: str | PathLike[str] | Model
) -> Model:
    """Return a copy of a trained model, attached to other cells and without their split."""
    with _compat.unchanged_on_error(cls, adata):
        if isinstance(reference_model, str | PathLike):
            model = cls.load(reference_model, adata=adata)
        else:
            reference_model._require_trained()
            with TemporaryDirectory() as folder:
                reference_model.save(folder, overwrite=True)
                model = cls.load(folder, adata=adata)
        model._require_trained()
    model.train_indices_ = model.validation_indices_ = model.test_indices_ = np.array([], int)
    model._split_fingerprint_ = None
    return model
