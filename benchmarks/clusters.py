"""Latent spaces and their clusters against the known types: ACE, PCA and scVI.

    python benchmarks/clusters.py --help

Each embedding is learned from all cells of a set, with as many clusters as there are types; no
types are given. PCA (50 components) and scVI (counts, default settings, 150 epochs) are clustered
by k-means with ten starts. Judged are the clusters (adjusted Rand index, adjusted mutual
information) and the latent space (accuracy of a vote of the 15 nearest cells about the type). On
sets with batches, methods that can are told of them, and are also run without: ``batch mixing`` is
the share of cells of another batch among the 30 nearest, over that of a random choice (1 = mixed),
beside the silhouette by batch (0 = mixed).
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scanpy as sc
from _data import BATCH, GROUP, SOURCES, available, load
from _rankings import SCVI_EPOCHS, _quiet_scvi
from _results import RESULTS, Results, code_key
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, silhouette_score
from sklearn.neighbors import NearestNeighbors

import ace

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData

KEYS = ("data", "method", "seed")
DATA = (
    *("pbmc3k_processed", "pbmc3k", "baron_mouse_all"),
    *("symsim_220_complex", "symsim_220_clean", "kang"),
)
#: As SAUCIE is published: genes from 0 to 1, every cell seen whole, clusters by k-means.
PUBLISHED: dict[str, Any] = {"scale": "minmax", "dropout_rate": 0.0}


def ace_clusters(
    adata: AnnData, seed: int, batch: str | None = None, **options: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Embed and cluster by ACE."""
    _quiet_scvi(seed)
    own = adata.copy()
    ace.model.ACE.setup_anndata(own, batch_key=batch)
    n_clusters = adata.obs[GROUP].nunique()
    model = ace.model.ACE(own, n_clusters=n_clusters, random_state=seed, **options)
    model.train(enable_progress_bar=False)
    return model.get_latent_representation(), model.predict()


