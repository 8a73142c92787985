"""Tables: means, spreads and the best are those of the rows."""

import json

import pytest


def _row(method, seed, auroc, **fields):
    return {
        "data": "pbmc3k", "protocol": "held-out", "seed": seed, "method": method,
        "code": "x", "auroc@3": auroc, "redundancy": 0.2, **fields,
    }  # fmt: skip


@pytest.fixture
def results(tmp_path):
    rows = [
        _row("Wilcoxon, abs", 0, 0.94),
        _row("Wilcoxon, abs", 1, 0.96),
        _row("ace panel", 0, 0.97, default=True),
        _row("ace panel", 1, 0.97, default=True),
    ]
    environment = {"python": "3.11", "system": "Linux", "cpus": 2, "packages": {"numpy": "2.0"}}
    content = {"environment": environment, "rows": rows}
    (tmp_path / "panels.json").write_text(json.dumps(content))
    return tmp_path


def test_means_spreads_and_best(results):
    from render import render

    written = {path.stem: path.read_text() for path in render(results, results / "tables")}
    lines = written["panels_held_out"].splitlines()
    assert lines[0].endswith("(2 seeds)")
    # Columns without any value are not shown; ours come first; the sample deviation of two.
    assert lines[2] == "| method | AUROC @3 | redundancy |"
    assert lines[4] == "| ace panel (default) | **0.970** | **0.200** |"
    assert lines[5] == "| Wilcoxon, abs | 0.950 ± 0.014 | **0.200** |"
    assert "panels: Python 3.11, Linux, 2 CPUs; numpy 2.0" in written["environment"]


def test_missing_results_say_how_to_make_them(tmp_path):
    from render import render

    written = {path.stem: path.read_text() for path in render(tmp_path, tmp_path / "tables")}
    assert set(written) == {
        "panels_held_out", "panels_in_sample", "panels_truth", "speed", "train_speed",
        "environment",
    }  # fmt: skip
    assert "Not measured yet: `python benchmarks/panels.py`" in written["panels_truth"]
    assert "Not measured yet: `python benchmarks/speed.py`" in written["speed"]


def test_ratios_of_speed(tmp_path):
    from render import render

    rows = [
        {"comparison": "wilcoxon", "subject": "ace.tl.explain", "seconds": 0.5},
        {"comparison": "wilcoxon", "subject": "scanpy Wilcoxon", "seconds": 1.0},
        {"comparison": "adversarial", "subject": "proximal", "seed": 0, "seconds": 2.0},
        {"comparison": "adversarial", "subject": "proximal", "seed": 1, "seconds": 4.0},
        {"comparison": "adversarial", "subject": "subgradient", "seed": 0, "seconds": 300.0},
        {"comparison": "scale", "subject": "ace.tl.explain", "size": 10_000, "seconds": 2.0},
        {"comparison": "scale", "subject": "ace.tl.explain", "size": 100_000, "seconds": 3.0},
    ]
    (tmp_path / "speed.json").write_text(json.dumps({"rows": rows}))
    render(tmp_path, tmp_path)
    text = (tmp_path / "speed.md").read_text()
    assert "takes 0.50 of the time of Wilcoxon" in text
    assert "takes 100 times as long" in text
    assert "10 times the cells take 1.50 times as long" in text
    assert "| ace.tl.explain, 100,000 cells | 3.00 |" in text


def test_training_is_averaged_over_seeds(tmp_path):
    from render import render

    rows = [
        {"matrix": m, "seed": s, "ms_kratos": 90.0 + s, "ms_bare": 60.0, "ratio": 1.5 + s}
        for m in ("dense", "csr")
        for s in (0, 1)
    ]
    (tmp_path / "train_speed.json").write_text(json.dumps({"rows": rows}))
    render(tmp_path, tmp_path)
    lines = (tmp_path / "train_speed.md").read_text().splitlines()
    assert "| dense | 90 ± 1 | 60 | 2.00 ± 0.71 |" in lines


def test_unknown_results_are_a_plain_table(tmp_path):
    from render import render

    rows = [{"name": "loop", "seconds": 1.23456, "all": [1, 2]}, {"name": "model", "seconds": 2.0}]
    (tmp_path / "more.json").write_text(json.dumps({"rows": rows}))
    render(tmp_path, tmp_path)
    assert (tmp_path / "more.md").read_text().splitlines() == [
        "| name | seconds |",
        "| --- | ---: |",
        "| loop | 1.235 |",
        "| model | 2 |",
    ]
