"""Tables of the kept results, for the documentation: mean ± sd over seeds, the best in bold.

python benchmarks/render.py [results folder] [folder for the tables]
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Column:
    """How a field is shown: title, decimals, and which end is best (0: neither)."""

    field: str
    title: str
    decimals: int = 3
    best: int = 0


AUROC = tuple(Column(f"auroc@{k}", f"AUROC @{k}", 3, 1) for k in (3, 5, 10, 18))
REDUNDANCY = (
    Column("redundancy", "redundancy", 3, -1),
    Column("redundancy_abs", "of absolute correlations", 3, -1),
)
COST = (Column("seconds", "seconds", 2), Column("peak_mb", "peak MB", 0))
TRAINING = (
    Column("accuracy", "model's accuracy", 3, 1),
    Column("train_seconds", "seconds of training", 1),
)
TRUTH = (
    Column("causal", "causal", 1, 1),
    Column("dependent", "dependent", 1),
    Column("noise", "noise", 1, -1),
    *(Column(f"jaccard@{k}", f"Jaccard distance @{k}", 3, -1) for k in (5, 10, 20)),
)
SPEED = (
    Column("size", "cells", 0),
    Column("matrix_mb", "matrix, MB", 0),
    Column("seconds", "seconds", 2, -1),
    Column("seconds_first", "first call", 2),
    Column("peak_mb", "peak above it, MB", 0, -1),
)
SOLVERS = (
    Column("steps", "steps", 0),
    Column("seconds", "seconds", 1, -1),
    Column("flip_rate", "flipped", 3, 1),
    Column("l1", "L1", 2, -1),
    Column("n_features", "genes changed", 1, -1),
    *AUROC,
    Column("redundancy", "redundancy", 3, -1),
)
TRAIN = (
    Column("n_cells", "cells", 0),
    Column("n_genes", "genes", 0),
    Column("ms_ours", "ours, ms an epoch", 0),
    Column("ms_bare", "bare loop, ms an epoch", 0),
    Column("ratio", "ratio", 2),
)
CLUSTERS = (
    Column("ari", "ARI", 3, 1),
    Column("ami", "AMI", 3, 1),
    Column("knn_accuracy", "kNN accuracy", 3, 1),
    Column("batch_mixing", "batch mixing", 3, 1),
    Column("batch_silhouette", "silhouette by batch", 3),  # best nearest to 0
    Column("seconds", "seconds", 1),
)
NEIGHBOURS = (
    *(Column(f"jaccard@{k}", f"@{k}", 3, -1) for k in (5, 10, 20, 50, 100)),
    Column("seconds", "seconds", 2),
)
#: Order and titles of the data sets; others follow under their own names.
TITLES = {
    "pbmc3k": "PBMC3k, log1p(CP10k) of the counts, 2000 variable genes",
    "baron_mouse": "Baron mouse pancreas, 3000 variable genes, types of at least 10 cells",
    "pbmc3k_processed": "PBMC3k, regressed and scaled values of the published 1838 genes",
    "pbmc68k": "PBMC68k, 700 cells bundled with scanpy (not used to choose the default)",
    "symsim_140_clean": "SymSim, Kratos' set (20 causal, 20 dependent, 100 noise genes)",
    "symsim_220_clean": "SymSim, ACE's clean set (20 causal, 100 dependent, 100 noise genes)",
    "symsim_220_complex": "SymSim, ACE's complex set (the same with dropout and batches)",
    "simulated": "ace.datasets.simulated_panels (not used to choose the default)",
}
#: The same where clusters and neighbourhoods are judged.
OTHER_TITLES = {
    "pbmc3k_processed": "PBMC3k, regressed and scaled values of the published 1838 genes, 8 types",
    "pbmc3k": "PBMC3k, log1p(CP10k) of the counts, 2000 variable genes, 8 types",
    "baron_mouse_all": "Baron mouse pancreas, 3000 variable genes, all 13 types",
    "symsim_220_clean": "SymSim, ACE's clean set",
    "symsim_220_complex": "SymSim, ACE's complex set, two batches",
    "kang": "Kang, blood cells with and without interferon, two batches",
    "simulated": "ace.datasets.simulated_panels",
}
#: What the neighbourhoods of panels are compared with.
LEVEL = "20 causal genes"
#: Figures: the results that they are drawn from, and what is said above them.
FIGURES = {
    "structure": ("structure", "Distance of neighbourhoods against the number of genes"),
    "embeddings": (
        "clusters",
        "ACE's Figures 3A and A.1, drawn by UMAP from the latent space of the first seed",
    ),
    "mnist_convolutional": ("mnist", "ACE's Figure 4, the first image of each pair"),
    "mnist_vector": ("mnist", "The same for the network of Kratos, which sees vectors of pixels"),
    "reliability": (
        "transfer",
        "Accuracy against confidence, all tasks and seeds of a set pooled; points by their cells",
    ),
    "scare_fssf": ("scare", "scARE's Figure 1a: every pair of subclusters, both sets, first seed"),
    "scare_weights": ("scare", "FSSF against types told, Kang, both sets; numbers are weights"),
}
#: Scripts with tables here, by the beginnings of the tables' names.
SCRIPTS = (
    *("panels", "speed", "train_speed", "clusters", "structure", "mnist"),
    *("transfer_speed", "transfer", "scare_speed", "scare"),
)


def render(results_dir: Path, out_dir: Path) -> list[Path]:
    """Write markdown tables of the results, and figures.

    Writes the tables that are named below, ``transfer*.md``, ``scare*.md`` and ``environment.md``,
    and one for each other JSON of rows, named as it is. A table whose results are missing says how
    to make them. For each figure ``<name>_figure.md`` shows ``<name>.png``; it is empty where
    there is nothing to draw.

    Parameters
    ----------
    results_dir
        Where the JSON files are.
    out_dir
        Where the tables go; made if it is not there.

    Returns
    -------
    The markdown files written.
    """
    results_dir, out_dir = Path(results_dir), Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    import _scare_tables  # which take the form of tables from here
    import _transfer_tables

    panels, speed = _read(results_dir / "panels.json"), _read(results_dir / "speed.json")
    tables = {
        "panels_held_out": _by_data(panels, ["held-out"], (*AUROC, *REDUNDANCY, *COST, *TRAINING)),
        "panels_in_sample": _by_data(
            panels, ["in-sample", "in-sample fixed"], (*AUROC, *REDUNDANCY)
        ),
        "panels_truth": _by_data(panels, ["truth"], (*TRUTH, *COST)),
        "speed": _speed(speed),
        "train_speed": _training(_read(results_dir / "train_speed.json")),
        "clusters": _each_set(_read(results_dir / "clusters.json"), CLUSTERS),
        "structure": _each_set(_read(results_dir / "structure.json"), NEIGHBOURS),
        "mnist": _digits(_rows(results_dir / "mnist.json")),
    }
    tables |= _transfer_tables.tables(
        _read(results_dir / "transfer.json"), _read(results_dir / "transfer_speed.json")
    )
    tables |= _scare_tables.tables(
        _read(results_dir / "scare.json"), _read(results_dir / "scare_speed.json")
    )
    for table, text in tables.items():
        if not text:
            script = next(name for name in SCRIPTS if table.startswith(name))
            tables[table] = f"*Not measured yet: `python benchmarks/{script}.py`.*\n"
    tables["environment"] = _environment([*results_dir.glob("*.json")])
    for path in sorted(results_dir.glob("*.json")):
        if path.stem not in SCRIPTS:
            tables[path.stem] = _plain(_read(path))
    for name, (source, caption) in FIGURES.items():
        drawn = _draw(name, results_dir / f"{source}.json", out_dir / f"{name}.png")
        tables[f"{name}_figure"] = f"{caption}:\n\n![{caption}]({name}.png)\n" if drawn else ""
    written = []
    for name, text in tables.items():
        path = out_dir / f"{name}.md"
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _draw(name: str, results: Path, out_png: Path) -> bool:
    """Draw a figure, if its results are there."""
    if results.stem == "mnist":
        network = name.removeprefix("mnist_")
        rows = _rows(results)
        if not any(row["network"] == network and "example" in row for row in rows):
            return False
        import _mnist_figures

        # No versions inside: the same numbers give the same file.
        options: dict[str, Any] = {"bbox_inches": "tight", "metadata": {"Software": None}}
        _mnist_figures.figure(rows, network).savefig(out_png, dpi=150, **options)
        return True
    import _figures
    import _scare_figures

    module = _scare_figures if results.stem == "scare" else _figures
    try:
        getattr(module, f"draw_{name}")(results, out_png)
    except ValueError:  # there is nothing to draw
        return False
    return True


def _rows(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []


def _read(path: Path) -> pd.DataFrame:
    return pd.DataFrame(_rows(path))


def _by_data(rows: pd.DataFrame, protocols: list[str], columns: tuple[Column, ...]) -> str:
    """One table for each data set and protocol."""
    if not len(rows):
        return ""
    parts = []
    for data in _ordered(rows["data"].unique(), list(TITLES)):
        for protocol in protocols:
            part = rows[(rows["data"] == data) & (rows["protocol"] == protocol)]
            if not len(part):
                continue
            nested = {"in-sample": ", nested cross-validation", "in-sample fixed": ", C = 1"}
            title = f"**{TITLES.get(data, data)}{nested.get(protocol, '')}**"
            parts.append(f"{title} {_seeds(part)}\n\n{_table(part, 'method', columns)}")
    return "\n".join(parts)


def _each_set(rows: pd.DataFrame, columns: tuple[Column, ...]) -> str:
    """One table for each data set; what is no method, but a level to compare with, below it."""
    parts = []
    for data in _ordered(rows["data"].unique(), list(OTHER_TITLES)) if len(rows) else []:
        part = rows[rows["data"] == data]
        level, part = part[part["method"] == LEVEL], part[part["method"] != LEVEL]
        if len(part):
            title = f"**{OTHER_TITLES.get(data, data)}** {_seeds(part)}"
            parts.append(f"{title}\n\n{_table(part, 'method', columns)}")
        if len(level):
            distance = level[columns[0].field].mean()
            parts.append(f"The {LEVEL} alone: {distance:.{columns[0].decimals}f}.\n")
    return "\n".join(parts)


def _training(rows: pd.DataFrame) -> str:
    """A line for each model and matrix; ours under whatever model's name it was kept."""
    if not len(rows):
        return ""
    own = [name for name in rows if name.startswith("ms_") and name != "ms_bare"]
    named = rows.assign(
        ms_ours=rows[own].bfill(axis=1).iloc[:, 0],
        training=rows["subject"] + ", " + rows["matrix"],
    )
    return _table(named, "training", TRAIN)


