"""Experiment on SCARE: genes of a pathway, a time point, or few; its parts and alternatives.

Models see counts of 2000 variable genes and the genes of the sets, and the batch where there is
one; all are trained for as many epochs with as many latent dimensions. scib-metrics needs an
environment of its own: name its interpreter in ACE_BENCH_SCIB (``pip install scib-metrics``).
"""

import json
import os
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, silhouette_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import ace
from ace.model import GroundTruth
from benchmarks.core.experiment import experiment
from benchmarks.core.store import Task, Values
from benchmarks.experiments import scare_models as m
from benchmarks.experiments.embeddings import mixing


def types_told(x: np.ndarray, types: np.ndarray, classifier: Any = None) -> Values:
    """Types of at least 20 cells as told by a vote of the 15 nearest cells, in five folds."""
    names, counts = np.unique(types, return_counts=True)
    kept = np.isin(types, names[counts >= m.MIN_CELLS])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    classifier = classifier or KNeighborsClassifier(m.N_NEIGHBORS)
    found = cross_val_predict(classifier, x[kept], types[kept], cv=folds)
    return {
        "accuracy": accuracy_score(types[kept], found),
        "balanced_accuracy": balanced_accuracy_score(types[kept], found),
    }


def times_apart(z: np.ndarray, types: np.ndarray, times: np.ndarray) -> Values:
    """Time points within each type: mixing (0 = apart) and silhouette (1 = apart), and means."""
    found = {}
    for name in np.unique(types):
        rows = np.flatnonzero(types == name)
        _, codes, counts = np.unique(times[rows], return_inverse=True, return_counts=True)
        large = counts >= m.MIN_CELLS
        if large.sum() >= 2:
            rows = rows[large[codes]]
            found["time_mixing", name] = mixing(z[rows], times[rows], m.N_NEIGHBORS)
            found["time_silhouette", name] = float(silhouette_score(z[rows], times[rows]))
    means = {
        metric: float(np.mean([v for (name, _), v in found.items() if name == metric]))
        for metric in ("time_mixing", "time_silhouette")
    }
    return means | found


def founders(adata: ad.AnnData, model: Any, genes: Any, **options: Any) -> pd.DataFrame:
    """The score of every pair of subclusters, of the genes and of random ones."""
    own = adata.copy()
    ace.tl.fssf(own, m.TYPE, genes, model=model, **options)
    return ace.get.fssf_df(own).astype({"group": str})


def attributions(adata: ad.AnnData, model: Any) -> np.ndarray:
    """Attributions by one measure for all models: the default target, references by type."""
    probe = m.new_scare(adata, 0)
    probe.module.load_state_dict(model.module.state_dict())
    probe.is_trained_ = True
    return probe.get_attributions(n_samples=5).to_numpy()


def share(values: np.ndarray, chosen: np.ndarray) -> float:
    """Share of each cell's absolute attribution that is on some genes, mean over the cells."""
    absolute = np.abs(values)
    total = absolute.sum(1)
    return float((absolute[:, chosen].sum(1)[total > 0] / total[total > 0]).mean())


def _pathway(task: Task, quick: bool) -> Values:
    """Types, batches, attributions and founders of subclusters."""
    genes = m.gene_sets(task.data)[task.setting]
    if m.METHODS[task.method].truth == "random":
        others = m.load(task.data).var_names.difference(m.gene_sets(task.data)[m.BOTH])
        drawn = np.random.default_rng(task.seed).choice(len(others), len(genes), replace=False)
        genes = sorted(others[drawn])
    adata, model, seconds = m.trained(task, genes, quick)
    z = model.get_latent_representation()
    values: Values = {"seconds": seconds, "n_genes": len(genes)}
    values |= types_told(z, adata.obs[m.TYPE].to_numpy().astype(str))
    if m.BATCH in adata.obs:
        batches = adata.obs[m.BATCH].to_numpy().astype(str)
        values["batch_mixing"] = mixing(z, batches, m.N_NEIGHBORS)
    if m.METHODS[task.method].alone:
        return values
    values["share"] = share(attributions(adata, model), adata.var_names.isin(genes))
    main = task.method in (m.OURS, m.PLAIN) and task.setting == m.BOTH
    claimed = task.protocol == "pathway" and main
    n_random = m.N_QUICK if quick else m.N_RANDOM if claimed else m.N_FEW
    pairs = founders(adata, model, genes, n_random=n_random)
    values |= {"fssf": pairs["fssf"].mean(), "fssf_random": pairs["random_mean"].mean()}
    values |= {"n_random": n_random, "n_pairs": len(pairs)}
    values |= {("fssf", k): v for k, v in pairs.groupby("group")["fssf"].mean().items()}
    if claimed:  # and drawn
        for i, pair in enumerate(pairs.itertuples()):
            values[f"fssf_pair@{i}", pair.group] = round(pair.fssf, 3)
            values[f"random_pair@{i}", pair.group] = round(pair.random_mean, 3)
    return values


