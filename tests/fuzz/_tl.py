"""Draw calls of the functions of ``ace.tl``, and check their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from tests.fuzz._cells import pick, standard_cells
from tests.fuzz._drawn import ODD_COUNTS, Drawn, require
from tests.fuzz._models import MODELS, embedding, trained

import ace

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData


def explain(rng: np.random.Generator, adata: AnnData) -> Callable[[], Any]:
    draw = Drawn(rng)
    method = pick(rng, [*ace.explain.methods().index, "panel", "panel"])
    draw.given["method"] = "nothing" if draw.odd() else method
    draw.column("groupby", "ct", "ct", "ct", "batch", "cluster")
    sets = {"T": ["T0", "T1"]}
    draw.choice("groups", "all", ["A", "B"], ["T0", "T1"], ["T0"], "T0", sets, default=0.8)
    draw.choice("reference", "rest", "each", "A", "T1", ["T1", "T2"], default=0.75)
    draw.column("within", "batch", "cluster", default=0.9)
    draw.choice("pvals", "wilcoxon", "t-test", default=0.9)
    draw.choice("layer", "counts", default=0.9)
    draw.count("n_cells", 20, 1, 5, default=0.5)
    draw.count("n_prototypes", 1, 3, 50, default=0.7)
    if rng.random() < 0.2:
        draw.given["per_cell"] = True
    if rng.random() < 0.15:
        draw.given["copy"] = True
    if rng.random() < 0.2:
        draw.given["model"] = "X_pca" if draw.odd() else trained(pick(rng, MODELS))
    elif rng.random() < 0.1:
        draw.given["model"] = embedding(rng, adata.n_vars)
    draw.name()
    draw.seed()
    _draw_options(draw, method)
    if draw.odd():
        draw.given["nothing"] = 1
    given = draw.given

    def call() -> AnnData:
        changed = ace.tl.explain(adata, **given)
        return _explained(changed if given.get("copy") else adata, given.get("key_added", "ace"))

    return call


def _draw_options(draw: Drawn, method: str) -> None:
    """Draw options of a method of explanation."""
    match method:
        case "panel":
            draw.count("n_pairs", 50, 1)
            draw.rate("mass", 0.5, 1.0)
            draw.count("max_candidates", 10, 1)
            draw.count("n_joint", 2, 1)
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
    if rng.random() < 0.2:
        draw.given["return_model"] = True
    given = draw.given

    def call() -> AnnData:
        found = ace.tl.annotate(adata, **given)
        expected = ace.model.SCNYM if given.get("return_model") else type(None)
        require(isinstance(found, expected), f"returned {type(found).__name__}")
        key = given.get("key_added", "scnym")
        confidence = adata.obs[f"{key}_confidence"].to_numpy(dtype=float)
        require(((confidence >= 0) & (confidence <= 1)).all(), "confidence beyond 0 and 1")
        require(np.isfinite(adata.obsm[f"X_{key}"]).all(), "embedding is not finite")
        require(not adata.obs[key].isna().any(), "cells without a label")
        return adata

    return call


def fssf(rng: np.random.Generator, adata: AnnData) -> Callable[[], Any]:
    draw = Drawn(rng)
    draw.given["model"] = (
        pick(rng, ["X_pca", None, 3]) if draw.odd() else trained(pick(rng, MODELS))
    )
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
        ace.tl.fssf(adata, **given)
        frame = ace.get.fssf_df(adata, key=given.get("key_added", "fssf"))
        require(frame["fssf"].between(-1, 1).all(), "scores beyond -1 and 1")
        return adata

    return call