def _digits(rows: list[dict[str, Any]]) -> str:
    """Tables of the digits, which have a script of their own."""
    if not {"network", "proximal"} <= {row["subject"] for row in rows}:
        return ""
    import _mnist_figures

    return _mnist_figures.markdown(rows)


def _speed(rows: pd.DataFrame) -> str:
    if not len(rows):
        return ""
    titles = {
        "wilcoxon": ("PBMC3k, 2638 cells × 1838 genes, same matrix and process, in turns", SPEED),
        "scale": ("Cells × 2000 genes, 8 % non-zero, 10 groups, PCA given", SPEED),
        "adversarial": ("Adversarial, proximal against published solver, PBMC3k", SOLVERS),
    }
    parts = []
    for name, (title, columns) in titles.items():
        part = rows[rows["comparison"] == name]
        if not len(part):
            continue
        if name == "scale":
            part = part.assign(
                subject=part["subject"] + part["size"].map(", {:,.0f} cells".format)
            )
            # Best of what is different by design says nothing.
            columns = tuple(Column(c.field, c.title, c.decimals) for c in columns[1:])
        parts.append(f"**{title}**\n\n{_table(part, 'subject', columns)}{_ratio(part, name)}")
    return "\n".join(parts)


def _ratio(part: pd.DataFrame, name: str) -> str:
    """Say the number that the comparison is about, if both sides are there."""
    seconds = part.groupby("subject", sort=False)["seconds"].mean()
    if name == "wilcoxon" and len(seconds) == 2:
        ratio = seconds["ace.tl.explain"] / seconds["scanpy Wilcoxon"]
        return f"\n`ace.tl.explain` takes {ratio:.2f} of the time of Wilcoxon.\n"
    if name == "adversarial" and len(seconds) == 2:
        ratio = seconds["subgradient"] / seconds["proximal"]
        return f"\nThe published solver takes {ratio:.0f} times as long.\n"
    if name == "scale":
        own = part[part["subject"].str.startswith("ace")].sort_values("size")
        if len(own) > 1:
            ratio = own["seconds"].iloc[-1] / own["seconds"].iloc[0]
            sizes = own["size"].iloc[-1] / own["size"].iloc[0]
            return f"\n{sizes:.0f} times the cells take {ratio:.2f} times as long to explain.\n"
    return ""


