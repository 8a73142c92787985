"""Odd arguments for every public function, and what a result must be like."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
from tests.fuzz._cells import pick, standard_cells
from tests.fuzz._drawn import ODD_COUNTS, Drawn, require

import ace

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData

QUIET = {"enable_progress_bar": False}
MODELS = ("KRATOS", "ACE", "SCNYM", "SCARE")
INIT: dict[str, dict[str, Any]] = {
    "KRATOS": {"n_hidden": (8,)},
    "ACE": {"hidden": (8,), "n_latent": 3},
    "SCNYM": {"n_hidden": 8},
    "SCARE": {"n_hidden": 8, "n_latent": 3, "ground_truth": ["g0", "g3", "g6"]},
}


# -- functions on an AnnData ------------------------------------------------------------------


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


def explain(rng: np.random.Generator, adata: AnnData) -> Callable[[], Any]:
    draw = Drawn(rng)
    method = pick(rng, [*ace.explain.methods().index, "panel", "panel"])
    draw.given["method"] = "nothing" if draw.odd() else method
    draw.column("groupby", "ct", "ct", "ct", "batch", "cluster")
    draw.choice("groups", "all", ["A", "B"], ["T0", "T1"], ["T0"], default=0.85)
    draw.choice("reference", "rest", "each", "A", "T1", default=0.75)
    draw.choice("layer", "counts", default=0.9)
    draw.count("n_cells", 20, 1, 5, default=0.5)
    draw.count("n_prototypes", 1, 3, 50, default=0.7)
    if rng.random() < 0.2:
        draw.given["per_cell"] = True
    if rng.random() < 0.15:
        draw.given["copy"] = True
    if rng.random() < 0.2:
        draw.given["model"] = "X_pca" if draw.odd() else trained(pick(rng, MODELS))
    draw.name()
    draw.seed()
    match method:
        case "panel":
            draw.count("n_pairs", 50, 1)
            draw.rate("mass", 0.5, 1.0)
            draw.count("max_candidates", 10, 1)
            draw.count("n_joint", 2, 1)
            draw.rate("sparing", 0.5, 0.0)
        case "adversarial":
            draw.given["max_steps"] = 10
            draw.rate("penalty", 10.0)
            draw.rate("margin", 0.0)
            draw.rate("step_size", 0.1, None)
            draw.rate("tol", 0.1)
            draw.choice("bounds", "observed", None, (0.0, 1.0), (0.0, 5.0), default=0.8)
            draw.choice("output", "logit", "probability", default=0.8)
        case "smoothgrad":
            draw.count("n_samples", 2, default=0)
            draw.rate("noise", 0.1, 0.0)
        case "shap" | "expected_gradients":
            draw.count("n_samples", 1, default=0)
        case "integrated_gradients":
            draw.count("n_steps", 5, default=0)
            draw.rate("baseline", 0.5, -1.0)
    if draw.odd():
        draw.given["nothing"] = 1
    given = draw.given

    def call() -> AnnData:
        changed = ace.tl.explain(adata, **given)
        return _explained(changed if given.get("copy") else adata, given.get("key_added", "ace"))

    return call


def rank_specificity(rng: np.random.Generator, adata: AnnData) -> Callable[[], Any]:
    draw = Drawn(rng)
    draw.column("groupby", "ct", "ct", "ct", "batch", "cluster")
    draw.choice("groups", "all", ["T0"], ["T0", "T1"], default=0.8)
    draw.choice("layer", "counts", default=0.85)
    draw.rate("min_fraction", 0.0, 0.5, 1)
    draw.count("n_genes", 1, 5, 1000)
    draw.name()
    given = draw.given

    def call() -> AnnData:
        ace.tl.rank_specificity(adata, **given)
        return _explained(adata, given.get("key_added", "rank_specificity"))

    return call


def _explained(adata: AnnData, key: str) -> AnnData:
    """Check what an explanation wrote."""
    stored = adata.uns[key]
    scores = adata.varm[f"{key}_scores"]
    require(np.isfinite(np.asarray(scores, dtype=float)).all(), "scores are not finite")
    frame = ace.get.explain_df(adata, key=key)
    require(len(frame) > 0, "no gene is ranked")
    require(set(frame["gene"]) <= set(adata.var_names.astype(str)), "genes of other names")
    fractions = frame[["pct_in", "pct_out"]].to_numpy()
    require(((fractions >= 0) & (fractions <= 1 + 1e-6)).all(), "fractions beyond 0 and 1")
    fidelity = stored["params"].get("fidelity", 1.0)
    require(0 <= fidelity <= 1, f"fidelity of {fidelity}")
    return adata


def informative_genes(rng: np.random.Generator, adata: AnnData) -> Callable[[], Any]:
    draw = Drawn(rng)
    draw.column("groupby", "ct", "ct", "batch", "cluster")
    draw.column("within", "batch", "ct", default=0.7)
    draw.choice("layer", "counts", default=0.85)
    draw.count("n_genes", 1, 5, 1000)
    draw.count("n_bins", 2, 5, None)
    draw.count("min_cells", 1, 2, 10, default=0.3)
    draw.name()
    draw.seed()
    given = draw.given

    def call() -> AnnData:
        found = ace.tl.informative_genes(adata, **given)
        for genes in found.values() if isinstance(found, dict) else [found]:
            require(set(genes) <= set(adata.var_names.astype(str)), "genes of other names")
        scores = adata.uns[given.get("key_added", "informative_genes")]["scores"]
        require((scores.to_numpy(dtype=float) >= 0).all(), "negative mutual information")
        return adata

    return call


def annotate(rng: np.random.Generator, adata: AnnData) -> Callable[[], Any]:
    draw = Drawn(rng)
    draw.column("labels_key", "ct", "ct", "ct", "batch")
    draw.given["max_epochs"] = pick(rng, ODD_COUNTS) if draw.odd() else 1
    draw.column("domain_key", "batch", ["batch"], default=0.8)
    draw.column("over_clustering", "cluster", "batch", default=0.85)
    draw.choice("layer", "counts", default=0.9)
    draw.count("n_top_genes", 10, 2, 5000, default=0.7)
    draw.rate("min_prop", 0.5)
    draw.choice("unlabeled_category", "T0", "Unknown", "T2", 1, default=0.3)
    draw.choice("preset", "default", "new_identity", "supervised", "published", default=0.6)
    if rng.random() < 0.5:
        draw.given["reference"] = adata if draw.odd() else standard_cells(1)
    if draw.odd():
        draw.given["nothing"] = 1
    draw.count("batch_size", 1, 16, default=0.8)
    draw.name()
    draw.seed()
    given = draw.given

    def call() -> AnnData:
        ace.tl.annotate(adata, **given)
        key = given.get("key_added", "scnym")
        confidence = adata.obs[f"{key}_confidence"].to_numpy(dtype=float)
        require(((confidence >= 0) & (confidence <= 1)).all(), "confidence beyond 0 and 1")
        require(np.isfinite(adata.obsm[f"X_{key}"]).all(), "embedding is not finite")
        require(not adata.obs[key].isna().any(), "cells without a label")
        return adata

    return call


def fssf(rng: np.random.Generator, adata: AnnData) -> Callable[[], Any]:
    draw = Drawn(rng)
    model = pick(rng, ["X_pca", None, 3]) if draw.odd() else trained(pick(rng, MODELS))
    draw.choice(
        "genes",
        ["g0", "g3"],
        ["g1"],
        {"T0": ["g0"], "T1": ["g1"]},
        "highly_variable",
        ("g0", "g0"),
        default=0,
    )
    draw.given.setdefault("genes", ["g0", "g3", "g6"])
    draw.column("groupby", "ct", "ct", "batch")
    draw.column("subclusters", "batch", "cluster", default=0.7)
    draw.choice("dimensions", [0], slice(0, 2), [0, 1], [99], default=0.8)
    draw.rate("resolution", 1.0, 0.1, 5.0)
    draw.count("n_neighbors", 5, 1, 2, 3, default=0.3)
    draw.count("min_cells", 2, 3, default=0.2)
    draw.count("max_cells", 5, None)
    draw.count("n_random", 2, 0, default=0)
    draw.given.setdefault("n_random", 2)
    draw.count("batch_size", 1, 64)
    draw.name()
    draw.seed()
    given = draw.given

    def call() -> AnnData:
        ace.tl.fssf(adata, model=model, **given)
        frame = ace.get.fssf_df(adata, key=given.get("key_added", "fssf"))
        require(frame["fssf"].between(-1, 1).all(), "scores beyond -1 and 1")
        return adata

    return call


def query(rng: np.random.Generator, adata: AnnData) -> Callable[[], Any]:
    """Ask a trained model about odd cells."""
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


# -- the four models --------------------------------------------------------------------------


def model(rng: np.random.Generator, adata: AnnData) -> Callable[[], Any]:
    """Set up, build, train an epoch, ask, save and load."""
    name = pick(rng, MODELS)
    cls = getattr(ace.model, name)
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
    build = Drawn(rng, oddness=0.04)
    build.given = dict(INIT[name])
    if name in ("KRATOS", "ACE"):
        build.choice(
            "n_hidden" if name == "KRATOS" else "hidden", 4, (4, 3), [4], np.int64(4), default=0.8
        )
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
        build.choice("attribution", "expected_gradients", "gradient", default=0.9)
    if name == "SCNYM":
        build.choice("normalization", "batch", "layer", default=0.7)
    fit = Drawn(rng, oddness=0.03)
    fit.given = {"max_epochs": 1}
    fit.count("max_epochs", 1, 2, default=0.9)
    fit.count("batch_size", 1, 8, 59, 1000, default=0.5)
    fit.rate("train_size", 0.5, 0.9, 1.0)
    fit.seed()
    if name == "KRATOS":
        fit.given["early_stopping"] = bool(rng.random() < 0.3)
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
                np.array_equal(loaded.get_latent_representation(), z), "loaded model says another"
            )

    return call


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
    "explain": ("uns/{key}", "varm/{key}_scores", "layers/{key}_cells"),
    "rank_specificity": ("uns/{key}", "varm/{key}_scores", "layers/{key}_cells"),
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
    """Say why an object cannot be written and read back as it is; ``None`` if it can."""
    path = folder / "written.h5ad"
    try:
        adata.write_h5ad(path)
        ad.read_h5ad(path)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is reported)
        return f"{type(error).__name__}: {str(error)[:200]}"
    return None
