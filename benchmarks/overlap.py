"""Which methods choose the same genes, and how many of these are depleted (ACE, Figure 3D).

    python benchmarks/overlap.py --help

The first 18 genes of each panel, 1 % of the 1838 genes of PBMC3k as published, chosen on all
cells; the paper looks at CD4 T cells, here all types are kept. A gene is depleted if its mean in
the cells of the type is below its mean in all others; of our methods it is also told how many
genes they call depleted themselves. A gene is a method's own if no baseline (no other one) has it
among its first 18: ours are not compared with each other, as they share what they are made of.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from _data import GROUP, SOURCES, available
from _rankings import KEY, Cells, Ranking, rankings
from _results import RESULTS, Results, Row, code_key
from curves import compared, rank
from panels import prepare

from ace.metrics import panel_membership

if TYPE_CHECKING:
    import anndata as ad

TOP = 18
KEYS = ("data", "seed", "method")
#: The type that is looked at.
GROUPS = {
    "pbmc3k_processed": "CD4 T cells",
    "pbmc3k": "CD4 T cells",
    "pbmc68k": "CD4+/CD25 T Reg",
}


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for and not yet there, then compare all that is kept."""
    options = _parse(arguments)
    results = Results(options.out, KEYS)
    known = rankings()
    results.keep_only("method", known)
    unknown = sorted(set(options.methods or ()) - set(known))
    if unknown:
        sys.exit(f"unknown methods {unknown}; there are {sorted(known)}")
    names = options.methods or compared(known, quick=options.quick)
    here = code_key(files=("_data.py", "overlap.py"))
    start = time.perf_counter()
    for data in options.data:
        if available(data):
            print(f"skipped {data}: {available(data)}", flush=True)
            continue
        for seed in options.seeds:
            cells = None
            for method in (known[name] for name in names):
                if method.counts and not SOURCES[data].counts:
                    continue
                row: Row = {"data": data, "seed": seed, "method": method.name}
                row["code"] = f"{here}-{method.code}"
                if results.get(row):
                    continue
                cells = cells or prepare(data, "in-sample", seed)[0]
                try:
                    row |= run(method, cells, GROUPS[data])
                except Exception as error:  # noqa: BLE001 (one must not cost the others)
                    print(f"FAILED {data}, {seed}, {method.name}: {error!r}", file=sys.stderr)
                    continue
                results.add(row)
                elapsed = time.perf_counter() - start
                print(f"[{elapsed:.0f} s] {data}, {seed}, {method.name}", flush=True)
            _compare(results, data, seed, known, here)


def run(method: Ranking, cells: Cells, group: str) -> Row:
    """First genes of each type, and which of them are depleted."""
    adata = cells.adata
    panels = rank(method, cells)
    genes = {name: list(adata.var_names[columns[:TOP]]) for name, columns in panels.items()}
    lower = {name: _lower(adata, name) for name in panels}
    depleted = {name: [gene for gene in own if gene in lower[name]] for name, own in genes.items()}
    row: Row = {
        "default": method.default,
        "baseline": method.baseline,
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


def _compare(results: Results, data: str, seed: int, known: dict[str, Ranking], here: str) -> None:
    """Tell each method's own genes, and add that to its row."""
    rows = {}
    for name, method in known.items():
        keys = {"data": data, "seed": seed, "method": name, "code": f"{here}-{method.code}"}
        found = results.get(keys)
        if found:
            rows[name] = found
    baselines = [name for name in rows if known[name].baseline]
    for name, row in rows.items():
        others = [other for other in baselines if other != name]
        if not others:
            continue
        own = {
            group: _only(name, {m: rows[m]["genes"] for m in (name, *others)}, group)
            for group in row["genes"]
        }
        mine = own[row["group"]]
        new: dict[str, Any] = {
            "n_only": len(mine),
            "n_only_all_types": round(float(np.mean([len(genes) for genes in own.values()])), 5),
            "n_only_depleted": len(set(mine) & set(row["depleted"][row["group"]])),
            "only": ", ".join(mine),
        }
        if row | new != row:
            results.add(row | new)


def _only(name: str, panels: dict[str, dict[str, list[str]]], group: str) -> list[str]:
    """Genes that this method alone has, best first."""
    chosen = panel_membership(panels, TOP, group=group)
    alone = set(chosen.index[chosen[name] & (chosen.sum(axis=1) == 1)])
    return [gene for gene in panels[name][group] if gene in alone]


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
