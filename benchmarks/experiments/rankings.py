"""Experiments on rankings of genes: discrimination, truth, neighbourhoods, overlap, stability."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.sparse import issparse
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split

from ace.metrics import causal_recovery, knn_jaccard, panel_auroc, panel_redundancy, stability
from benchmarks.core.data import GROUP, SOURCES, files, load, pca
from benchmarks.core.experiment import Entry, experiment, settings
from benchmarks.core.measure import Cost, measure
from benchmarks.core.store import Task, Values
from benchmarks.methods.rankings import KEY, Cells, Panels, causal, rankings

#: Numbers of genes that panels are judged with.
TOP, TOP_STRUCTURE = (3, 5, 10, 18), (5, 10, 20)
CURVES, OVERLAP, METHODS = settings("rankings").values()
N_TOP = 18
SIZES = tuple(range(5, 101, 5))
CAUSAL = "20 causal genes"
#: Cells of a group that is large.
LARGE = 50


def _compared(name: str, method: Entry) -> bool:
    """The default, what the papers compare, and all baselines."""
    return name in METHODS["compared"] or method.baseline


def _readable(task: Task, method: Entry) -> bool:
    return SOURCES[task.data].counts or not method.counts


def prepare(task: Task) -> tuple[Cells, AnnData]:
    """Cells to choose panels on, with a PCA of their own, and cells to judge them on."""
    adata = load(task.data, task.seed)
    chosen = judged = adata
    if task.protocol == "held-out":
        first, second = train_test_split(
            np.arange(adata.n_obs),
            test_size=0.5,
            stratify=adata.obs[GROUP],
            random_state=task.seed,
        )
        chosen, judged = adata[first].copy(), adata[second].copy()
    return Cells(pca(chosen, task.seed), task.seed), judged


def _panels(task: Task, method: Entry, prepared: tuple[Cells, AnnData], quick: bool) -> Values:
    """Rank, measure and judge."""
    cells, judged = prepared
    values: Values = {}
    if method.model:
        model, training = cells.trained(method.model)
        values["train_seconds"] = training.seconds
        if task.protocol == "held-out" and hasattr(model, "predict"):
            predicted = np.asarray(model.predict(judged.copy())).astype(str)
            values["accuracy"] = np.mean(predicted == judged.obs[GROUP].to_numpy().astype(str))
    panels, cost = _timed(task.method, method, cells)
    values |= {"seconds": cost.seconds, "peak_mb": cost.peak_mb}
    if task.protocol == "truth":
        groups = judged.obs[GROUP].to_numpy().astype(str)
        distance = knn_jaccard(judged.X, groups, panels, TOP_STRUCTURE, n_jobs=-1)
        values |= causal_recovery(panels, judged.var["kind"]).mean().to_dict()
        return values | {f"jaccard@{k}": distance[k] for k in TOP_STRUCTURE}
    min_cells = 25 if task.protocol == "held-out" else 50
    return values | judge(
        judged, panels, TOP, min_cells, task.seed, nested=task.protocol == "in-sample"
    )


#: Methods that ran before, on sparse or dense values: compiled and loaded.
_warm: set[tuple[str, bool]] = set()


def _timed(name: str, method: Entry, cells: Cells) -> tuple[Panels, Cost]:
    """Rank, twice the first time: what is compiled or loaded once is not the method's cost."""
    kind = (name, issparse(cells.adata.X))
    if kind not in _warm:
        method.run(cells)
        _warm.add(kind)
    return measure(lambda: method.run(cells))


def judge(
    judged: AnnData,
    panels: Panels,
    sizes: Sequence[int],
    min_cells: int,
    seed: int,
    *,
    nested: bool,
    every_size: bool = False,
) -> Values:
    """AUROC and redundancy, means over the groups that have enough cells."""
    longest = min(map(len, panels.values()))
    sizes = tuple(k for k in sizes if k <= longest)
    aurocs = panel_auroc(
        judged.X,
        judged.obs[GROUP].to_numpy().astype(str),
        panels,
        sizes,
        protocol="nested" if nested else "fixed",
        min_cells=min_cells,
        n_jobs=-1,
        random_state=seed,
    )
    frames = {"auroc": aurocs.set_index("n_top")["auroc"]}
    kept = {group: panels[group] for group in aurocs["group"].unique()}
    for name, absolute in (("redundancy", False), ("redundancy_abs", True)):
        found = panel_redundancy(judged.X, kept, list(sizes), absolute=absolute)
        frames[name] = found.set_index("n_top")["redundancy"]
    values: Values = {}
    if not every_size:
        values |= {f"auroc@{k}": frames["auroc"].loc[k].mean() for k in sizes}
        return values | {k: frames[k].loc[sizes[-1]].mean() for k in list(frames)[1:]}
    values |= {"n_genes": judged.n_vars, "n_groups": len(kept)}
    for name, found in frames.items():
        by_size = found.groupby(level=0)
        values |= {f"{name}@{k}": v for k, v in by_size.mean().items()}
        # Of the AUROC over groups and folds, as in the ACE paper.
        values |= {f"{name}_sem@{k}": v for k, v in by_size.sem().items()}
    of_groups = aurocs.groupby(["n_top", "group"])["auroc"].mean()
    return values | {(f"auroc@{k}", group): v for (k, group), v in of_groups.items()}


