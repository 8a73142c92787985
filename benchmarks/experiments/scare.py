"""Experiment on SCARE: genes of a pathway, a time point, or few; its parts and alternatives.

Models see counts of 2000 variable genes and the genes of the sets, and the batch where there is
one; all are trained for as many epochs with as many latent dimensions. scib-metrics needs an
environment of its own: name its interpreter in ACE_BENCH_SCIB (``pip install scib-metrics``).
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass, field, replace
from functools import lru_cache
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
from ace import _compat
from ace.model import SCARE, GroundTruth
from ace.model.scare import _model as defaults
from benchmarks.core.data import blood_cells, log_normalise, path, quiet_scvi
from benchmarks.core.experiment import Experiment, revision
from benchmarks.core.store import Task, Values
from benchmarks.experiments.embeddings import mixing

#: Columns of ``obs``.
TYPE, BATCH, TIME = "type", "batch", "time"
BOTH, SELECTED, EACH = "both", "50 genes", "each"
N_GENES, N_LATENT, N_SELECTED, N_TIME_GENES = 2000, 20, 50, 40
#: Random sets of genes where something is claimed of them, and elsewhere.
N_RANDOM, N_FEW, N_QUICK = 100, 20, 3
#: Types with fewer cells have no score. Neighbours that vote.
MIN_CELLS, N_NEIGHBORS = 20, 15
SCANVI_EPOCHS, QUICK_EPOCHS = 20, 2
#: The sets of the paper, §3.1, with their descendants' genes; and stand-ins, by their beginnings.
GO, GO_FILE = {"MAPK": "GO:0043410", "NF-kB": "GO:1901224"}, "go_gene_sets.gmt"
BUNDLED = {"HLA": "HLA-", "CD": "CD"}
#: File, and the columns of types, batches and time points.
FILES: dict[str, tuple[str, dict[str, str]]] = {
    "kang": ("kang_ifnb_merged.h5ad", {TYPE: "cell_type", BATCH: "condition"}),
    "pbmc3k": ("pbmc3k_counts_2638.h5ad", {TYPE: "louvain"}),
    "yuzwa": ("yuzwa_cortex_E13_E17.h5ad", {TYPE: "cell_type", TIME: "time"}),
    "pbmc68k": ("", {}),
}


def read(name: str) -> ad.AnnData:
    """Counts, with types, and batches and time points where there are some."""
    file, columns = FILES[name]
    if file:
        source = ad.read_h5ad(path(file))
        obs = {ours: source.obs[theirs].astype(str) for ours, theirs in columns.items()}
        counts = source.X
    else:  # phases of the cell cycle stand in for time points, halves of the cells for batches
        source = blood_cells()
        counts, odd = source.layers["counts"], np.arange(source.n_obs) % 2
        obs = {TYPE: source.obs["bulk_labels"].astype(str), BATCH: np.where(odd, "odd", "even")}
        obs[TIME] = np.where(source.obs["phase"] == "G1", "G1", "S or G2M")
    frame = pd.DataFrame(obs, index=source.obs_names.astype(str)).astype("category")
    genes = pd.DataFrame(index=source.var_names.astype(str))
    return ad.AnnData(counts, obs=frame, var=genes)


@lru_cache(maxsize=2)
def load(name: str) -> ad.AnnData:
    """Counts of the most variable genes and those of the gene sets; nothing is random.

    ``layers["log"]`` holds log1p of counts scaled to 10⁴, all genes of the experiment counted.
    """
    adata = read(name)
    if FILES[name][0]:
        sc.pp.filter_genes(adata, min_cells=5)
    log = log_normalise(ad.AnnData(adata.X.copy(), var=adata.var[[]]))
    sc.pp.highly_variable_genes(log, n_top_genes=min(N_GENES, log.n_vars))
    kept = log.var["highly_variable"].to_numpy()
    adata.X, adata.layers["log"] = log.layers["counts"], log.X
    adata.var["highly_variable"] = kept
    sets = _sets(name, adata.var_names)
    return adata[:, kept | adata.var_names.isin(sets.get(BOTH, []))].copy()


def gene_sets(name: str) -> dict[str, list[str]]:
    """Genes of each set that the data have, and of all sets together."""
    return _sets(name, load(name).var_names)


def _sets(name: str, genes: pd.Index) -> dict[str, list[str]]:
    if name == "yuzwa":
        return {}
    if not FILES[name][0]:
        found = {k: [g for g in genes if g.startswith(start)] for k, start in BUNDLED.items()}
    else:
        lines = [line.split("\t") for line in path(GO_FILE).read_text().splitlines()]
        found = {
            short: sorted(set(genes) & set(members))
            for short, identifier in GO.items()
            for title, _, *members in lines
            if title.startswith(identifier) and not title.endswith("_DIRECT")
        }
    return found | {BOTH: sorted(set().union(*found.values()))}


# -- models ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Method:
    """A model, what it is given, and its settings where they are not the defaults."""

    kind: str = "SCARE"
    truth: str = "genes"  # "genes", "random", "nothing" (no ground truth) or "zero" (no gene)
    labels: bool = True  # whether types are set up: references are then drawn by type
    alone: bool = False  # sees the genes of the set and no others
    weight: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    parts: tuple[str, ...] = ("pathway",)
    everywhere: bool = False  # on all sets of genes and data
    once: bool = False  # with the first seed only

    @property
    def revision(self) -> str:
        """That of SCARE, which also judges other models."""
        return revision("SCARE")


def _published(target: str, **settings: Any) -> Method:
    """The loss of the paper: min-max, squares, references of the minibatch."""
    given = {"target": target, "loss": "mse", "transform": "abs_minmax", "reference": "minibatch"}
    return Method(settings=given | settings)


OURS, PLAIN, SCVI, SCANVI = "SCARE", "SCARE, weight 0", "SCVI", "SCANVI, time as label"
UNLABELLED, RANDOM = f"{OURS}, types not given", f"{OURS}, random genes"
ALONE, UNINTEGRATED = f"{PLAIN}, the set's genes alone", "PCA, unintegrated"
BY_TYPE, OF_ALL = f"{OURS}, genes by type", f"{OURS}, genes of all"
DISJOINT, TOGETHER = f"{OURS}, disjoint", f"{OURS}, together"
PROJECTION = "published, random_projection"
_INTEGRATED = ("pathway", "integration")
_ZERO = {"truth": "zero", "labels": False, "parts": ("selection",)}
METHODS = {
    OURS: Method(parts=_INTEGRATED, everywhere=True),
    UNLABELLED: Method(labels=False, parts=_INTEGRATED, everywhere=True),
    PLAIN: Method(truth="nothing", parts=(*_INTEGRATED, "time", "selection"), everywhere=True),
    SCVI: Method("SCVI", "nothing", parts=(*_INTEGRATED, "time"), everywhere=True),
    ALONE: Method(truth="nothing", alone=True, parts=_INTEGRATED),
    RANDOM: Method(truth="random"),
    f"{OURS}, reference minibatch": Method(settings={"reference": "minibatch"}),
    f"{OURS}, transform abs_share, weight 60": Method(
        weight=60.0, settings={"transform": "abs_share"}
    ),
    f"{OURS}, target random_projection": Method(settings={"target": "random_projection"}),
    **{f"published, {t}": _published(t) for t in ("encoder_sum", "encoder_norm", "decoder_sum")},
    PROJECTION: _published("random_projection"),
    f"{PROJECTION}, sigmoid": _published("random_projection", transform="sigmoid"),
    f"{PROJECTION}, integrated gradients": replace(
        _published("random_projection", attribution="integrated_gradients"), once=True
    ),
    UNINTEGRATED: Method("PCA", parts=("integration",)),
    BY_TYPE: Method(parts=("time",)),
    OF_ALL: Method(parts=("time",)),
    SCANVI: Method("SCANVI", parts=("time",)),
    DISJOINT: Method(settings={"disjoint": True}, parts=("disjoint",)),
    TOGETHER: Method(settings={"disjoint": False}, parts=("disjoint",)),
    f"{OURS}, excess": Method(settings={"loss": "excess"}, **_ZERO),
    f"{OURS}, excess, reference neighbor": Method(
        settings={"loss": "excess", "reference": "neighbor"}, once=True, **_ZERO
    ),
    f"{OURS}, mse, reference minibatch": Method(
        settings={"loss": "mse", "reference": "minibatch"}, once=True, **_ZERO
    ),
    **{
        f"variable genes, by {title}": Method(kind, once=True, parts=("selection",))
        for title, kind in (("dispersion", "dispersion"), ("Pearson residuals", "residuals"),
                            ("variance", "variance"))
    },
    "random genes": Method("random", parts=("selection",)),
}  # fmt: skip
#: Weights of the scan: of our loss, and of the published one with two of its targets.
SCAN = {
    OURS: (20.0, 60.0, 100.0, 200.0, 400.0),
    UNLABELLED: (20.0, 60.0, 150.0),
    PROJECTION: (1e4, 5e4, 1e5),
    "published, encoder_sum": (1e4, 1e5),
}
METHODS |= {
    f"{name}, weight {weight:g}": replace(
        METHODS[name], weight=weight, parts=("weights",), everywhere=False
    )
    for name, weights in SCAN.items()
    for weight in weights
}


def epochs_of(n_cells: int, quick: bool, batch_size: int = 128) -> int:
    """Epochs that SCARE takes for so many cells, so that others are trained as long."""
    if quick:
        return QUICK_EPOCHS
    n = n_cells - int(np.ceil(0.1 * n_cells))
    epochs = _compat.get_max_epochs_heuristic(n, epochs_cap=defaults.MAX_EPOCHS)
    return max(epochs, -(-defaults.MIN_STEPS // -(-n // batch_size)))


Trained = tuple[ad.AnnData, Any, float]


def train(adata: ad.AnnData, method: Method, truth: Any, seed: int, quick: bool) -> Trained:
    """Train a model on a copy of the cells; returns both, and the seconds."""
    own, start = adata.copy(), time.perf_counter()
    model = (_scare if method.kind == "SCARE" else _scvi)(own, method, truth, seed, quick)
    if method.kind == "SCANVI":  # time as the label, after SCVI
        scvi = quiet_scvi(seed)
        model = scvi.model.SCANVI.from_scvi_model(model, "unknown", labels_key=TIME)
        epochs = QUICK_EPOCHS if quick else SCANVI_EPOCHS
        model.train(max_epochs=epochs, accelerator="cpu", enable_progress_bar=False)
    return own, model, time.perf_counter() - start


def _scare(adata: ad.AnnData, method: Method, truth: Any, seed: int, quick: bool) -> SCARE:
    quiet_scvi(seed)
    batch = BATCH if BATCH in adata.obs else None
    SCARE.setup_anndata(adata, batch_key=batch, labels_key=TYPE if method.labels else None)
    truth = {"nothing": None, "zero": []}.get(method.truth, truth)
    model = SCARE(adata, ground_truth=truth, random_state=seed, **method.settings)
    weighted = method.weight is not None and truth is not None
    model.train(
        max_epochs=QUICK_EPOCHS if quick else None,
        accelerator="cpu",
        enable_progress_bar=False,
        plan_kwargs={"attribution_weight": method.weight} if weighted else {},
    )
    return model


def _scvi(adata: ad.AnnData, method: Method, truth: Any, seed: int, quick: bool) -> Any:
    """The same network, likelihood, cells in training, and rise of the divergence."""
    model, epochs = new_scvi(adata, seed), epochs_of(adata.n_obs, quick)
    shared = {"accelerator": "cpu", "enable_progress_bar": False}
    model.train(max_epochs=epochs, plan_kwargs={"n_epochs_kl_warmup": epochs}, **shared)
    return model


def new_scvi(adata: ad.AnnData, seed: int) -> Any:
    """SCVI with the network of SCARE."""
    scvi = quiet_scvi(seed)
    scvi.model.SCVI.setup_anndata(adata, batch_key=BATCH if BATCH in adata.obs else None)
    shape = {"n_latent": N_LATENT, "encode_covariates": True}
    return scvi.model.SCVI(adata, gene_likelihood="nb", **shape)


@lru_cache(maxsize=2)
def _trained(
    data: str, name: str, genes: tuple[str, ...] | None, seed: int, quick: bool
) -> Trained:
    method, adata = METHODS[name], load(data)
    adata = adata[:, list(genes or ())] if method.alone else adata
    return train(adata, method, list(genes or ()), seed, quick)


def trained(task: Task, genes: list[str], quick: bool) -> Trained:
    """The same model for all sets of genes that make no difference to its training."""
    method = METHODS[task.method]
    listens = method.truth != "nothing" or method.alone
    return _trained(task.data, task.method, tuple(genes) if listens else None, task.seed, quick)


# -- scores ---------------------------------------------------------------------------------------


def types_told(x: np.ndarray, types: np.ndarray, classifier: Any = None) -> Values:
    """Types of at least 20 cells as told by a vote of the 15 nearest cells, in five folds."""
    names, counts = np.unique(types, return_counts=True)
    kept = np.isin(types, names[counts >= MIN_CELLS])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    classifier = classifier or KNeighborsClassifier(N_NEIGHBORS)
    found = cross_val_predict(classifier, x[kept], types[kept], cv=folds)
    return {
        "accuracy": accuracy_score(types[kept], found),
        "balanced_accuracy": balanced_accuracy_score(types[kept], found),
    }


def times_apart(z: np.ndarray, types: np.ndarray, times: np.ndarray) -> Values:
    """Time points within each type: mixing (0 = apart) and silhouette (1 = apart), and means.

    Of types with at least two time points of 20 cells; cells of smaller ones are left out.
    """
    found = {}
    for name in np.unique(types):
        rows = np.flatnonzero(types == name)
        _, codes, counts = np.unique(times[rows], return_inverse=True, return_counts=True)
        large = counts >= MIN_CELLS
        if large.sum() >= 2:
            rows = rows[large[codes]]
            found["time_mixing", name] = mixing(z[rows], times[rows], N_NEIGHBORS)
            found["time_silhouette", name] = float(silhouette_score(z[rows], times[rows]))
    means = {
        metric: float(np.mean([v for (m, _), v in found.items() if m == metric]))
        for metric in ("time_mixing", "time_silhouette")
    }
    return means | found


def founders(adata: ad.AnnData, model: Any, genes: Any, **options: Any) -> pd.DataFrame:
    """The score of every pair of subclusters, of the genes and of random ones."""
    own = adata.copy()
    ace.tl.fssf(own, model, genes, TYPE, **options)
    return ace.get.fssf_df(own).astype({"group": str})


def attributions(adata: ad.AnnData, model: Any) -> np.ndarray:
    """Attributions by one measure for all models: the default target, references by type.

    The weights are put into an SCARE of the default settings, whose network is that of SCVI.
    """
    quiet_scvi(0)
    own = adata.copy()
    SCARE.setup_anndata(own, batch_key=BATCH if BATCH in own.obs else None, labels_key=TYPE)
    probe = SCARE(own, random_state=0)
    probe.module.load_state_dict(model.module.state_dict())
    probe.is_trained_ = True
    return probe.get_attributions(n_samples=5).to_numpy()


def share(values: np.ndarray, chosen: np.ndarray) -> float:
    """Share of each cell's absolute attribution that is on some genes, mean over the cells."""
    absolute = np.abs(values)
    total = absolute.sum(1)
    return float((absolute[:, chosen].sum(1)[total > 0] / total[total > 0]).mean())


