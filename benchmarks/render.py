"""Turn the kept results into the tables and figures of the documentation.

python benchmarks/render.py [results folder] [folder for the tables]
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import _choices
import _claims
import _panel_tables
import _reproduction_tables
import _scare_tables
import _transfer_tables
from _tables import environment, plain, read

HERE = Path(__file__).parent
#: Figures: the results that they are drawn from, the module that draws, what is said above.
FIGURES = {
    "structure": ("structure", "_figures", "Distance of neighbourhoods as panels grow"),
    "curves": ("curves", "_curves_figures", "AUROC and redundancy as panels grow"),
    "overlap": ("overlap", "_curves_figures", "ACE's Figure 3D: sets of methods that share genes"),
    "representations": ("representations", "_curves_figures", "Kratos' Figure 3, by UMAP"),
    "embeddings": (
        "clusters",
        "_figures",
        "ACE's Figures 3A and A.1, drawn by UMAP from the latent space of the first seed",
    ),
    "mnist_convolutional": (
        "mnist",
        "_mnist_figures",
        "ACE's Figure 4, the first image of each pair",
    ),
    "mnist_vector": (
        "mnist",
        "_mnist_figures",
        "The same for the network of Kratos, which sees vectors of pixels",
    ),
    "reliability": (
        "transfer",
        "_figures",
        "Accuracy against confidence, all tasks and seeds of a set pooled; points by their cells",
    ),
    "scare_fssf": (
        "scare",
        "_scare_figures",
        "scARE's Figure 1a: every pair of subclusters, both sets, first seed",
    ),
    "scare_weights": (
        "scare",
        "_scare_figures",
        "FSSF against types told, Kang, both sets; numbers are weights",
    ),
}
#: Scripts with tables here, by the beginnings of the tables' names.
SCRIPTS = (
    *("panels", "speed", "train_speed", "gpu", "clusters", "structure", "mnist"),
    *("curves", "overlap", "representations", "stability"),
    *("transfer_speed", "transfer", "scare_speed", "scare"),
)


def render(results_dir: Path, out_dir: Path) -> list[Path]:
    """Write markdown tables of the results, and figures.

    Writes the tables of the modules that end with ``_tables``, the claims that ``_claims`` judges,
    what ``_choices`` recommends, ``environment.md``, and a table for each JSON of rows that nobody
    knows, named as it is. A table whose results are missing says how to make them. For each figure
    ``<name>_figure.md`` shows ``<name>.png``; it is empty where there is nothing to draw.

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
    tables = _panel_tables.tables(results_dir) | _reproduction_tables.tables(results_dir)
    tables |= _transfer_tables.tables(
        read(results_dir / "transfer.json"), read(results_dir / "transfer_speed.json")
    )
    tables |= _scare_tables.tables(
        read(results_dir / "scare.json"), read(results_dir / "scare_speed.json")
    )
    for table, text in tables.items():
        if not text:
            script = next(name for name in SCRIPTS if table.startswith(name))
            tables[table] = f"*Not measured yet: `python benchmarks/{script}.py`.*\n"
    tables |= _choices.tables(results_dir) | _claims.tables(results_dir)
    tables["environment"] = environment(results_dir.glob("*.json"))
    for path in sorted(results_dir.glob("*.json")):
        if path.stem not in SCRIPTS:
            tables[path.stem] = plain(read(path))
    for name, (source, module, caption) in FIGURES.items():
        drawn = _draw(name, module, results_dir / f"{source}.json", out_dir / f"{name}.png")
        tables[f"{name}_figure"] = f"{caption}:\n\n![{caption}]({name}.png)\n" if drawn else ""
    written = []
    for name, text in tables.items():
        path = out_dir / f"{name}.md"
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _draw(name: str, module: str, results: Path, out_png: Path) -> bool:
    """Draw a figure, if its results are there."""
    if not results.exists():
        return False
    try:
        getattr(import_module(module), f"draw_{name}")(results, out_png)
    except ValueError:  # there is nothing to draw
        return False
    return True


if __name__ == "__main__":
    given = [Path(a) for a in sys.argv[1:]]
    results = given[0] if given else HERE / "results"
    target = given[1] if len(given) > 1 else HERE / "results" / "quick" / "tables"
    for written in render(results, target):
        print(written)
