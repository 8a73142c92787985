"""AUROC and redundancy of panels as they grow (ACE, Figure 3B and C; Kratos, Figures 4 to 6).

    python benchmarks/curves.py --help

For each group an RBF-SVM tells its cells from all others by the first k genes of its panel, in
nested 3-fold cross-validation over the C of the ACE paper; redundancy is the mean Pearson
correlation between these genes. Both are means over groups. Two protocols:

in-sample
    Panels are chosen and judged on all cells, as published.
held-out
    Panels are chosen on a random half of the cells (stratified), and judged in the same way on
    the other half. A seed is a split; there are three.

k is 3, 5 and shares of all genes: 1, 2 and 5 % of the blood cells', 1 per mille and 1 % of the
pancreas', which is taken whole, as Kratos did; fewer where cells are held out. Groups are left out
that have fewer judged cells than the papers allow (50; of the pancreas 10, so that each inner fold
has one), or half as many of held-out blood cells.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _loop
from _data import GROUP
from _results import RESULTS, Results, Row, code_key
from panels import prepare

from ace.metrics import panel_auroc, panel_redundancy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _rankings import Cells, Panels, Ranking
    from anndata import AnnData

PROTOCOLS = ("in-sample", "held-out")
KEYS = ("data", "protocol", "seed", "method")


@dataclass(frozen=True)
class Judging:
    """How panels of a set are judged: numbers of genes, and cells that a group needs."""

    sizes: tuple[int, ...]
    min_cells: int


_SETS = {
    "pbmc3k_processed": (Judging((3, 5, 18, 37, 92), 50), Judging((3, 5, 18), 25)),  # 1838 genes
    "pbmc3k": (Judging((3, 5, 18, 92), 50), Judging((3, 5, 18), 25)),  # 2000
    "baron_mouse_whole": (Judging((3, 5, 15, 149), 10), Judging((3, 15, 149), 10)),  # 14 877
    "pbmc68k": (Judging((3, 5, 8, 15, 38), 50), Judging((3, 5, 8), 25)),  # 765
}
#: For whom has no other, and for the quick form.
BUNDLED = "pbmc68k"
SETS = {name: dict(zip(PROTOCOLS, how, strict=True)) for name, how in _SETS.items()}
#: Beside the default and every baseline: what the papers compare, and what it is made of here.
OURS = (
    *("ace expected_gradients", "ace adversarial", "ACE + panel", "ACE + adversarial"),
    *("ACE + smoothgrad", "ACE + integrated_gradients", "KRATOS + panel", "KRATOS + adversarial"),
    *("KRATOS + smoothgrad", "KRATOS + integrated_gradients", "KRATOS + expected_gradients"),
)
QUICK = ("Wilcoxon, abs", "t-test, abs")
_JUDGE = [f"../src/ace/metrics/{n}.py" for n in ("_inputs", "_panel_auroc", "_panel_redundancy")]


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for and not yet there."""
    options = _parse(arguments)
    results = Results(options.out, KEYS)
    methods = _loop.chosen(results, options.methods, compared(quick=options.quick))

    def make(method: Ranking, prepared: tuple[Cells, AnnData], row: Row) -> Row:
        cells, judged = prepared
        how = SETS[row["data"]][row["protocol"]]
        return judge(judged, rank(method, cells), how, options.jobs, row["seed"])

    _loop.run(
        results,
        _loop.tasks(_settings(options), methods),
        code_key(files=("_data.py", "curves.py", *_JUDGE)),
        prepare=prepare,
        make=make,
        shown=_shown,
    )


def compared(*, quick: bool) -> Callable[[Ranking], bool]:
    """What is run if no method is named: the default, what the papers compare, all baselines."""

    def is_meant(method: Ranking) -> bool:
        if method.default and method.model is None:
            return True
        return method.name in QUICK if quick else method.name in OURS or method.baseline

    return is_meant


def _settings(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """First one seed of all, so that what is stopped is complete as far as it got."""
    data = _loop.at_hand(options.data)
    for seed in options.seeds:
        for protocol in options.protocols:
            # In sample a seed would only shuffle the folds.
            if protocol == "in-sample" and seed != options.seeds[0]:
                continue
            for name in data:
                yield {"data": name, "protocol": protocol, "seed": seed}


def rank(method: Ranking, cells: Cells) -> Panels:
    """Panels of a method, its model trained before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if method.prepare:
            method.prepare(cells)
        return method.rank(cells)


def judge(judged: AnnData, panels: Panels, how: Judging, n_jobs: int, seed: int) -> Row:
    """AUROC and redundancy for each number of genes that every panel has."""
    groups = judged.obs[GROUP].to_numpy().astype(str)
    longest = min(map(len, panels.values()))
    sizes = [k for k in how.sizes if k <= longest]
    aurocs = panel_auroc(
        judged.X,
        groups,
        panels,
        sizes,
        protocol="nested",
        min_cells=how.min_cells,
        n_jobs=n_jobs,
        random_state=seed,
    )
    kept = {group: panels[group] for group in aurocs["group"].unique()}
    row: Row = {"n_genes": judged.n_vars, "n_groups": len(kept), "sizes": sizes}
    redundancies = panel_redundancy(judged.X, kept, sizes)
    absolute = panel_redundancy(judged.X, kept, sizes, absolute=True)
    for frame, column, name in (
        (aurocs, "auroc", "auroc"),
        (redundancies, "redundancy", "redundancy"),
        (absolute, "redundancy", "redundancy_abs"),
    ):
        values = frame.groupby("n_top")[column]
        row |= {f"{name}@{k}": float(values.mean()[k]) for k in sizes}
        # Of the AUROC over groups and folds, as the ACE paper has it.
        row |= {f"{name}_sem@{k}": float(values.sem()[k]) for k in sizes}
    of_groups = aurocs.groupby(["n_top", "group"])["auroc"].mean().round(5)
    row["groups"] = {str(k): of_groups[k].to_dict() for k in sizes}
    return row


def _shown(row: Row) -> str:
    """Say what is new, in a line."""
    return ", ".join(
        f"@{k} {row[f'auroc@{k}']:.4f} ({row[f'redundancy@{k}']:.2f})" for k in row["sizes"]
    )


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="the bundled set, held out, three methods"
    )
    parser.add_argument("--data", nargs="+", choices=SETS)
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS)
    parser.add_argument("--methods", nargs="+", help="by name; default, papers' and baselines")
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--jobs", type=int, default=-1, help="processes of the judge")
    parser.add_argument("--out", type=Path, help="JSON file; runs that it has are not repeated")
    options = parser.parse_args(arguments)
    options.seeds = options.seeds or ([0] if options.quick else [0, 1, 2])
    options.data = options.data or (
        [BUNDLED] if options.quick else [n for n in SETS if n != BUNDLED]
    )
    options.protocols = options.protocols or (PROTOCOLS[1:] if options.quick else PROTOCOLS)
    options.out = options.out or RESULTS / ("quick" if options.quick else "") / "curves.json"
    return options


if __name__ == "__main__":
    main()
