"""Clusters in latent spaces against types, and seconds of training (Kratos, Table 2, Figure 3).

    python benchmarks/representations.py --help

In each latent space k-means looks for as many clusters as there are types, and is compared with
these: adjusted Rand index, adjusted mutual information, and silhouette, which is also told of the
types.

Kratos is a classifier, trained on the types of 70 % of the cells (a tenth of them for validation),
as published, and judged on all cells and on the 30 % that it did not see; the paper does not say
which. Its last hidden layer is the latent space. Beside the clusters in it, its predictions are
compared with the types: the paper's table is about these ("a direct classification step", §1).
``min-max`` scales genes as published, which is not our default.

All others see all cells and no types: ACE (with clusters of its own), the principal components,
which GCE explains here (in the paper, scvis in two dimensions), and scVI (counts, 150 epochs).
Seconds are those of the training, one after the other in one process.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scanpy as sc
from _data import GROUP, SOURCES, available, load
from _measure import measure
from _rankings import SCVI_EPOCHS, _quiet_scvi
from _results import RESULTS, Results, Row, code_key
from clusters import drawing, k_means
from sklearn.model_selection import train_test_split

import ace

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData

KEYS = ("data", "method", "seed")
DATA = ("pbmc3k_processed", "pbmc3k")
BUNDLED = "pbmc68k"
ALL, HELD_OUT = "all cells", "held-out cells"


@dataclass(frozen=True)
class Representation:
    """Where cells lie, and what it took; with predictions also which cells were not seen."""

    latent: np.ndarray
    seconds: float
    clusters: np.ndarray | None = None
    predicted: np.ndarray | None = None
    unseen: np.ndarray | None = None


def kratos(adata: AnnData, seed: int, scale: str | None = None) -> Representation:
    """Kratos, trained on the types of 70 % of the cells."""
    _quiet_scvi(seed)
    seen, unseen = train_test_split(
        np.arange(adata.n_obs), test_size=0.3, stratify=adata.obs[GROUP], random_state=seed
    )
    own = adata[np.sort(seen)].copy()
    ace.model.KRATOS.setup_anndata(own, labels_key=GROUP)
    model = ace.model.KRATOS(own, scale=scale, random_state=seed)
    _, cost = measure(lambda: model.train(train_size=0.9, enable_progress_bar=False))
    everything = adata.copy()
    latent = model.get_latent_representation(everything)
    predicted = np.asarray(model.predict(everything)).astype(str)
    return Representation(latent, cost.seconds, predicted=predicted, unseen=np.sort(unseen))


def ace_alone(adata: AnnData, seed: int) -> Representation:
    """ACE with default settings, without types."""
    _quiet_scvi(seed)
    own = adata.copy()
    ace.model.ACE.setup_anndata(own)
    model = ace.model.ACE(own, n_clusters=adata.obs[GROUP].nunique(), random_state=seed)
    _, cost = measure(lambda: model.train(enable_progress_bar=False))
    return Representation(model.get_latent_representation(), cost.seconds, model.predict())


def components(adata: AnnData, seed: int, n: int) -> Representation:
    """Principal components."""
    latent, cost = measure(lambda: sc.pp.pca(adata.X, n_comps=n, random_state=seed))
    return Representation(latent, cost.seconds)


def scvi(adata: AnnData, seed: int) -> Representation:
    """Default settings of scVI."""
    library = _quiet_scvi(seed)
    own = adata.copy()
    library.model.SCVI.setup_anndata(own, layer="counts")
    model = library.model.SCVI(own)
    _, cost = measure(lambda: model.train(max_epochs=SCVI_EPOCHS, enable_progress_bar=False))
    return Representation(model.get_latent_representation(), cost.seconds)


METHODS: dict[str, Callable[[AnnData, int], Representation]] = {
    "KRATOS": kratos,
    "KRATOS, min-max": partial(kratos, scale="minmax"),
    "ACE": ace_alone,
    "GCE": partial(components, n=50),
    "PCA, 2 components": partial(components, n=2),
    "SCVI": scvi,
}
CLASSIFIERS = ("KRATOS", "KRATOS, min-max")
#: Drawn in the plane, of the first seed of the first set.
DRAWN = ("KRATOS", "ACE", "GCE", "SCVI")


def judged(name: str) -> list[str]:
    """Names of the rows that a method gives."""
    return [f"{name}, {cells}" for cells in (ALL, HELD_OUT)] if name in CLASSIFIERS else [name]


def run(adata: AnnData, name: str, seed: int, *, draw: bool) -> dict[str, Row]:
    """Learn a representation, and judge it by all cells and by those that it did not see."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = METHODS[name](adata, seed)
    rows = {}
    for title in judged(name):
        held_out = title.endswith(HELD_OUT) and found.unseen is not None
        cells = found.unseen if held_out else np.arange(adata.n_obs)
        own, z = adata[cells], found.latent[cells]
        row: Row = {"train_seconds": found.seconds, "n_cells": len(cells)}
        clusters = k_means(z, own, seed) if found.clusters is None else found.clusters[cells]
        row |= _agreement(own, clusters, z)
        if found.predicted is not None:
            predicted = found.predicted[cells]
            beside = _agreement(own, predicted, z)
            row |= {f"{key}_predicted": beside[key] for key in ("ari", "ami", "silhouette")}
            row["accuracy"] = float((predicted == own.obs[GROUP].to_numpy().astype(str)).mean())
        if draw:
            plane = drawing(own, z, clusters, seed)
            row |= {key: plane[key] for key in ("umap", "label", "label_names")}
        rows[title] = row
    return rows