def _integration(task: Task, quick: bool) -> Values:
    """The measures of scib-metrics, by another interpreter."""
    adata = m.load(task.data)
    first = sc.pp.pca(adata[:, adata.var["highly_variable"]].layers["log"], random_state=0)
    z = first
    if task.method != m.UNINTEGRATED:
        z = m.trained(task, m.gene_sets(task.data)[m.BOTH], quick)[1].get_latent_representation()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "latent.npz"
        names = {k: adata.obs[k].to_numpy().astype(str) for k in (m.TYPE, m.BATCH)}
        np.savez(file, z=z, unintegrated=first, **names)
        script = str(Path(__file__).parents[1] / "methods" / "scib.py")
        command = [os.environ["ACE_BENCH_SCIB"], script, str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _time(task: Task, quick: bool) -> Values:
    """Each way of telling a model about time, and two of telling it nothing."""
    adata, truth = m.load(task.data), None
    if task.method in (m.BY_TYPE, m.OF_ALL):
        within = m.TYPE if task.method == m.BY_TYPE else None
        options = {"n_genes": m.N_TIME_GENES, "within": within}
        truth = ace.tl.informative_genes(adata.copy(), m.TIME, layer="log", **options)
    own, model, seconds = m.train(adata, m.METHODS[task.method], truth, task.seed, quick)
    z = model.get_latent_representation()
    types, times = (own.obs[key].to_numpy().astype(str) for key in (m.TYPE, m.TIME))
    return {"seconds": seconds} | types_told(z, types) | times_apart(z, types, times)


def apart(data: str) -> dict[str, list[str]]:
    """The gene sets without the genes that several have."""
    sets = {name: genes for name, genes in m.gene_sets(data).items() if name != m.BOTH}
    counts = pd.Series([gene for genes in sets.values() for gene in genes]).value_counts()
    return {name: [g for g in genes if counts[g] == 1] for name, genes in sets.items()}


def _disjoint(task: Task, quick: bool) -> Values:
    """Score each set in each block: in its own it should be high, in the other's low."""
    sets = apart(task.data)
    truths = [GroundTruth(genes, name=name) for name, genes in sets.items()]
    method = m.METHODS[task.method]
    adata, model, seconds = m.train(m.load(task.data), method, truths, task.seed, quick)
    scores = {
        (block, name): founders(adata, model, genes, dimensions=d, n_random=0)["fssf"].mean()
        for block, d in model.latent_blocks.items()
        for name, genes in sets.items()
    }  # fmt: skip
    return {
        "seconds": seconds,
        **{("n_genes", name): len(genes) for name, genes in sets.items()},
        **{(f"fssf@{name}", block): v for (block, name), v in scores.items()},
        **types_told(model.get_latent_representation(), adata.obs[m.TYPE].to_numpy().astype(str)),
    }


def _selection(task: Task, quick: bool) -> Values:
    """50 genes, judged by how well they alone tell types: by a vote and a linear model."""
    adata = m.load(task.data)
    adata = adata[:, adata.var["highly_variable"].to_numpy()].copy()
    start = time.perf_counter()
    chosen = list(_select(adata, m.METHODS[task.method], task.seed, quick))
    values: Values = {"seconds": time.perf_counter() - start}
    x, types = adata[:, chosen].layers["log"].toarray(), adata.obs[m.TYPE].to_numpy().astype(str)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    values |= types_told(x, types)
    values |= {f"logistic_{k}": v for k, v in types_told(x, types, linear).items()}
    return values | {f"selected@{gene}": 1 for gene in sorted(map(str, chosen))}


def _select(adata: ad.AnnData, method: m.Method, seed: int, quick: bool) -> Any:
    if method.kind == "random":
        return np.random.default_rng(seed).choice(adata.var_names, m.N_SELECTED, replace=False)
    if method.kind == "residuals":
        options = {"flavor": "pearson_residuals", "n_top_genes": m.N_SELECTED, "inplace": False}
        counts = ad.AnnData(adata.X, var=adata.var[[]])
        found = sc.experimental.pp.highly_variable_genes(counts, **options)
        return adata.var_names[found["highly_variable"].to_numpy()]
    if method.kind == "dispersion":
        log = ad.AnnData(adata.layers["log"].copy(), var=adata.var[[]].copy(), uns={"log1p": {}})
        sc.pp.highly_variable_genes(log, n_top_genes=m.N_SELECTED)
        return log.var_names[log.var["highly_variable"]]
    if method.kind == "variance":
        variance = StandardScaler(with_mean=False).fit(adata.layers["log"]).var_
        return adata.var_names[np.argsort(-variance, kind="stable")[: m.N_SELECTED]]
    if method.truth == "nothing":
        method = replace(method, labels=False, settings={"reference": "minibatch"})
    _, model, _ = m.train(adata, method, None, seed, quick)
    return model.top_attributed_genes(m.N_SELECTED)


PROTOCOLS = {
    "pathway": _pathway,
    "weights": _pathway,
    "integration": _integration,
    "time": _time,
    "disjoint": _disjoint,
    "selection": _selection,
}


def _applies(task: Task, method: m.Method) -> bool | str:
    missing = task.protocol == "integration" and "ACE_BENCH_SCIB" not in os.environ
    return not missing or "integration: ACE_BENCH_SCIB names no interpreter"


EXPERIMENT = experiment(
    "scare",
    lambda task, method, prepared, quick: PROTOCOLS[task.protocol](task, quick),
    lambda: m.METHODS,
    applies=_applies,
    files=m.files,
)
