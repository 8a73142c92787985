"""Panels of every ranking method, judged on held-out cells, in sample and against the truth.

    python benchmarks/panels.py --help

Three protocols:

held-out
    Panels are chosen on a random half of the cells (stratified) and judged on the other half:
    AUROC of an RBF-SVM (C = 1, balanced, z-scored, 3-fold) with the top 3, 5, 10 and 18 genes,
    mean over groups with at least 25 judged cells; redundancy is the mean Pearson correlation of
    the top 18 there. Which genes are variable belongs to the definition of a data set; PCA, scorer
    and model see the choosing half only.
in-sample
    Panels are chosen and judged on all cells, as published, on the sets of the papers: nested
    cross-validation over C, groups of at least 50 cells. ``in-sample fixed`` is the same with
    C = 1 and balanced weights, on all sets.
truth
    Simulated sets: causal, dependent and noise genes among the top 20, mean over groups, and the
    Jaccard distance of neighbourhoods with 5, 10 and 20 genes (ACE, Eq. 9).
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _loop
import numpy as np
import scanpy as sc
from _data import GROUP, SOURCES, load
from _measure import Cost, measure
from _rankings import Cells
from _results import RESULTS, Results, Row, code_key
from scipy.sparse import issparse
from sklearn.model_selection import train_test_split

from ace.metrics import causal_recovery, knn_jaccard, panel_auroc, panel_redundancy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _rankings import Panels, Ranking

TOP = (3, 5, 10, 18)
TOP_STRUCTURE = (5, 10, 20)
KEYS = ("data", "protocol", "seed", "method")
QUICK_METHODS = (
    "ace expected_gradients",
    "Wilcoxon, abs",
    "t-test, abs",
    "logistic regression, abs",
)


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for and not yet there."""
    options = _parse(arguments)
    results = Results(options.out, KEYS)

    def is_meant(method: Ranking) -> bool:
        if options.quick:
            return method.name in QUICK_METHODS or method.default
        return options.slow or not method.slow

    methods = _loop.chosen(results, options.methods, is_meant)
    _loop.run(
        results,
        _loop.tasks(_settings(options), methods),
        code_key("metrics", files=("_data.py", "panels.py")),
        prepare=prepare,
        make=lambda method, prepared, row: _run(method, *prepared, row["protocol"], options.jobs),
        shown=_shown,
    )


def _settings(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for data in _loop.at_hand(options.data):
        for protocol in options.protocols:
            if (protocol == "truth") != SOURCES[data].truth:
                continue
            if protocol == "in-sample" and not SOURCES[data].published:
                continue
            # Nested cross-validation costs a minute for each method: one seed.
            for seed in options.seeds[:1] if protocol == "in-sample" else options.seeds:
                yield {"data": data, "protocol": protocol, "seed": seed}


def prepare(data: str, protocol: str, seed: int) -> tuple[Cells, sc.AnnData]:
    """Cells to choose panels on, with a PCA of their own, and cells to judge them on."""
    adata = load(data, seed)
    chosen = judged = adata
    if protocol == "held-out":
        first, second = train_test_split(
            np.arange(adata.n_obs), test_size=0.5, stratify=adata.obs[GROUP], random_state=seed
        )
        chosen, judged = adata[first].copy(), adata[second].copy()
    sc.pp.pca(chosen, n_comps=min(50, min(chosen.shape) - 1), random_state=seed)
    return Cells(chosen, seed), judged


def _run(method: Ranking, cells: Cells, judged: sc.AnnData, protocol: str, n_jobs: int) -> Row:
    """Rank, measure and judge."""
    row: Row = {}
    if method.prepare:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, training = method.prepare(cells)
        row |= {"train_seconds": training.seconds, "train_peak_mb": training.peak_mb}
        if protocol == "held-out" and hasattr(model, "predict"):
            predicted = np.asarray(model.predict(judged.copy())).astype(str)
            row["accuracy"] = float((predicted == judged.obs[GROUP].to_numpy().astype(str)).mean())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        panels, cost = _rank(method, cells)
    row |= {"seconds": cost.seconds, "peak_mb": cost.peak_mb}
    if protocol == "truth":
        groups = judged.obs[GROUP].to_numpy().astype(str)
        counts = causal_recovery(panels, judged.var["kind"]).mean()
        distance = knn_jaccard(judged.X, groups, panels, TOP_STRUCTURE, n_jobs=n_jobs)
        return row | counts.to_dict() | {f"jaccard@{k}": float(distance[k]) for k in TOP_STRUCTURE}
    nested = protocol == "in-sample"
    min_cells = 25 if protocol == "held-out" else 50
    return row | judge(judged, panels, min_cells, n_jobs, cells.seed, nested=nested)


#: Methods that ran before, on sparse or dense values: compiled and loaded.
_warm: set[tuple[str, bool]] = set()


def _rank(method: Ranking, cells: Cells) -> tuple[Panels, Cost]:
    """Rank, twice the first time: what is compiled or loaded once is not the method's cost."""
    kind = (method.name, issparse(cells.adata.X))
    if kind not in _warm:
        method.rank(cells)
        _warm.add(kind)
    return measure(lambda: method.rank(cells))


def judge(
    judged: sc.AnnData,
    panels: Panels,
    min_cells: int,
    n_jobs: int,
    seed: int,
    *,
    nested: bool = False,
) -> Row:
    """Discrimination and redundancy, mean over groups that have enough cells."""
    aurocs = panel_auroc(
        judged.X,
        judged.obs[GROUP].to_numpy().astype(str),
        panels,
        TOP,
        protocol="nested" if nested else "fixed",
        min_cells=min_cells,
        n_jobs=n_jobs,
        random_state=seed,
    )
    mean = aurocs.groupby("n_top")["auroc"].mean()
    row: Row = {f"auroc@{k}": float(mean[k]) for k in TOP}
    kept = {group: panels[group] for group in aurocs["group"].unique()}
    for name, absolute in (("redundancy", False), ("redundancy_abs", True)):
        values = panel_redundancy(judged.X, kept, TOP[-1], absolute=absolute)["redundancy"]
        row[name] = float(values.mean())
    return row


def _shown(row: Row) -> str:
    told = [k for k in row if "@" in k or k in ("causal", "noise", "redundancy", "seconds")]
    return ", ".join(f"{k} {row[k]:.3g}" for k in told)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    protocols = ("held-out", "in-sample fixed", "in-sample", "truth")
    judged = [name for name, source in SOURCES.items() if source.panels]
    parser.add_argument("--quick", action="store_true", help="few methods, one seed, no nesting")
    parser.add_argument("--data", nargs="+", choices=judged, default=judged)
    parser.add_argument("--protocols", nargs="+", choices=protocols)
    parser.add_argument("--methods", nargs="+", help="by name; all but slow ones if left out")
    parser.add_argument("--slow", action="store_true", help="slow methods too")
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--jobs", type=int, default=-1, help="processes of the judge")
    parser.add_argument("--out", type=Path, help="JSON file; runs that it has are not repeated")
    options = parser.parse_args(arguments)
    options.seeds = options.seeds or ([0] if options.quick else [0, 1, 2])
    options.protocols = options.protocols or (
        ["held-out", "truth"] if options.quick else list(protocols)
    )
    options.out = options.out or RESULTS / ("quick" if options.quick else "") / "panels.json"
    return options


if __name__ == "__main__":
    main()
