"""Reports: tables, claims and figures of the documentation from the stored results."""

from __future__ import annotations

from pathlib import Path

from benchmarks.core.store import Results
from benchmarks.report import choices, claims, tables
from benchmarks.report.figures import FIGURES, draw

#: Experiments by what the names of their tables begin with, longer names first.
EXPERIMENTS = (
    *("panels", "train_speed", "transfer_speed", "scare_speed", "speed", "gpu", "clusters"),
    *("structure", "mnist", "curves", "overlap", "representations", "stability"),
    *("transfer", "scare"),
)


def render(results_dir: Path, out_dir: Path) -> list[Path]:
    """Write the tables and figures.

    A table without results says how to make them. For each figure ``<name>_figure.md`` shows
    ``<name>.png``; it is empty where nothing was measured.

    Parameters
    ----------
    results_dir
        Folder of the results.
    out_dir
        Folder of the tables; created if it is missing.

    Returns
    -------
    The markdown files.
    """
    results, out_dir = Results(results_dir), Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    written = tables.tables(results)
    for name, text in written.items():
        experiment = next(e for e in EXPERIMENTS if name.startswith(e))
        missing = f"*Not measured yet: `python -m benchmarks run {experiment}`.*\n"
        written[name] = text or missing
    written |= choices.tables(results) | claims.tables(results)
    written["environment"] = tables.environment(results.environments())
    written |= {f"{name}_figure": draw(name, results, out_dir) for name in FIGURES}
    for name, text in written.items():
        (out_dir / f"{name}.md").write_text(text, encoding="utf-8")
    return [out_dir / f"{name}.md" for name in written]
