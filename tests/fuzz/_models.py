"""Draw calls of the models, and check their results."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tests.fuzz._cells import pick, standard_cells
from tests.fuzz._drawn import Drawn, require

import ace

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData

QUIET = {"enable_progress_bar": False}
MODELS = ("KRATOS", "ACE", "SCNYM", "SCARE")
INIT: dict[str, dict[str, Any]] = {
    "KRATOS": {"n_hidden": (8,)},
    "ACE": {"n_hidden": (8,), "n_latent": 3},
    "SCNYM": {"n_hidden": 8},
    "SCARE": {"n_hidden": 8, "n_latent": 3, "ground_truth": ["g0", "g3", "g6"]},
}


@functools.cache
def trained(name: str) -> Any:
    """A model trained on the standard cells, each once."""
    adata = standard_cells()
    cls = getattr(ace.model, name)
    if name == "SCARE":
        cls.setup_anndata(adata, layer="counts", batch_key="batch")
    elif name == "ACE":
        cls.setup_anndata(adata, batch_key="batch")
    else:
        cls.setup_anndata(adata, labels_key="ct")
    model = cls(adata, **INIT[name])
    model.train(max_epochs=2, batch_size=30, **QUIET)
    return model


def embedding(rng: np.random.Generator, n_genes: int) -> torch.nn.Module:
    """An embedding of the user's own, cells × genes → cells × 3."""
    linear = torch.nn.Linear(n_genes, 3)
    weight = torch.from_numpy(rng.normal(size=(3, n_genes)))
    linear.load_state_dict({"weight": weight, "bias": torch.zeros(3)})
    return linear


def query(rng: np.random.Generator, adata: AnnData) -> Callable[[], Any]:
    """Pass odd cells to a trained model."""
    name = pick(rng, MODELS)
    model = trained(name)
    draw = Drawn(rng)
    draw.count("batch_size", 1, 7, 1000)
    draw.choice("indices", [0], [], slice(None), [True] * adata.n_obs, [0, -1], default=0.7)
    given = draw.given
    ask = pick(rng, ["latent", "latent", "predict", "evaluate"])

    def call() -> None:
        if ask == "latent" or name == "SCARE":
            z = model.get_latent_representation(adata, **given)
            require(np.isfinite(z).all(), "latent is not finite")
        elif ask == "predict":
            found = model.predict(adata, soft=True, **given).to_numpy()
            require(np.isfinite(found).all(), "probabilities are not finite")
        elif name != "ACE":
            model.evaluate(adata)

    return call


def model(rng: np.random.Generator, adata: AnnData) -> Callable[[], Any]:
    """Set up and train a model, use it, save it and load it."""
    name = pick(rng, MODELS)
    cls = getattr(ace.model, name)
    setup, build, fit = _setup(rng, name), _build(rng, name), _fit(rng, name)
    asked = pick(rng, ["latent", "predict", "evaluate"])

    is_set_up: list[bool] = []

    def call() -> None:
        cls.setup_anndata(adata, **setup.given)
        is_set_up.append(True)
        made = cls(adata, **build.given)
        made.train(**fit.given, **QUIET)
        z = made.get_latent_representation()
        require(len(z) == adata.n_obs and np.isfinite(z).all(), "latent is not finite")
        if name in ("KRATOS", "SCNYM"):
            found = made.predict(soft=True).to_numpy()
            require(np.allclose(found.sum(1), 1, atol=1e-4), "probabilities do not sum to 1")
            if asked == "evaluate":
                made.evaluate()
        with tempfile.TemporaryDirectory() as folder:
            made.save(Path(folder) / "model", overwrite=True)
            loaded = cls.load(Path(folder) / "model", adata)
            require(
                np.array_equal(loaded.get_latent_representation(), z), "the loaded model differs"
            )

    return call


def _setup(rng: np.random.Generator, name: str) -> Drawn:
    """Draw arguments of ``setup_anndata``."""
    setup = Drawn(rng, oddness=0.04)
    if name in ("KRATOS", "SCNYM"):
        setup.column("labels_key", "ct", "ct", "batch")
        setup.choice("unlabeled_category", "T0", "Unknown", None, 1, default=0.7)
    if name == "SCNYM":
        setup.column("domain_key", "batch", ["batch"], default=0.6)
    if name in ("ACE", "SCARE"):
        setup.column("batch_key", "batch", default=0.5)
        setup.column("labels_key", "ct", default=0.5)
    if name == "SCARE":
        setup.column("continuous_covariate_keys", ["number"], default=0.9)
        setup.column("categorical_covariate_keys", ["cluster"], default=0.9)
    setup.choice("layer", "counts", default=0.85 if name != "SCARE" else 0.5)
    return setup


def _build(rng: np.random.Generator, name: str) -> Drawn:
    """Draw arguments of the model."""
    build = Drawn(rng, oddness=0.04)
    build.given = dict(INIT[name])
    if name in ("KRATOS", "ACE"):
        build.choice("n_hidden", 4, (4, 3), [4], np.int64(4), default=0.8)
    else:
        build.count("n_hidden", 4, 1, default=0.8)
        build.count("n_layers", 1, 2, default=0.8)
    if name in ("ACE", "SCARE"):
        build.count("n_latent", 2, 1, default=0.8)
    build.rate("dropout_rate", 0.1, 0.5, 0)
    build.seed()
    if name == "ACE":
        build.count("n_clusters", 2, 3, default=0.8)
        build.count("n_selected", 2, 5, default=0.9)
        build.rate("cluster_weight", 1.0)
    if name == "SCARE":
        build.choice("ground_truth", ["g0"], None, [["g0"], ["g1"]], default=0.7)
        build.choice("attribution", "expected_gradients", "integrated_gradients", default=0.9)
    if name == "SCNYM":
        build.choice("normalization", "batch", "layer", default=0.7)
    return build


def _fit(rng: np.random.Generator, name: str) -> Drawn:
    """Draw arguments of ``train``."""
    fit = Drawn(rng, oddness=0.03)
    fit.given = {"max_epochs": 1}
    fit.count("max_epochs", 1, 2, default=0.9)
    fit.count("batch_size", 1, 8, 59, 1000, default=0.5)
    fit.rate("train_size", 0.5, 0.9, 1.0)
    fit.rate("lr", 1e-3, None, default=0.9)
    fit.rate("weight_decay", 1e-4, 0.0, None, default=0.9)
    fit.seed()
    if name == "KRATOS":
        fit.given["early_stopping"] = bool(rng.random() < 0.3)
    return fit
