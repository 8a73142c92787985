"""Experiments on latent spaces: clusters against types, and Kratos' Table 2 and Figure 3."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import scanpy as sc
from anndata import AnnData
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors

import ace
from benchmarks.core.data import BATCH, GROUP, files, load
from benchmarks.core.experiment import Entry, experiment, revision
from benchmarks.core.measure import measure
from benchmarks.core.store import Task, Values
from benchmarks.methods import models
from benchmarks.methods.rankings import SCVI_EPOCHS

IGNORED = ", batches ignored"
#: Sets whose cells are drawn (ACE, Figures 3A and A.1), and latent spaces that are.
DRAWN = ("pbmc3k_processed", "symsim_220_clean", "symsim_220_complex")
DRAWN_SPACES = ("KRATOS, all cells", "KRATOS, held-out cells", "ACE", "GCE", "SCVI")


@dataclass(frozen=True)
class Space:
    """A latent space and the cost of learning it; a classifier's predictions and unseen cells."""

    latent: np.ndarray
    seconds: float
    clusters: np.ndarray | None = None
    predicted: np.ndarray | None = None
    unseen: np.ndarray | None = None


def autoencoder(adata: AnnData, seed: int, batch: str | None = None, **options: Any) -> Space:
    """ACE with as many clusters as there are types, without types."""
    options |= {"n_clusters": adata.obs[GROUP].nunique(), "random_state": seed}
    model, cost = models.trained("ACE", adata, seed, {"batch_key": batch}, **options)
    return Space(model.get_latent_representation(), cost.seconds, model.predict())


def components(adata: AnnData, seed: int, batch: str | None = None, n: int = 50) -> Space:
    latent, cost = measure(lambda: sc.pp.pca(adata.X, n_comps=n, random_state=seed))
    return Space(latent, cost.seconds)


def scvi(adata: AnnData, seed: int, batch: str | None = None) -> Space:
    """ScVI on counts, default settings."""
    given, train = {"layer": "counts", "batch_key": batch}, {"max_epochs": SCVI_EPOCHS}
    model, cost = models.trained("SCVI", adata, seed, given, train)
    return Space(model.get_latent_representation(), cost.seconds)


def kratos(adata: AnnData, seed: int, scale: str | None = None) -> Space:
    """Kratos, trained on the types of 70 % of the cells, as published."""
    seen, unseen = train_test_split(
        np.arange(adata.n_obs), test_size=0.3, stratify=adata.obs[GROUP], random_state=seed
    )
    own, options = adata[np.sort(seen)], {"scale": scale, "random_state": seed}
    given, train = {"labels_key": GROUP}, {"train_size": 0.9}
    model, cost = models.trained("KRATOS", own, seed, given, train, **options)
    every = adata.copy()
    predicted = np.asarray(model.predict(every)).astype(str)
    latent = model.get_latent_representation(every)
    return Space(latent, cost.seconds, predicted=predicted, unseen=np.sort(unseen))


def k_means(z: np.ndarray, adata: AnnData, seed: int) -> np.ndarray:
    """As many clusters as there are types, the best of ten starts."""
    return KMeans(adata.obs[GROUP].nunique(), n_init=10, random_state=seed).fit_predict(z)


def neighbours(z: np.ndarray, n: int) -> np.ndarray:
    """Nearest cells of each cell, itself left out."""
    return NearestNeighbors(n_neighbors=n).fit(z).kneighbors(return_distance=False)


def mixing(z: np.ndarray, groups: np.ndarray, n: int) -> float:
    """Neighbours of another group among the `n` nearest, over those of a random choice."""
    codes = np.unique(groups, return_inverse=True)[1]
    share = np.bincount(codes) / len(codes)
    return float((codes[neighbours(z, n)] != codes[:, None]).mean() / (1 - share @ share))


def drawing(adata: AnnData, z: np.ndarray, clusters: np.ndarray, seed: int) -> Values:
    """Cells in the plane, in hundredths, and what colours them."""
    import umap

    plane = umap.UMAP(random_state=seed).fit_transform(z)
    names, codes = np.unique(clusters.astype(str), return_inverse=True)
    types = adata.obs[GROUP].cat
    return {
        "umap": np.round(plane * 100).astype(np.int16),
        "cluster": codes.astype(np.int8),
        "cluster_names": names,
        "label": types.codes.to_numpy(),
        "label_names": types.categories.to_numpy().astype(str),
    }


