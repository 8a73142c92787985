"""Fixtures of the suite that every model passes; to test a new model, add a case to ``CASES``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

if TYPE_CHECKING:
    from anndata import AnnData

#: Trainer arguments that keep Lightning quiet.
QUIET = {"enable_progress_bar": False}


@dataclass(frozen=True)
class ModelCase:
    """How the suite sets up, builds and trains one model on ``adata``.

    ``classifies`` models learn labels and have ``evaluate``; ``predicts`` models have
    ``predict``; all have ``get_latent_representation`` and ``group_scorer``. ``fewest_cells`` are
    needed for training; ``validation_metric`` is in the history; ``diverging`` are arguments
    of ``train`` with which it diverges.
    """

    name: str
    setup: dict[str, Any]
    init: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    classifies: bool = True
    predicts: bool = True
    fewest_cells: int = 1
    validation_metric: str = "validation_loss"
    diverging: tuple[dict[str, Any], ...] = ({"lr": 1e25}, {"lr": 1e5})

    @property
    def cls(self) -> Any:
        from ace import model

        return getattr(model, self.name)

    def new(self, adata: AnnData, **init: Any) -> Any:
        """Set up ``adata`` and build an untrained model."""
        self.cls.setup_anndata(adata, **self.setup)
        return self.cls(adata, **self.init | {"random_state": 0} | init)

    def trained(self, adata: AnnData, **train: Any) -> Any:
        """Set up ``adata``, build a model and train it."""
        model = self.new(adata)
        self.fit(model, **train)
        return model

    def fit(self, model: Any, **train: Any) -> None:
        model.train(**self.train | QUIET | train)

    def outputs(self, model: Any, adata: AnnData | None = None, **kwargs: Any) -> np.ndarray:
        """All outputs of the model for the cells, as one array with a row per cell."""
        parts = [model.get_latent_representation(adata, **kwargs)]
        if self.classifies:
            parts.append(model.predict(adata, soft=True, **kwargs).to_numpy())
        return np.concatenate(parts, axis=1)

    def scorer_input(self, model: Any, adata: AnnData) -> tuple[torch.Tensor, ...]:
        """Input of the model's scorer for these cells."""
        if self.cls._expects_counts:
            from ace.model.adapter import LatentSpaceAdapter

            adapter, rows = LatentSpaceAdapter(model, adata), np.arange(adata.n_obs)
            return adapter.expression(rows), torch.from_numpy(adapter.context(rows))
        return (torch.from_numpy(adata.X.toarray()),)


CASES = [
    ModelCase(
        name="KRATOS",
        setup={"labels_key": "bulk_labels"},
        init={"n_hidden": (32, 8), "dropout_rate": 0.1},
        train={"max_epochs": 3, "early_stopping": False},
    ),
    ModelCase(
        name="ACE",
        setup={"batch_key": "phase", "labels_key": "bulk_labels"},
        init={"n_hidden": (32, 16), "n_latent": 6, "cluster_weight": 1.0},
        train={"max_epochs": 8, "batch_size": 32, "lr": 3e-3, "warmup_epochs": 2},
        classifies=False,
        fewest_cells=65,  # at least one cell per label
        # The total loss is not comparable before and after clustering starts.
        validation_metric="validation_reconstruction",
    ),
    ModelCase(
        name="SCNYM",
        setup={"labels_key": "bulk_labels", "domain_key": "phase"},
        init={"n_hidden": 32},
        train={
            "max_epochs": 8,
            "batch_size": 128,
            "plan_kwargs": {"ssl_ramp_epochs": 0, "adversary_ramp_epochs": 0},
        },
        fewest_cells=65,  # at least one cell per label
        diverging=({"lr": 1e25}, {"lr": 1e6}),
    ),
    ModelCase(
        name="SCARE",
        setup={
            "batch_key": "phase",
            "labels_key": "bulk_labels",
            "continuous_covariate_keys": ["S_score"],
        },
        init={"n_hidden": 32, "ground_truth": ["CD74", "CD79A", "LYZ", "NKG7", "S100A8"]},
        train={
            "max_epochs": 8,
            "plan_kwargs": {"attribution_warmup_epochs": 0, "kl_warmup_epochs": 0},
            "lr": 3e-3,
        },
        classifies=False,
        predicts=False,
        # The total loss is not comparable before and after the attribution loss is added.
        validation_metric="validation_reconstruction",
    ),
]


@pytest.fixture(params=CASES, ids=lambda case: case.name, scope="session")
def case(request: pytest.FixtureRequest) -> ModelCase:
    return request.param


@pytest.fixture(scope="session")
def _cells(_pbmc_original: AnnData, case: ModelCase) -> AnnData:
    # Drop types of fewer than 20 cells, which are not learned in a few epochs.
    sizes = _pbmc_original.obs["bulk_labels"].value_counts()
    common = sizes.index[sizes >= 20]
    cells = _pbmc_original[_pbmc_original.obs["bulk_labels"].isin(common)].copy()
    if case.cls._expects_counts:
        cells.X = cells.layers["counts"].astype(np.float32)
    return cells


@pytest.fixture
def adata(_cells: AnnData) -> AnnData:
    """Real blood cells in CSR format: counts for models of counts, else log-normalised."""
    return _cells.copy()


@pytest.fixture(scope="session")
def _trained(case: ModelCase, _cells: AnnData) -> Any:
    return case.trained(_cells.copy())


@pytest.fixture
def model(_trained: Any) -> Any:
    """A trained model, shared by all tests that do not change it."""
    return _trained


@pytest.fixture
def query(adata: AnnData) -> AnnData:
    """Unlabelled cells that the model has not been set up with."""
    query = adata[:90].copy()
    del query.obs["bulk_labels"]
    return query