def _seeds(rows: pd.DataFrame) -> str:
    n = rows["seed"].nunique()
    return f"({n} seeds)" if n > 1 else "(1 seed)"


def _table(rows: pd.DataFrame, by: str, columns: tuple[Column, ...]) -> str:
    """Give a line for each value of `by`, ours first, with mean ± sd."""
    columns = tuple(c for c in columns if c.field in rows and rows[c.field].notna().any())
    grouped = rows.groupby(by, sort=False)
    fields = [c.field for c in columns]
    mean = grouped[fields].mean()
    spread = grouped[fields].std()
    names = sorted(mean.index, key=_rank)
    lines = [[by, *(c.title for c in columns)], ["---", *("---:" for _ in columns)]]
    for name in names:
        chosen = rows[rows[by] == name]
        is_default = "default" in chosen and bool(chosen["default"].eq(True).any())
        cells = [f"{name} (default)" if is_default else str(name)]
        for column in columns:
            values = mean[column.field]
            text = _number(values[name], spread.loc[name, column.field], column.decimals)
            best = values.max() if column.best > 0 else values.min()
            # All that look the same as the best are best.
            same = f"{values[name]:.{column.decimals}f}" == f"{best:.{column.decimals}f}"
            cells.append(f"**{text}**" if column.best and same and text else text)
        lines.append(cells)
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _plain(rows: pd.DataFrame) -> str:
    """Give a table of a file that this script knows nothing about."""
    fields = [
        name
        for name in rows
        if name != "code" and not rows[name].map(lambda v: isinstance(v, (list, dict))).any()
    ]
    lines = [fields, ["---:" if is_numeric_dtype(rows[f]) else "---" for f in fields]]
    lines += [[_value(row[f]) for f in fields] for _, row in rows.iterrows()]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _value(value: Any) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.4g}"
    return "" if value is None else str(value)


