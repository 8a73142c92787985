"""Attributions of a trained model for every cell, averaged over random draws."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scvi import REGISTRY_KEYS
from scvi import settings as scvi_settings

from ace import _checks
from ace._threads import seeded
from ace.model.base._reader import row_numbers
from ace.model.scare._attribution import TINY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

    from ace.model.base._reader import MatrixReader
    from ace.model.scare import SCARE
    from ace.model.scare._loss import AttributionSettings
    from ace.model.scare._module import ScareModule


def attribute_cells(
    model: SCARE,
    adata: AnnData | MuData | None,
    indices: Sequence[int] | np.ndarray | None,
    *,
    dimension: int | None,
    absolute: bool,
    n_samples: int,
    batch_size: int | None,
    seed: int,
) -> tuple[np.ndarray, pd.Index]:
    """Attribute the latent space of a model to the genes.

    Takes the arguments of :meth:`ace.model.SCARE.get_attributions`.

    Returns
    -------
    Attributions of shape ``(n_cells, n_genes)``, float32, and the names of the cells.
    """
    _checks.whole(n_samples, "n_samples", 1)
    batch_size = scvi_settings.batch_size if batch_size is None else batch_size
    _checks.whole(batch_size, "batch_size")
    settings = model._settings
    if dimension is not None:
        _checks.whole(dimension, "dimension", 0, model.module.n_latent - 1)
        settings = settings.of_dimension(int(dimension))
    if settings.kind == "integrated_gradients" and settings.target != "random_projection":
        n_samples = 1  # deterministic
    reader, covariates = model._reader(adata), model._covariates(adata)
    rows = row_numbers(indices, len(reader))
    labels = covariates[REGISTRY_KEYS.LABELS_KEY][:, 0]
    if settings.reference == "label" and (labels[rows] < 0).any():
        settings = replace(settings, reference="neighbor")
    values = _mean_attributions(
        model.module,
        settings,
        reader,
        covariates,
        rows,
        n_samples=n_samples,
        absolute=absolute,
        batch_size=batch_size,
        seed=seed,
    )
    return values, model._cells(adata).obs_names[rows]


def _mean_attributions(
    module: ScareModule,
    settings: AttributionSettings,
    reader: MatrixReader,
    covariates: Mapping[str, np.ndarray],
    rows: np.ndarray,
    *,
    n_samples: int,
    absolute: bool,
    batch_size: int,
    seed: int,
) -> np.ndarray:
    """Average the attributions of some rows over draws of references and points.

    Raises
    ------
    ValueError
        If references are neighbours and a minibatch has a single cell.
    """
    labels = covariates[REGISTRY_KEYS.LABELS_KEY][:, 0]
    kinds = labels if settings.reference == "label" else np.zeros_like(labels)
    expected = settings.kind == "expected_gradients"
    near = expected and settings.reference == "neighbor"
    if near and min(len(rows), batch_size) == 1:
        raise ValueError(
            "the references of a cell are its neighbours among the cells of a minibatch: pass "
            "several cells, and a batch_size above 1."
        )
    module.eval()
    rng = np.random.default_rng(seed)
    found = np.empty((len(rows), reader.n_genes), dtype=np.float32)
    with seeded(seed):
        # Random minibatches of similar size: neighbours are searched among the cells of one.
        for here in np.array_split(rng.permutation(len(rows)), max(1, len(rows) // batch_size)):
            if not len(here):
                continue
            x = _counts(reader, rows[here], module.device)
            tensors = {REGISTRY_KEYS.X_KEY: x} | {
                key: torch.from_numpy(values[rows[here]]).to(x.device)
                for key, values in covariates.items()
            }
            total = torch.zeros_like(x)
            for _ in range(n_samples):
                references = None
                if expected and not near:
                    drawn = reader.dense(others_of(rows[here], kinds, rng))
                    references = torch.log1p(torch.from_numpy(drawn).to(x.device))
                values = settings.attributions(module, tensors, references=references)
                total += values.abs() if absolute else values
            found[here] = (total / n_samples).cpu().numpy()
    return found


def _counts(reader: MatrixReader, rows: np.ndarray, device: torch.device) -> torch.Tensor:
    x = reader.dense(rows)
    _checks.computable(x)
    return torch.from_numpy(x).to(device)


def mean_shares(attributions: np.ndarray) -> np.ndarray:
    """Return the mean share of each gene in the attribution of a cell.

    Parameters
    ----------
    attributions
        Absolute attributions, shape ``(n_cells, n_genes)``.
    """
    return (attributions / (attributions.sum(1, keepdims=True) + TINY)).mean(0)


def others_of(rows: np.ndarray, kinds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw another row of the same kind for each row; the row itself if there is no other.

    Parameters
    ----------
    rows
        Row numbers.
    kinds
        Kind of every row.
    rng
        Source of randomness.
    """
    order = np.argsort(kinds, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    _, code, sizes = np.unique(kinds, return_inverse=True, return_counts=True)
    first = (np.cumsum(sizes) - sizes)[code[rows]]
    size = sizes[code[rows]]
    shift = rng.integers(1, np.maximum(size, 2))
    return order[first + (place[rows] - first + shift) % size]
