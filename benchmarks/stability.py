"""How far a method finds the same genes again: with another seed, on other cells.

    python benchmarks/stability.py --help

The first 18 genes of each group's panel (all genes that a method knows are ranked; 18 are 1 % of
those of PBMC3k as published), twice:

seeds
    from the same cells and the same principal components by two seeds. Row ``s`` compares the
    seeds ``s`` and ``s + 1``. Models are trained again.
halves
    from two random halves of the cells by one seed, each half with principal components of its
    own. Row ``s`` is a split.

Agreement is the Jaccard index of the two and their rank-biased overlap, mean over groups;
``jaccard_large`` leaves out groups of fewer than 50 cells.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import _loop
import scanpy as sc
from _data import GROUP, load
from _rankings import Cells
from _results import RESULTS, Results, Row, code_key
from curves import BUNDLED, compared, rank

from ace.metrics import random_halves, stability

if TYPE_CHECKING:
    from _rankings import Panels
    from anndata import AnnData

TOP = 18
LARGE = 50
KINDS = ("halves", "seeds")
KEYS = ("data", "kind", "method", "seed")
DATA = ("pbmc3k", "pbmc3k_processed", "baron_mouse", BUNDLED)
_JUDGE = [f"../src/ace/metrics/{n}.py" for n in ("_stability", "_ranked", "_random_halves")]


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for and not yet there."""
    options = _parse(arguments)
    results = Results(options.out, KEYS)
    methods = _loop.chosen(results, options.methods, compared(quick=options.quick))
    settings = [
        {"data": data, "kind": kind, "seed": seed}
        for data, kind, seed in product(_loop.at_hand(options.data), options.kinds, options.seeds)
    ]
    _loop.run(
        results,
        _loop.tasks(settings, methods),
        code_key(files=("_data.py", "stability.py", *_JUDGE)),
        prepare=chosen_on,
        make=lambda method, pair, _: agreement([rank(method, c) for c in pair], pair[0].adata),
        shown=lambda row: f"Jaccard {row['jaccard']:.3f}",
    )


def chosen_on(data: str, kind: str, seed: int) -> tuple[Cells, Cells]:
    """Prepare the two sets of cells, or the same set twice, that panels are chosen on."""
    adata = load(data)
    adata.uns["n_cells"] = adata.obs[GROUP].value_counts().to_dict()
    if kind == "seeds":
        with_pca = _with_pca(adata)
        return Cells(with_pca, seed), Cells(with_pca, seed + 1)
    first, second = random_halves(adata.obs[GROUP], seed + 1)[seed]
    return Cells(_with_pca(adata[first]), seed), Cells(_with_pca(adata[second]), seed)


def _with_pca(adata: AnnData) -> AnnData:
    own = adata.copy()
    sc.pp.pca(own, n_comps=min(50, min(own.shape) - 1), random_state=0)
    return own


def agreement(panels: list[Panels], adata: AnnData) -> Row:
    """Mean agreement of two runs over groups."""
    found = stability(panels, TOP).set_index("group")
    large = [group for group, n in adata.uns["n_cells"].items() if n >= LARGE]
    return {
        "n_top": TOP,
        "jaccard": float(found["jaccard"].mean()),
        "rbo": float(found["rbo"].mean()),
        "jaccard_large": float(found["jaccard"].reindex(large).mean()),
        "groups": {group: round(float(j), 4) for group, j in found["jaccard"].items()},
    }


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the bundled set, three methods")
    parser.add_argument("--data", nargs="+", choices=DATA)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--methods", nargs="+", help="by name; default, papers' and baselines")
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--out", type=Path, help="JSON file; runs that it has are not repeated")
    options = parser.parse_args(arguments)
    options.data = options.data or ([BUNDLED] if options.quick else list(DATA))
    options.seeds = options.seeds or ([0] if options.quick else [0, 1, 2, 3, 4])
    options.out = options.out or RESULTS / ("quick" if options.quick else "") / "stability.json"
    return options


if __name__ == "__main__":
    main()