# -- protocols ------------------------------------------------------------------------------------


def _pathway(task: Task, quick: bool) -> Values:
    """Types, batches, attributions and founders of subclusters."""
    genes = gene_sets(task.data)[task.setting]
    if METHODS[task.method].truth == "random":
        others = load(task.data).var_names.difference(gene_sets(task.data)[BOTH])
        drawn = np.random.default_rng(task.seed).choice(len(others), len(genes), replace=False)
        genes = sorted(others[drawn])
    adata, model, seconds = trained(task, genes, quick)
    z = model.get_latent_representation()
    values: Values = {"seconds": seconds, "n_genes": len(genes)}
    values["n_epochs"] = len(next(iter(model.history.values())))
    values |= types_told(z, adata.obs[TYPE].to_numpy().astype(str))
    if BATCH in adata.obs:
        batches = adata.obs[BATCH].to_numpy().astype(str)
        values["batch_mixing"] = mixing(z, batches, N_NEIGHBORS)
    if METHODS[task.method].alone:
        return values
    values["share"] = share(attributions(adata, model), adata.var_names.isin(genes))
    claimed = task.protocol == "pathway" and task.method in (OURS, PLAIN) and task.setting == BOTH
    n_random = N_QUICK if quick else N_RANDOM if claimed else N_FEW
    start = time.perf_counter()
    pairs = founders(adata, model, genes, n_random=n_random)
    values |= {"n_random": n_random, "seconds_fssf": time.perf_counter() - start}
    values |= {"fssf": pairs["fssf"].mean(), "fssf_median": pairs["fssf"].median()}
    values |= {"fssf_random": pairs["random_mean"].mean(), "n_pairs": len(pairs)}
    values |= {("fssf", k): v for k, v in pairs.groupby("group")["fssf"].mean().items()}
    if task.protocol == "pathway" and METHODS[task.method].everywhere:
        for i, (group, own, random) in enumerate(
            pairs[["group", "fssf", "random_mean"]].itertuples(index=False)
        ):
            values |= {(f"fssf_pair@{i}", group): round(own, 3)}
            values |= {(f"random_pair@{i}", group): round(random, 3)}
    return values


