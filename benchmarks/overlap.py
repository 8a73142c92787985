"""Which methods choose the same genes, and how many of these are depleted (ACE, Figure 3D).

    python benchmarks/overlap.py --help

The first 18 genes of each panel, 1 % of the 1838 genes of PBMC3k as published, chosen on all
cells; the paper looks at CD4 T cells, here all types are kept. A gene is depleted if its mean in
the cells of the type is below its mean in all others; of our methods it is also told how many
genes they call depleted themselves. Which genes only one method has is told from what is kept,
when tables are made of it.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import _loop
import numpy as np
import pandas as pd
from _data import GROUP
from _rankings import KEY
from _results import RESULTS, Results, Row, code_key
from curves import compared, rank
from panels import prepare

if TYPE_CHECKING:
    import anndata as ad
    from _rankings import Cells, Ranking

TOP = 18
KEYS = ("data", "seed", "method")
#: The type that is looked at.
GROUPS = {
    "pbmc3k_processed": "CD4 T cells",
    "pbmc3k": "CD4 T cells",
    "pbmc68k": "CD4+/CD25 T Reg",
}


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for and not yet there."""
    options = _parse(arguments)
    results = Results(options.out, KEYS)
    methods = _loop.chosen(results, options.methods, compared(quick=options.quick))
    settings = [
        {"data": data, "seed": seed}
        for data, seed in product(_loop.at_hand(options.data), options.seeds)
    ]
    _loop.run(
        results,
        _loop.tasks(settings, methods),
        code_key(files=("_data.py", "overlap.py")),
        prepare=lambda data, seed: prepare(data, "in-sample", seed)[0],
        make=lambda method, cells, row: genes_of(method, cells, GROUPS[row["data"]]),
        shown=lambda row: f"{row['n_depleted']} of {row['n_top']} are depleted in {row['group']}",
    )


def genes_of(method: Ranking, cells: Cells, group: str) -> Row:
    """First genes of each type, and which of them are depleted."""
    adata = cells.adata
    panels = rank(method, cells)
    genes = {name: list(adata.var_names[columns[:TOP]]) for name, columns in panels.items()}
    lower = {name: _lower(adata, name) for name in panels}
    depleted = {name: [gene for gene in own if gene in lower[name]] for name, own in genes.items()}
    row: Row = {
        "group": group,
        "n_top": TOP,
        "n_depleted": len(depleted[group]),
        "n_depleted_all_types": float(np.mean([len(own) for own in depleted.values()])),
    }
    if not method.baseline:
        enriched = pd.DataFrame(adata.uns[KEY]["enriched"])[group]
        row["n_called_depleted"] = int((~enriched.to_numpy(dtype=bool)[:TOP]).sum())
    return row | {"genes": genes, "depleted": depleted}


def _lower(adata: ad.AnnData, group: str) -> set[str]:
    """Genes whose mean in the group is below that of all other cells."""
    own = (adata.obs[GROUP] == group).to_numpy()
    inside, outside = (np.asarray(adata.X[cells].mean(axis=0)).ravel() for cells in (own, ~own))
    return set(adata.var_names[inside < outside])


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the bundled set, three methods")
    parser.add_argument("--data", nargs="+", choices=GROUPS)
    parser.add_argument("--methods", nargs="+", help="by name; default, papers' and baselines")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--out", type=Path, help="JSON file; runs that it has are not repeated")
    options = parser.parse_args(arguments)
    real = [name for name in GROUPS if name != "pbmc68k"]
    options.data = options.data or (["pbmc68k"] if options.quick else real)
    options.out = options.out or RESULTS / ("quick" if options.quick else "") / "overlap.json"
    return options


if __name__ == "__main__":
    main()