def pca_clusters(adata: AnnData, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Principal components, k-means."""
    z = sc.pp.pca(adata.X, n_comps=50, random_state=seed)
    return z, k_means(z, adata, seed)


def scvi_clusters(
    adata: AnnData, seed: int, batch: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Latent space of scVI, k-means."""
    scvi = _quiet_scvi(seed)
    own = adata.copy()
    scvi.model.SCVI.setup_anndata(own, layer="counts", batch_key=batch)
    model = scvi.model.SCVI(own)
    model.train(max_epochs=SCVI_EPOCHS, enable_progress_bar=False)
    z = model.get_latent_representation()
    return z, k_means(z, adata, seed)


def k_means(z: np.ndarray, adata: AnnData, seed: int) -> np.ndarray:
    """As many clusters as there are types, the best of ten starts."""
    return KMeans(adata.obs[GROUP].nunique(), n_init=10, random_state=seed).fit_predict(z)


METHODS: dict[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {
    "ACE": ace_clusters,
    "ACE, clusters joined in (weight 0.1)": lambda *a, **k: ace_clusters(
        *a, **k, cluster_weight=0.1
    ),
    "ACE, SAUCIE's settings": lambda *a, **k: ace_clusters(*a, **k, **PUBLISHED),
    "PCA + k-means": pca_clusters,
    "scVI + k-means": scvi_clusters,
}
#: Told of batches where there are some, and run without beside it.
CORRECTING = ("ACE", "scVI + k-means")
UNCORRECTED = ", batches ignored"
#: Sets whose cells are drawn in the plane (ACE, Figure 3A and A.1).
DRAWN = {"pbmc3k_processed", "symsim_220_clean", "symsim_220_complex"}


def tasks(data: str, methods: list[str]) -> list[str]:
    """Methods that can be run on a set."""
    source = SOURCES[data]
    return [
        name
        for name in methods
        if (source.counts or not name.startswith("scVI"))
        and (source.batches or not name.endswith(UNCORRECTED))
    ]


def judge(adata: AnnData, z: np.ndarray, clusters: np.ndarray) -> dict[str, float]:
    """Compare clusters and latent space with the types, and with the batches."""
    types = adata.obs[GROUP].cat.codes.to_numpy()
    votes = np.eye(types.max() + 1)[types[neighbours(z, 15)]].sum(1)
    row = {
        "ari": float(adjusted_rand_score(types, clusters)),
        "ami": float(adjusted_mutual_info_score(types, clusters)),
        "knn_accuracy": float((votes.argmax(1) == types).mean()),
    }
    if BATCH in adata.obs:
        batches = adata.obs[BATCH].cat.codes.to_numpy()
        other = (batches[neighbours(z, 30)] != batches[:, None]).mean()
        share = np.bincount(batches) / len(batches)
        row |= {
            "batch_mixing": float(other / (1 - share @ share)),
            "batch_silhouette": float(silhouette_score(z, batches)),
        }
    return row


def neighbours(z: np.ndarray, n: int) -> np.ndarray:
    """Nearest cells of each cell, itself left out."""
    return NearestNeighbors(n_neighbors=n).fit(z).kneighbors(return_distance=False)


def drawing(adata: AnnData, z: np.ndarray, clusters: np.ndarray, seed: int) -> dict[str, Any]:
    """Cells in the plane, as small integers, with the names of what colours them."""
    import umap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plane = umap.UMAP(random_state=seed).fit_transform(z)
    names, codes = np.unique(clusters.astype(str), return_inverse=True)
    return {
        "umap": np.round(plane * 100).astype(int).tolist(),
        "cluster": codes.tolist(),
        "cluster_names": names.tolist(),
        "label": adata.obs[GROUP].cat.codes.tolist(),
        "label_names": adata.obs[GROUP].cat.categories.tolist(),
    }


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for and not yet there."""
    every = [*METHODS, *(name + UNCORRECTED for name in CORRECTING)]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one set, one seed, without scVI")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--data", nargs="+", choices=DATA)
    parser.add_argument("--methods", nargs="+", choices=every)
    parser.add_argument("--seeds", nargs="+", type=int)
    options = parser.parse_args(arguments)
    data = options.data or (DATA[3:4] if options.quick else DATA)
    methods = options.methods or (["ACE", "PCA + k-means"] if options.quick else every)
    seeds = options.seeds or ([0] if options.quick else range(5))
    out = options.out or RESULTS / ("quick" if options.quick else "") / "clusters.json"
    results = Results(out, KEYS)
    results.keep_only("method", every)
    files = ("clusters.py", "_data.py")
    ours = code_key("model", "nn", files=files)
    for name in data:
        if available(name):
            print(f"skipped {name}: {available(name)}", flush=True)
            continue
        adata = load(name)
        for method in tasks(name, methods):
            for seed in seeds:
                row = {"data": name, "method": method, "seed": seed}
                row["code"] = ours if method.startswith("ACE") else code_key(files=files)
                if results.get(row):
                    continue
                start = time.perf_counter()
                try:
                    row |= run(adata, method, seed, draw=name in DRAWN and seed == 0)
                except Exception as error:  # noqa: BLE001 (one method must not cost the others)
                    print(f"FAILED {name}, {method}, seed {seed}: {error!r}", file=sys.stderr)
                    continue
                results.add(row)
                shown = {k: round(v, 3) for k, v in row.items() if isinstance(v, float)}
                print(f"[{time.perf_counter() - start:.0f} s] {name}, {method}, {seed}: {shown}")


def run(adata: AnnData, method: str, seed: int, *, draw: bool) -> dict[str, Any]:
    """Embed, cluster and judge."""
    name = method.removesuffix(UNCORRECTED)
    corrects = BATCH in adata.obs and method == name and name != "PCA + k-means"
    options = {"batch": BATCH} if corrects else {}
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        z, clusters = METHODS[name](adata, seed, **options)
    row: dict[str, Any] = {"seconds": time.perf_counter() - start}
    row |= judge(adata, z, clusters)
    return row | (drawing(adata, z, clusters, seed) if draw and method == "ACE" else {})


if __name__ == "__main__":
    main()
