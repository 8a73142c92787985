"""SCARE in its forms, and the models that it is compared with, trained the same way."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from _rankings import _quiet_scvi
from _scare_data import BATCH, TIME, TYPE, load

from ace import _compat
from ace.model import SCARE
from ace.model.scare import _model as defaults

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

N_LATENT = 20
#: Epochs of SCANVI after those of SCVI: what scvi-tools takes for so few cells is 10 to 20.
SCANVI_EPOCHS = 20
Row = dict[str, Any]


@dataclass(frozen=True)
class Budget:
    """What may be set from outside; ``None`` leaves it to the model."""

    epochs: int | None = None
    weight: float | None = None


@dataclass(frozen=True)
class Method:
    """A model, what it is told, and its settings where they are not the defaults."""

    kind: str = "SCARE"
    truth: str = "genes"  # "genes", "random", "nothing" (of no effect) or "zero" (no gene at all)
    labels: bool = True  # whether types are set up: references are then drawn by type
    alone: bool = False  # sees the genes of the set and no others
    weight: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def listens(self) -> bool:
        """Whether the genes make a difference to the training."""
        return self.truth != "nothing" or self.alone


def _published(target: str, **settings: Any) -> Method:
    """The loss of the paper: min-max, squares, references of the minibatch."""
    given = {"target": target, "loss": "mse", "transform": "abs_minmax", "reference": "minibatch"}
    return Method(settings=given | settings)


OURS, PLAIN, SCVI = "SCARE", "SCARE, weight 0", "SCVI"
UNLABELLED = f"{OURS}, types not given"
RANDOM = f"{OURS}, random genes"
ALONE = f"{PLAIN}, the set's genes alone"
PUBLISHED = "published"
METHODS = {
    OURS: Method(),
    UNLABELLED: Method(labels=False),
    PLAIN: Method(truth="nothing"),
    SCVI: Method("SCVI", "nothing"),
    ALONE: Method(truth="nothing", alone=True),
    RANDOM: Method(truth="random"),
    f"{OURS}, reference minibatch": Method(settings={"reference": "minibatch"}),
    f"{OURS}, transform abs_share, weight 60": Method(
        weight=60.0, settings={"transform": "abs_share"}
    ),
    f"{OURS}, target random_projection": Method(settings={"target": "random_projection"}),
    f"{PUBLISHED}, encoder_sum": _published("encoder_sum"),
    f"{PUBLISHED}, encoder_norm": _published("encoder_norm"),
    f"{PUBLISHED}, decoder_sum": _published("decoder_sum"),
    f"{PUBLISHED}, random_projection": _published("random_projection"),
    f"{PUBLISHED}, random_projection, sigmoid": _published(
        "random_projection", transform="sigmoid"
    ),
    f"{PUBLISHED}, random_projection, integrated gradients": _published(
        "random_projection", attribution="integrated_gradients"
    ),
}
#: Weights of the scan: of our loss, and of the published one with two of its targets.
SCAN = {
    OURS: (20.0, 60.0, 100.0, 200.0, 400.0),
    UNLABELLED: (20.0, 60.0, 150.0),
    f"{PUBLISHED}, random_projection": (1e4, 5e4, 1e5),
    f"{PUBLISHED}, encoder_sum": (1e4, 1e5),
}


def scanned() -> dict[str, Method]:
    """The methods of the scan, each with each of its weights."""
    return {
        f"{name}, weight {weight:g}": replace(METHODS[name], weight=weight)
        for name, weights in SCAN.items()
        for weight in weights
    }


def epochs_of(n_cells: int, budget: Budget, batch_size: int = 128) -> int:
    """Epochs that SCARE takes for so many cells, so that others are trained as long."""
    if budget.epochs is not None:
        return budget.epochs
    n = n_cells - int(np.ceil(0.1 * n_cells))
    epochs = _compat.get_max_epochs_heuristic(n, epochs_cap=defaults.MAX_EPOCHS)
    return max(epochs, -(-defaults.MIN_STEPS // -(-n // batch_size)))


@lru_cache(maxsize=2)
def _trained(
    data: str, method: str, genes: tuple[str, ...] | None, seed: int, budget: Budget
) -> tuple[AnnData, Any, float]:
    spec = (METHODS | scanned())[method]
    adata = load(data)
    return train(adata[:, list(genes or ())] if spec.alone else adata, spec, genes, seed, budget)


def trained(
    data: str, method: str, genes: list[str], seed: int, budget: Budget
) -> tuple[AnnData, Any, float]:
    """Cells, model and seconds; the last two are kept, for sets that make no difference."""
    told = tuple(genes) if (METHODS | scanned())[method].listens else None
    return _trained(data, method, told, seed, budget)


def train(
    adata: AnnData, method: Method, truth: Any, seed: int, budget: Budget
) -> tuple[AnnData, Any, float]:
    """Train a model on a copy of the cells; give both, and the seconds."""
    own = adata.copy()
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = (_scvi if method.kind == "SCVI" else _scare)(own, method, truth, seed, budget)
    return own, model, time.perf_counter() - start


def _scare(adata: AnnData, method: Method, truth: Any, seed: int, budget: Budget) -> SCARE:
    _quiet_scvi(seed)
    batch = BATCH if BATCH in adata.obs else None
    SCARE.setup_anndata(adata, batch_key=batch, labels_key=TYPE if method.labels else None)
    if method.truth == "nothing":
        truth = None
    elif method.truth == "zero":
        truth = []
    elif isinstance(truth, tuple):
        truth = list(truth)
    model = SCARE(adata, ground_truth=truth, random_state=seed, **method.settings)
    weight = method.weight if method.weight is not None else budget.weight
    model.train(
        max_epochs=budget.epochs,
        accelerator="cpu",
        enable_progress_bar=False,
        plan_kwargs={} if weight is None or truth is None else {"attribution_weight": weight},
    )
    return model


def _scvi(adata: AnnData, method: Method, truth: Any, seed: int, budget: Budget) -> Any:
    """The same network, likelihood, cells in training, and rise of the divergence."""
    scvi = _quiet_scvi(seed)
    batch = BATCH if BATCH in adata.obs else None
    scvi.model.SCVI.setup_anndata(adata, batch_key=batch)
    model = scvi.model.SCVI(adata, n_latent=N_LATENT, gene_likelihood="nb", encode_covariates=True)
    epochs = epochs_of(adata.n_obs, budget)
    model.train(
        max_epochs=epochs,
        accelerator="cpu",
        enable_progress_bar=False,
        plan_kwargs={"n_epochs_kl_warmup": epochs},
    )
    return model


def scanvi_of_time(adata: AnnData, seed: int, budget: Budget) -> tuple[AnnData, Any, float]:
    """SCANVI with time as the label, after SCVI trained as above."""
    scvi = _quiet_scvi(seed)
    own = adata.copy()
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        base = _scvi(own, Method("SCVI"), None, seed, budget)
        model = scvi.model.SCANVI.from_scvi_model(
            base, labels_key=TIME, unlabeled_category="unknown"
        )
        epochs = SCANVI_EPOCHS if budget.epochs is None else min(budget.epochs, SCANVI_EPOCHS)
        model.train(max_epochs=epochs, accelerator="cpu", enable_progress_bar=False)
    return own, model, time.perf_counter() - start


def attributions(adata: AnnData, model: Any, n_samples: int = 5) -> pd.DataFrame:
    """Attributions by one measure for all models: the default target, references by type.

    The weights are put into an SCARE of the default settings, whose network is that of SCVI.
    """
    _quiet_scvi(0)
    own = adata.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = BATCH if BATCH in own.obs else None
        SCARE.setup_anndata(own, batch_key=batch, labels_key=TYPE)
        probe = SCARE(own, random_state=0)
    probe.module.load_state_dict(model.module.state_dict())
    probe.is_trained_ = True
    return probe.get_attributions(n_samples=n_samples)
