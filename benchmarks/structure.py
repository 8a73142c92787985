"""How well panels keep each cell's neighbours, as they grow (ACE, Figure 2 C and D).

    python benchmarks/structure.py --help

Genes are ranked for each group against the rest on all cells, columns shuffled with each seed (the
causal genes come first in the published files). For the first 5, 10, …, 100 genes of each cell's
group: the mean Jaccard distance between its 30 nearest neighbours with these genes and with all
(ACE, Eq. 9). The line of the 20 causal genes alone is a method here, of one size.

``ACE + …`` explains an autoencoder trained on the same cells with default settings: labels are
given, as in the paper, and batches where the set has them.
"""

from __future__ import annotations

import argparse
import warnings
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import _loop
import numpy as np
from _data import GROUP
from _measure import measure
from _rankings import Ranking, rankings
from _results import RESULTS, Results, Row, code_key
from panels import prepare

from ace.metrics import knn_jaccard

if TYPE_CHECKING:
    from _rankings import Cells, Panels

SIZES = tuple(range(5, 101, 5))
KEYS = ("data", "method", "seed")
DATA = ("symsim_220_clean", "symsim_220_complex", "symsim_140_clean", "simulated")
PAPER = DATA[:2]
CAUSAL = "20 causal genes"
OURS = ("ace panel", "ace expected_gradients", "ace adversarial")
#: The paper explains its network in two other ways, too.
WITH_ACE = (
    *(name.replace("ace", "ACE +") for name in OURS),
    *("ACE + smoothgrad", "ACE + shap"),
)
QUICK = ("ace panel", "Wilcoxon, abs", CAUSAL)


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for and not yet there."""
    options = _parse(arguments)
    results = Results(options.out, KEYS)
    chosen = _loop.chosen(
        results,
        options.methods,
        lambda method: not options.quick or method.name in QUICK,
        known=methods(),
    )
    settings = [
        {"data": data, "seed": seed}
        for data, seed in product(_loop.at_hand(options.data), options.seeds)
    ]
    _loop.run(
        results,
        _loop.tasks(settings, chosen),
        code_key("metrics", files=("_data.py", "structure.py")),
        prepare=lambda data, seed: prepare(data, "truth", seed)[0],
        make=lambda method, cells, _: curve(method, cells),
        shown=lambda row: ", ".join(f"@{k} {row[f'jaccard@{k}']:.3f}" for k in (10, 20, 50)),
    )


def curve(method: Ranking, cells: Cells) -> Row:
    """Rank, and judge by the neighbours that panels of each size keep."""
    row: Row = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if method.prepare:
            _, training = method.prepare(cells)
            row["train_seconds"] = training.seconds
        panels, cost = measure(lambda: method.rank(cells))
    sizes = SIZES if method.name != CAUSAL else (len(next(iter(panels.values()))),)
    groups = cells.adata.obs[GROUP].to_numpy().astype(str)
    distance = knn_jaccard(cells.adata.X, groups, panels, sizes, n_jobs=1)
    distances = [round(float(distance.get(k, distance.iloc[-1])), 5) for k in SIZES]
    at = dict(zip(SIZES, distances, strict=True))
    return row | {
        "seconds": cost.seconds,
        "n_genes": list(SIZES),
        "jaccard": distances,
        **{f"jaccard@{k}": at[k] for k in (5, 10, 20, 50, 100)},
    }


def methods() -> dict[str, Ranking]:
    """All that can be run here, by name."""
    everywhere = rankings()
    here = code_key(files=("structure.py",))
    found = [everywhere[name] for name in (*OURS, *WITH_ACE)]
    found += [method for method in everywhere.values() if method.baseline]
    found.append(Ranking(CAUSAL, _causal, here))
    return {method.name: method for method in found}


def _causal(cells: Cells) -> Panels:
    causal = np.flatnonzero(cells.adata.var["kind"] == "causal")
    return dict.fromkeys(map(str, cells.adata.obs[GROUP].cat.categories), causal)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few methods, one seed, one set")
    parser.add_argument("--data", nargs="+", choices=DATA)
    parser.add_argument("--methods", nargs="+", help="by name")
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--out", type=Path, help="JSON file; runs that it has are not repeated")
    options = parser.parse_args(arguments)
    options.seeds = options.seeds or ([0] if options.quick else list(range(5)))
    # The bundled simulator can be run anywhere; the paper's sets need ACE_DATA_DIR.
    options.data = options.data or (["simulated"] if options.quick else list(PAPER))
    options.out = options.out or RESULTS / ("quick" if options.quick else "") / "structure.json"
    return options


if __name__ == "__main__":
    main()
