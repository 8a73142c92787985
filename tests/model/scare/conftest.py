"""Blood cells with counts, and a tiny network whose derivatives can be checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scvi import REGISTRY_KEYS

from ace.model import SCARE
from ace.model.scare import ScareModule

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData

N_GENES = 6


@pytest.fixture
def adata(pbmc: AnnData) -> AnnData:
    """Real blood cells, counts in ``X``."""
    pbmc.X = pbmc.layers["counts"].astype(np.float32)
    return pbmc


@pytest.fixture
def new() -> Callable[..., SCARE]:
    """Return a function that sets up cells with batches and labels, and builds a model."""

    def build(adata: AnnData, **init: Any) -> SCARE:
        SCARE.setup_anndata(adata, batch_key="phase", labels_key="bulk_labels")
        return SCARE(adata, **{"n_hidden": 32, "n_latent": 8, "random_state": 0} | init)

    return build


@pytest.fixture
def trained(new: Callable[..., SCARE]) -> Callable[..., SCARE]:
    """Return a function that also trains the model."""

    def fit(adata: AnnData, max_epochs: int = 3, **init: Any) -> SCARE:
        model = new(adata, **init)
        model.train(max_epochs=max_epochs, enable_progress_bar=False)
        return model

    return fit


@pytest.fixture
def network() -> ScareModule:
    """A network of two batches and six genes, in double precision."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = ScareModule(
            N_GENES,
            n_batch=2,
            n_hidden=5,
            n_latent=3,
            gene_likelihood="nb",
            encode_covariates=True,
        )
    for part in module.modules():  # other running statistics than those of a new layer
        if isinstance(part, torch.nn.BatchNorm1d):
            part.running_mean.uniform_(-0.3, 0.3, generator=torch.Generator().manual_seed(1))
            part.running_var.uniform_(0.5, 2.0, generator=torch.Generator().manual_seed(2))
    return module.double().eval()


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    """A minibatch of five cells of two batches and two labels."""
    rng = np.random.default_rng(0)
    return {
        REGISTRY_KEYS.X_KEY: torch.from_numpy(rng.poisson(3, (5, N_GENES)).astype(float)),
        REGISTRY_KEYS.BATCH_KEY: torch.tensor([[0], [1], [0], [1], [0]]),
        REGISTRY_KEYS.LABELS_KEY: torch.tensor([[0], [0], [1], [1], [0]]),
        REGISTRY_KEYS.INDICES_KEY: torch.arange(5),
    }