#: An experiment whose methods are rankings, on the same cells unless something else is said.
of_rankings = partial(
    experiment, methods=rankings, meant=_compared, prepare=prepare, applies=_readable, files=files
)
PANELS = of_rankings("panels", _panels, meant=lambda name, method: not method.slow)


def _curves(task: Task, method: Entry, prepared: tuple[Cells, AnnData], quick: bool) -> Values:
    """Nested cross-validation over C with the first k genes, for each k that every panel has."""
    cells, judged = prepared
    sizes, min_cells = CURVES[task.data][task.protocol].values()
    panels = ranked(method, cells)
    return judge(judged, panels, sizes, min_cells, task.seed, nested=True, every_size=True)


def ranked(method: Entry, cells: Cells) -> Panels:
    """Panels of a method, its model trained before."""
    if method.model:
        cells.trained(method.model)
    return method.run(cells)


CURVES_OF_PANELS = of_rankings("curves", _curves)


def _overlap(task: Task, method: Entry, prepared: tuple[Cells, AnnData], quick: bool) -> Values:
    """The first genes of each type, and which of them have a lower mean in it than elsewhere."""
    cells, adata = prepared
    panels = ranked(method, cells)
    values: Values = {}
    counts = {}
    for group, columns in panels.items():
        own = (adata.obs[GROUP] == group).to_numpy()
        inside, outside = (np.asarray(adata.X[rows].mean(axis=0)).ravel() for rows in (own, ~own))
        depleted = (inside < outside)[columns[:N_TOP]]
        genes = adata.var_names[columns[:N_TOP]]
        values |= {(f"depleted@{g}", group): int(d) for g, d in zip(genes, depleted, strict=True)}
        counts[group] = int(depleted.sum())
    group = OVERLAP[task.data]
    values["n_depleted"] = counts[group]
    values["n_depleted_all_types"] = np.mean(list(counts.values()))
    if not method.baseline:
        enriched = pd.DataFrame(cells.adata.uns[KEY]["enriched"])[group].to_numpy(dtype=bool)
        values["n_called_depleted"] = int((~enriched[:N_TOP]).sum())
    return values


OVERLAP_OF_PANELS = of_rankings("overlap", _overlap)


def _two_sets(task: Task) -> tuple[Cells, Cells]:
    """Two halves of the cells, or the same cells with two seeds."""
    adata = load(task.data)
    adata.uns["n_cells"] = adata.obs[GROUP].value_counts().to_dict()
    if task.protocol == "seeds":
        return Cells(pca(adata), task.seed), Cells(adata, task.seed + 1)
    # The first halves are the same for any number of them.
    split = StratifiedShuffleSplit(task.seed + 1, test_size=0.5, random_state=0)
    halves = [*split.split(adata.obs_names, adata.obs[GROUP].astype(str))][-1]
    first, second = (Cells(pca(adata[np.sort(half)].copy()), task.seed) for half in halves)
    return first, second


def _stability(task: Task, method: Entry, prepared: tuple[Cells, Cells], quick: bool) -> Values:
    """Jaccard index and rank-biased overlap of two runs, means over groups."""
    found = stability([ranked(method, cells) for cells in prepared], N_TOP).set_index("group")
    sizes = prepared[0].adata.uns["n_cells"]
    large = [group for group, n in sizes.items() if n >= LARGE]
    return {
        "jaccard": found["jaccard"].mean(),
        "rbo": found["rbo"].mean(),
        "jaccard_large": found["jaccard"].reindex(large).mean(),
        **{("jaccard", group): value for group, value in found["jaccard"].items()},
    }


STABILITY = of_rankings("stability", _stability, prepare=_two_sets)


def _structure(task: Task, method: Entry, prepared: tuple[Cells, AnnData], quick: bool) -> Values:
    """Mean Jaccard distance of each cell's 30 neighbours with its panel and with all genes."""
    cells, _ = prepared
    values = {"train_seconds": cells.trained(method.model)[1].seconds} if method.model else {}
    panels, cost = measure(lambda: method.run(cells))
    sizes = SIZES if task.method != CAUSAL else (min(map(len, panels.values())),)
    groups = cells.adata.obs[GROUP].to_numpy().astype(str)
    distance = knn_jaccard(cells.adata.X, groups, panels, sizes, n_jobs=1)
    curve = {f"jaccard@{k}": distance.get(k, distance.iloc[-1]) for k in SIZES}
    return values | {"seconds": cost.seconds} | curve


STRUCTURE = of_rankings(
    "structure",
    _structure,
    methods=lambda: rankings() | {CAUSAL: Entry(causal)},
    meant=lambda name, method: name in (*METHODS["structure"], CAUSAL) or method.baseline,
)
