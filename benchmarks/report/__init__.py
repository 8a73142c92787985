"""Reports: tables, claims and figures of the documentation from the stored results."""

from pathlib import Path
from typing import Any

from benchmarks.core.experiment import GRIDS
from benchmarks.core.store import Results
from benchmarks.report import choices, claims, figures, tables
from benchmarks.report.markdown import data, where


def render(results_dir: Path, out_dir: Path) -> list[Path]:
    results, out_dir = Results(results_dir), Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    written = tables.tables(results)
    for name, text in written.items():
        experiment = max((e for e in GRIDS if name.startswith(e)), key=len)
        missing = f"*Not measured yet: `python -m benchmarks run {experiment}`.*\n"
        written[name] = text or missing
    written |= choices.tables(results) | claims.tables(results)
    written["environment"] = tables.environment(results.environments())
    written |= _draw(results, out_dir)
    for name, text in written.items():
        (out_dir / f"{name}.md").write_text(text, encoding="utf-8")
    return [out_dir / f"{name}.md" for name in written]


def _draw(results: Results, folder: Path) -> dict[str, str]:
    """Draw the figures of ``data/figures.csv``; returns the markdown that shows each."""
    shown = {}
    # No date and no versions inside: the same numbers give the same file.
    options: dict[str, Any] = {"dpi": 150, "bbox_inches": "tight", "metadata": {"Software": None}}
    for name, call, given, experiment, needed, caption in data("figures").itertuples(index=False):
        shown[f"{name}_figure"] = ""
        if not results.rows(experiment, **where(needed)).empty:
            figure = getattr(figures, f"draw_{call}")(results, **where(given))
            figure.savefig(folder / f"{name}.png", **options)
            shown[f"{name}_figure"] = f"{caption}:\n\n![{caption}]({name}.png)\n"
    return shown
