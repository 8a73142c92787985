"""Jobs for SCARE: what tells a row from others, and how to get the rest of it."""

from __future__ import annotations

import re
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scanpy as sc
from _results import code_key
from _scare_data import (
    BATCH,
    BOTH,
    SOURCES,
    TIME,
    TYPE,
    apart,
    gene_sets,
    load,
    random_genes,
)
from _scare_models import (
    ALONE,
    METHODS,
    OURS,
    PLAIN,
    RANDOM,
    SCVI,
    UNLABELLED,
    Budget,
    Method,
    attributions,
    scanned,
    scanvi_of_time,
    train,
    trained,
)
from _scare_scores import (
    compact,
    founders,
    genes_tell,
    mixing,
    share,
    times_apart,
    types_kept,
)
from anndata import AnnData
from sklearn.preprocessing import StandardScaler

import ace
from ace.model import GroundTruth

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

Row = dict[str, Any]
DATA = ("kang", "pbmc3k", "yuzwa")
BUNDLED = "pbmc68k"
#: All methods run on the first set of genes and data; these on the others, and in all figures.
MAIN = (OURS, UNLABELLED, PLAIN, SCVI)
QUICK = (OURS, PLAIN, "published, random_projection", SCVI, ALONE)
#: What of the package a row depends on besides SCARE itself.
BENEATH = tuple(
    f"../src/ace/{name}.py"
    for name in (
        "model/training/_plan",
        "model/training/_training",
        "model/training/_loaders",
        "tl/_fssf",
        "tl/_swaps",
    )
)
BY_TYPE, OF_ALL = f"{OURS}, genes by type", f"{OURS}, genes of all"
SCANVI = "SCANVI, time as label"
DISJOINT, TOGETHER = f"{OURS}, disjoint", f"{OURS}, together"
N_TIME_GENES = 40
#: Random sets of genes for all but the main figures.
N_FEW = 20
#: Slow ones, and variants of variants: with the first seed only.
ONCE = (
    "published, random_projection, integrated gradients",
    f"{OURS}, excess, reference neighbor",
    f"{OURS}, mse, reference minibatch",
)
N_SELECTED = 50
#: Ways to select genes; types are never given.
SELECTING = {
    f"{OURS}, excess": Method(truth="zero", labels=False, settings={"loss": "excess"}),
    f"{OURS}, excess, reference neighbor": Method(
        truth="zero", labels=False, settings={"loss": "excess", "reference": "neighbor"}
    ),
    f"{OURS}, mse, reference minibatch": Method(
        truth="zero", labels=False, settings={"loss": "mse", "reference": "minibatch"}
    ),
    PLAIN: Method(truth="nothing", labels=False, settings={"reference": "minibatch"}),
    "variable genes, by dispersion": Method("dispersion"),
    "variable genes, by Pearson residuals": Method("residuals"),
    "variable genes, by variance": Method("variance"),
    "random genes": Method("random"),
}


@dataclass(frozen=True)
class Job:
    """What tells a row from others, and how to get the rest."""

    row: Row
    run: Callable[[], Row]


def row_of(comparison: str, data: str, genes: str, method: str, seed: int, options: Any) -> Row:
    """Give what tells a row from others."""
    files = ("_scare_tasks.py", "_scare_data.py", "_scare_models.py", "_scare_scores.py", *BENEATH)
    return {
        "comparison": comparison, "data": data, "set": genes, "method": method, "seed": seed,
        "epochs": options.epochs, "weight": options.weight,
        # The score is ours also where the model is not.
        "code": code_key("model/scare", files=files),
    }  # fmt: skip


def asked(names: Iterable[str], options: argparse.Namespace) -> list[str]:
    """Give those of the names that were asked for."""
    return [name for name in names if not options.methods or name in options.methods]


# -- a pathway ------------------------------------------------------------------------------------