def _number(mean: float, spread: float, decimals: int) -> str:
    if pd.isna(mean):
        return ""
    text = f"{mean:,.{decimals}f}"
    if pd.isna(spread) or round(spread, decimals) == 0:
        return text
    return f"{text} ± {spread:.{decimals}f}"


def _rank(name: str) -> tuple[int, str]:
    """Sort ours without a model first, then with one, then the others."""
    order = ("ace", "ACE", "KRATOS", "SCNYM", "SCARE", "SCVI", "SCANVI")
    return next((i for i, start in enumerate(order) if name.startswith(start)), len(order)), name


def _ordered(values: Any, order: list[str]) -> list[str]:
    known = [v for v in order if v in values]
    return known + sorted(v for v in values if v not in order)


def _environment(paths: list[Path]) -> str:
    """Say what the numbers were made with; each file its own line if they differ."""
    lines: dict[str, list[str]] = {}
    for path in sorted(paths):
        found = json.loads(path.read_text(encoding="utf-8")).get("environment")
        if not found:
            continue
        packages = ", ".join(f"{k} {v}" for k, v in found.get("packages", {}).items())
        machine = f"{found.get('system')}, {found.get('cpus')} CPUs"
        line = f"Python {found.get('python')}, {machine}; {packages}"
        lines.setdefault(line, []).append(path.stem)
    return "".join(f"- {', '.join(names)}: {line}\n" for line, names in lines.items())


if __name__ == "__main__":
    given = [Path(a) for a in sys.argv[1:]]
    results = given[0] if given else HERE / "results"
    target = given[1] if len(given) > 1 else HERE / "results" / "quick" / "tables"
    for written in render(results, target):
        print(written)