def _agreement(adata: AnnData, clusters: np.ndarray, z: np.ndarray) -> dict[str, float]:
    frame = ace.metrics.clustering_agreement(adata.obs[GROUP].astype(str), clusters, z)
    frame = frame.rename(columns={"silhouette_labels": "silhouette_types"})
    columns = ["ari", "ami", "silhouette", "silhouette_types"]
    return {name: float(frame[name].iloc[0]) for name in columns}


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for and not yet there."""
    options = _parse(arguments)
    results = Results(options.out, KEYS)
    results.keep_only("method", [title for name in METHODS for title in judged(name)])
    files = ("representations.py", "clusters.py", "_data.py")
    ours = code_key("model", "nn", files=files)
    for data in options.data:
        if available(data):
            print(f"skipped {data}: {available(data)}", flush=True)
            continue
        adata = load(data)
        for name in options.methods:
            if name == "SCVI" and not SOURCES[data].counts:
                continue
            is_ours = name == "ACE" or name in CLASSIFIERS
            for seed in options.seeds:
                shared = {"data": data, "seed": seed}
                shared["code"] = ours if is_ours else code_key(files=files)
                if all(results.get(shared | {"method": title}) for title in judged(name)):
                    continue
                start = time.perf_counter()
                first = seed == options.seeds[0] and data == options.data[0]
                try:
                    found = run(adata, name, seed, draw=first and name in DRAWN)
                except Exception as error:  # noqa: BLE001 (one must not cost the others)
                    print(f"FAILED {data}, {name}, seed {seed}: {error!r}", file=sys.stderr)
                    continue
                for title, row in found.items():
                    results.add(shared | {"method": title} | row)
                    _say(data, title, seed, row, time.perf_counter() - start)


def _say(data: str, title: str, seed: int, row: dict[str, Any], seconds: float) -> None:
    shown = {key: round(value, 3) for key, value in row.items() if isinstance(value, float)}
    print(f"[{seconds:.0f} s] {data}, {title}, seed {seed}: {shown}", flush=True)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the bundled set, one seed, no scVI")
    parser.add_argument("--data", nargs="+", choices=(*DATA, BUNDLED))
    parser.add_argument("--methods", nargs="+", choices=METHODS)
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--out", type=Path, help="JSON file; runs that it has are not repeated")
    options = parser.parse_args(arguments)
    options.data = options.data or ([BUNDLED] if options.quick else list(DATA))
    quick = [name for name in METHODS if name not in ("SCVI", "KRATOS, min-max")]
    options.methods = options.methods or (quick if options.quick else list(METHODS))
    options.seeds = options.seeds or ([0] if options.quick else [0, 1, 2])
    name = "representations.json"
    options.out = options.out or RESULTS / ("quick" if options.quick else "") / name
    return options


if __name__ == "__main__":
    main()