def pathway(data: str, options: argparse.Namespace) -> Iterator[Job]:
    """All methods on both sets of the first data, the main ones elsewhere."""
    for seed in options.seeds:
        every = METHODS if data == DATA[0] else MAIN
        for method in asked(QUICK if options.quick else every, options):
            if method in ONCE and seed:
                continue
            for name in gene_sets(data):
                wide = name == BOTH and data == DATA[0]
                if method not in MAIN and not (wide or options.quick):
                    continue
                if options.sets and name not in options.sets:
                    continue
                row = row_of("pathway", data, name, method, seed, options)
                yield Job(row, lambda r=row: judge(r, options, drawn=True))


def weights(data: str, options: argparse.Namespace) -> Iterator[Job]:
    """The scan, on the first data."""
    if data not in (DATA[0], BUNDLED):
        return
    names = list(scanned())
    for seed in options.seeds:
        for method in asked(names[:2] if options.quick else names, options):
            row = row_of("weights", data, BOTH, method, seed, options)
            yield Job(row, lambda r=row: judge(r, options, drawn=False))


def judge(row: Row, options: argparse.Namespace, *, drawn: bool) -> Row:
    """Train, and judge by types, batches, attributions and founders of subclusters."""
    data, method, seed = row["data"], row["method"], row["seed"]
    genes = gene_sets(data)[row["set"]]
    if method == RANDOM:
        genes = random_genes(data, len(genes), seed)
    adata, model, seconds = trained(data, method, genes, seed, options.budget)
    z = model.get_latent_representation()
    if row["set"] == BOTH and drawn:
        np.save(kept_latent(row, options), z)
    found: Row = {"seconds": seconds, "n_genes": len(genes), "n_epochs": _n_epochs(model)}
    found |= types_kept(z, adata.obs[TYPE].to_numpy().astype(str))
    if BATCH in adata.obs:
        found["batch_mixing"] = mixing(z, adata.obs[BATCH].to_numpy().astype(str))
    if method == ALONE:
        return found
    values = attributions(adata, model)
    found["share"] = share(values.to_numpy(), adata.var_names.isin(genes))
    # All random sets where something is claimed of them; they take most of the time.
    claimed = drawn and method in (OURS, PLAIN) and row["set"] == BOTH
    n_random = options.n_random if claimed else min(options.n_random, N_FEW)
    start = time.perf_counter()
    numbers, pairs = founders(adata, model, genes, TYPE, n_random=n_random)
    found |= numbers | {"n_random": n_random, "seconds_fssf": time.perf_counter() - start}
    return found | ({"pairs": compact(pairs)} if drawn and method in MAIN else {})


def _n_epochs(model: Any) -> int:
    return len(model.history[next(iter(model.history))])


def kept_latent(row: Row, options: argparse.Namespace) -> Path:
    """File of a latent space, for a later comparison of the same code."""
    options.latents.mkdir(parents=True, exist_ok=True)
    parts = (row[k] for k in ("data", "set", "method", "seed", "epochs", "weight", "code"))
    return options.latents / (re.sub(r"[^\w.]+", "-", "_".join(map(str, parts))) + ".npy")


# -- time points ----------------------------------------------------------------------------------


def time_points(data: str, options: argparse.Namespace) -> Iterator[Job]:
    """Each way of telling a model about time, and two of telling it nothing."""
    if not SOURCES[data].times:
        return
    for seed in options.seeds:
        for method in asked((BY_TYPE, OF_ALL, PLAIN, SCVI, SCANVI), options):
            row = row_of("time", data, "time", method, seed, options)
            yield Job(row, lambda r=row: _time_points(r, options))


def _time_points(row: Row, options: argparse.Namespace) -> Row:
    adata, method, seed = load(row["data"]), row["method"], row["seed"]
    if method == SCANVI:
        own, model, seconds = scanvi_of_time(adata, seed, options.budget)
    else:
        truth = None
        if method in (BY_TYPE, OF_ALL):
            within = TYPE if method == BY_TYPE else None
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                truth = ace.tl.informative_genes(
                    adata.copy(), TIME, n_genes=N_TIME_GENES, within=within, layer="log"
                )
        spec = METHODS.get(method, METHODS[OURS])
        own, model, seconds = train(adata, spec, truth, seed, options.budget)
    z = model.get_latent_representation()
    types, times = (own.obs[key].to_numpy().astype(str) for key in (TYPE, TIME))
    return {"seconds": seconds} | types_kept(z, types) | times_apart(z, types, times)