def _clusters(task: Task, method: Entry, adata: AnnData, quick: bool) -> Values:
    """Clusters and the latent space against the types, and mixing of batches."""
    told = BATCH if BATCH in adata.obs and not task.method.endswith(IGNORED) else None
    space, cost = measure(lambda: method.run(adata, task.seed, told))
    z = space.latent
    clusters = k_means(z, adata, task.seed) if space.clusters is None else space.clusters
    types = adata.obs[GROUP].cat.codes.to_numpy()
    votes = np.eye(types.max() + 1)[types[neighbours(z, 15)]].sum(1)
    values: Values = {
        "seconds": cost.seconds,
        **ace.metrics.clustering_agreement(types, clusters)[["ari", "ami"]].iloc[0],
        "knn_accuracy": (votes.argmax(1) == types).mean(),
    }
    if BATCH in adata.obs:
        batches = adata.obs[BATCH].cat.codes.to_numpy()
        values["batch_mixing"] = mixing(z, batches, 30)
        values["batch_silhouette"] = silhouette_score(z, batches)
    if task.data in DRAWN and task.seed == 0 and task.method == "ACE":
        values["arrays"] = drawing(adata, z, clusters, 0)
    return values


def _cluster_methods() -> dict[str, Entry]:
    joined, published = {"cluster_weight": 0.1}, {"scale": "minmax", "dropout_rate": 0.0}
    of_ace = revision("ACE")
    found = {
        "ACE": Entry(autoencoder, of_ace),
        "ACE, clusters joined in (weight 0.1)": Entry(partial(autoencoder, **joined), of_ace),
        # As SAUCIE is published: genes from 0 to 1, every cell seen whole.
        "ACE, SAUCIE's settings": Entry(partial(autoencoder, **published), of_ace),
        "PCA + k-means": Entry(components),
        "scVI + k-means": Entry(scvi),
    }
    return found | {name + IGNORED: found[name] for name in ("ACE", "scVI + k-means")}


CLUSTERS = experiment(
    "clusters", _clusters, _cluster_methods, prepare=lambda task: load(task.data), files=files
)


@lru_cache(maxsize=1)
def _learned(learn: Callable[..., Space], data: str, seed: int) -> Space:
    """A space that is judged on several sets of cells."""
    return learn(load(data), seed)


def _representations(task: Task, method: Entry, adata: AnnData, quick: bool) -> Values:
    """Clusters and predictions in a latent space against the types, on all or unseen cells."""
    space = _learned(method.run, task.data, task.seed)
    held_out = task.method.endswith("held-out cells")
    cells = space.unseen if held_out else np.arange(adata.n_obs)
    own, z = adata[cells], space.latent[cells]
    clusters = k_means(z, own, task.seed) if space.clusters is None else space.clusters[cells]
    values: Values = {"train_seconds": space.seconds, "n_cells": len(z)}
    values |= _agreement(own, clusters, z)
    if space.predicted is not None:
        predicted = space.predicted[cells]
        beside = _agreement(own, predicted, z)
        values |= {f"{key}_predicted": beside[key] for key in ("ari", "ami", "silhouette")}
        values["accuracy"] = np.mean(predicted == own.obs[GROUP].to_numpy().astype(str))
    if task.seed == 0 and task.data == "pbmc3k_processed" and task.method in DRAWN_SPACES:
        values["arrays"] = drawing(own, z, clusters, 0)
    return values


def _agreement(adata: AnnData, clusters: np.ndarray, z: np.ndarray) -> Values:
    frame = ace.metrics.clustering_agreement(adata.obs[GROUP].astype(str), clusters, z)
    found = frame.rename(columns={"silhouette_labels": "silhouette_types"}).iloc[0]
    return {name: found[name] for name in ("ari", "ami", "silhouette", "silhouette_types")}


def _spaces() -> dict[str, Entry]:
    min_max = partial(kratos, scale="minmax")
    of_kratos = revision("KRATOS")
    return {
        "KRATOS, all cells": Entry(kratos, of_kratos),
        "KRATOS, held-out cells": Entry(kratos, of_kratos),
        "KRATOS, min-max, all cells": Entry(min_max, of_kratos),
        "KRATOS, min-max, held-out cells": Entry(min_max, of_kratos),
        "ACE": Entry(autoencoder, revision("ACE")),
        "GCE": Entry(components),
        "PCA, 2 components": Entry(partial(components, n=2)),
        "SCVI": Entry(scvi),
    }


REPRESENTATIONS = experiment(
    "representations", _representations, _spaces, prepare=lambda task: load(task.data), files=files
)