def _integration(task: Task, quick: bool) -> Values:
    """The measures of scib-metrics, by another interpreter."""
    adata = load(task.data)
    first = sc.pp.pca(adata[:, adata.var["highly_variable"]].layers["log"], random_state=0)
    z = first
    if task.method != UNINTEGRATED:
        z = trained(task, gene_sets(task.data)[BOTH], quick)[1].get_latent_representation()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "latent.npz"
        names = {k: adata.obs[k].to_numpy().astype(str) for k in (TYPE, BATCH)}
        np.savez(file, z=z, unintegrated=first, **names)
        script = str(Path(__file__).parents[1] / "methods" / "scib.py")
        command = [os.environ["ACE_BENCH_SCIB"], script, str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _time(task: Task, quick: bool) -> Values:
    """Each way of telling a model about time, and two of telling it nothing."""
    adata, truth = load(task.data), None
    if task.method in (BY_TYPE, OF_ALL):
        options = {"n_genes": N_TIME_GENES, "within": TYPE if task.method == BY_TYPE else None}
        truth = ace.tl.informative_genes(adata.copy(), TIME, layer="log", **options)
    own, model, seconds = train(adata, METHODS[task.method], truth, task.seed, quick)
    z = model.get_latent_representation()
    types, times = (own.obs[key].to_numpy().astype(str) for key in (TYPE, TIME))
    return {"seconds": seconds} | types_told(z, types) | times_apart(z, types, times)


def _disjoint(task: Task, quick: bool) -> Values:
    """Score each set in each block: in its own it should be high, in the other's low."""
    sets = {name: genes for name, genes in gene_sets(task.data).items() if name != BOTH}
    counts = pd.Series([gene for genes in sets.values() for gene in genes]).value_counts()
    sets = {name: [g for g in genes if counts[g] == 1] for name, genes in sets.items()}
    truths = [GroundTruth(genes, name=name) for name, genes in sets.items()]
    method = METHODS[task.method]
    adata, model, seconds = train(load(task.data), method, truths, task.seed, quick)
    scores = {
        (block, name): founders(adata, model, genes, dimensions=d, n_random=0)["fssf"].mean()
        for block, d in model.latent_blocks.items()
        for name, genes in sets.items()
    }  # fmt: skip
    return {
        "seconds": seconds,
        "fssf_own": np.mean([v for (block, name), v in scores.items() if block == name]),
        "fssf_other": np.mean([v for (block, name), v in scores.items() if block != name]),
        **{("n_genes", name): len(genes) for name, genes in sets.items()},
        **{(f"fssf@{name}", block): v for (block, name), v in scores.items()},
        **types_told(model.get_latent_representation(), adata.obs[TYPE].to_numpy().astype(str)),
    }


def _selection(task: Task, quick: bool) -> Values:
    """50 genes, judged by how well they alone tell types: by a vote and a linear model."""
    adata = load(task.data)
    adata = adata[:, adata.var["highly_variable"].to_numpy()].copy()
    start = time.perf_counter()
    chosen = list(_select(adata, METHODS[task.method], task.seed, quick))
    values: Values = {"seconds": time.perf_counter() - start}
    x, types = adata[:, chosen].layers["log"].toarray(), adata.obs[TYPE].to_numpy().astype(str)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    values |= types_told(x, types)
    values |= {f"logistic_{k}": v for k, v in types_told(x, types, linear).items()}
    return values | {f"selected@{gene}": 1 for gene in sorted(map(str, chosen))}


def _select(adata: ad.AnnData, method: Method, seed: int, quick: bool) -> Any:
    if method.kind == "random":
        return np.random.default_rng(seed).choice(adata.var_names, N_SELECTED, replace=False)
    if method.kind == "residuals":
        options = {"flavor": "pearson_residuals", "n_top_genes": N_SELECTED, "inplace": False}
        counts = ad.AnnData(adata.X, var=adata.var[[]])
        found = sc.experimental.pp.highly_variable_genes(counts, **options)
        return adata.var_names[found["highly_variable"].to_numpy()]
    if method.kind == "dispersion":
        log = ad.AnnData(adata.layers["log"].copy(), var=adata.var[[]].copy(), uns={"log1p": {}})
        sc.pp.highly_variable_genes(log, n_top_genes=N_SELECTED)
        return log.var_names[log.var["highly_variable"]]
    if method.kind == "variance":
        variance = StandardScaler(with_mean=False).fit(adata.layers["log"]).var_
        return adata.var_names[np.argsort(-variance, kind="stable")[:N_SELECTED]]
    if method.truth == "nothing":
        method = replace(method, labels=False, settings={"reference": "minibatch"})
    _, model, _ = train(adata, method, None, seed, quick)
    return model.selected_genes(N_SELECTED)


PROTOCOLS = {
    "pathway": _pathway,
    "weights": _pathway,
    "integration": _integration,
    "time": _time,
    "disjoint": _disjoint,
    "selection": _selection,
}


def _applies(task: Task, method: Method) -> bool | str:
    part, data, setting = task.protocol, task.data, task.setting
    if part not in method.parts or (method.once and task.seed):
        return False
    if part == "integration" and "ACE_BENCH_SCIB" not in os.environ:
        return "integration: ACE_BENCH_SCIB names no interpreter"
    first = data in ("kang", "pbmc68k")
    if part == "pathway":
        everywhere = method.everywhere or (setting == BOTH and first)
        return everywhere and setting in gene_sets(data)
    if part == "time":
        return setting == "time" and data in ("yuzwa", "pbmc68k")
    if part == "selection":
        return setting == SELECTED and data != "yuzwa"
    batches = part != "integration" or BATCH in FILES[data][1] or data == "pbmc68k"
    return first and batches and setting == (EACH if part == "disjoint" else BOTH)


EXPERIMENT = Experiment(
    "scare",
    "SCARE: the score of chosen genes, its price, integration, time points, selection of genes.",
    lambda task, method, prepared, quick: PROTOCOLS[task.protocol](task, quick),
    lambda: METHODS,
    data=("kang", "pbmc3k", "yuzwa"),
    protocols=tuple(PROTOCOLS),
    settings=lambda data: (*(BUNDLED if data == "pbmc68k" else GO), BOTH, "time", EACH, SELECTED),
    applies=_applies,
    quick={
        "data": ("pbmc68k",),
        "methods": (OURS, PLAIN, BY_TYPE, DISJOINT, SCVI, f"{OURS}, excess", f"{OURS}, weight 20"),
        "seeds": (0,),
    },
    files=lambda data: tuple(f for f in (FILES[data][0], GO_FILE if data != "yuzwa" else "")
                             if f and data != "pbmc68k"),
)  # fmt: skip