# -- two sets kept apart --------------------------------------------------------------------------


def disjoint(data: str, options: argparse.Namespace) -> Iterator[Job]:
    """Two sets without the genes they share, in blocks and in one latent space."""
    if data not in (DATA[0], BUNDLED):
        return
    for seed in options.seeds:
        for method in asked((DISJOINT, TOGETHER), options):
            row = row_of("disjoint", data, "each", method, seed, options)
            yield Job(row, lambda r=row: _disjoint(r, options))


def _disjoint(row: Row, options: argparse.Namespace) -> Row:
    """Score each set in each block: in its own it should be high, in the other's low."""
    sets = apart(gene_sets(row["data"]))
    truths = [GroundTruth(genes, name=name) for name, genes in sets.items()]
    spec = Method(settings={"disjoint": row["method"] == DISJOINT})
    adata, model, seconds = train(load(row["data"]), spec, truths, row["seed"], options.budget)
    blocks: dict[str, dict[str, float]] = {}
    for block, dimensions in model.latent_blocks.items():
        blocks[block] = {
            name: round(
                founders(adata, model, genes, TYPE, dimensions=dimensions, n_random=0)[0]["fssf"],
                4,
            )
            for name, genes in sets.items()
        }
    own = [found[block] for block, found in blocks.items()]
    other = [v for block, found in blocks.items() for k, v in found.items() if k != block]
    z = model.get_latent_representation()
    return {
        "seconds": seconds,
        "n_genes": {name: len(genes) for name, genes in sets.items()},
        "blocks": blocks,
        "fssf_own": float(np.mean(own)),
        "fssf_other": float(np.mean(other)),
    } | types_kept(z, adata.obs[TYPE].to_numpy().astype(str))


# -- few genes ------------------------------------------------------------------------------------


def selection(data: str, options: argparse.Namespace) -> Iterator[Job]:
    """Each way of selecting; what no seed bears on once."""
    if SOURCES[data].times and data != BUNDLED:
        return
    for seed in options.seeds:
        for method in asked(SELECTING, options):
            if seed and (method in ONCE or method.startswith("variable genes")):
                continue
            row = row_of("selection", data, f"{N_SELECTED} genes", method, seed, options)
            yield Job(row, lambda r=row: _selection(r, options))


def _selection(row: Row, options: argparse.Namespace) -> Row:
    adata = load(row["data"])
    adata = adata[:, adata.var["highly_variable"].to_numpy()].copy()
    start = time.perf_counter()
    chosen = _select(adata, SELECTING[row["method"]], row["seed"], options.budget)
    seconds = time.perf_counter() - start
    x = adata[:, list(chosen)].layers["log"].toarray()
    told = genes_tell(x, adata.obs[TYPE].to_numpy().astype(str))
    return {"seconds": seconds} | told | {"genes": sorted(map(str, chosen))}


def _select(adata: AnnData, spec: Method, seed: int, budget: Budget) -> Any:
    if spec.kind == "random":
        return np.random.default_rng(seed).choice(adata.var_names, N_SELECTED, replace=False)
    if spec.kind == "residuals":
        counts = AnnData(adata.X, var=adata.var[[]])
        found = sc.experimental.pp.highly_variable_genes(
            counts, flavor="pearson_residuals", n_top_genes=N_SELECTED, inplace=False
        )
        return adata.var_names[found["highly_variable"].to_numpy()]
    if spec.kind == "dispersion":
        log = AnnData(adata.layers["log"].copy(), var=adata.var[[]].copy(), uns={"log1p": {}})
        sc.pp.highly_variable_genes(log, n_top_genes=N_SELECTED)
        return log.var_names[log.var["highly_variable"]]
    if spec.kind == "variance":
        variance = StandardScaler(with_mean=False).fit(adata.layers["log"]).var_
        return adata.var_names[np.argsort(-variance, kind="stable")[:N_SELECTED]]
    _, model, _ = train(adata, spec, None, seed, budget)
    return model.selected_genes(N_SELECTED)
