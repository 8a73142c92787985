"""Which method when: numbers are those of the rows."""

import json


def test_numbers_come_from_the_rows(tmp_path):
    import _choices

    rows = [
        {"data": "pbmc3k", "protocol": "held-out", "seed": seed, "method": method,
         "auroc@3": auroc, "redundancy": 0.1, "seconds": 0.5, "default": method == "ace panel"}
        for method, auroc in (("ace panel", 0.97), ("COSG", 0.9), ("Wilcoxon, abs", 0.95))
        for seed in (0, 1)
    ]  # fmt: skip
    (tmp_path / "panels.json").write_text(json.dumps({"rows": rows}))
    written = _choices.tables(tmp_path)
    lines = written["choices"].splitlines()[3:]
    # The rival is the best of what is not ours; what was not measured is left out.
    assert "AUROC with 3 genes: ace panel 0.970; Wilcoxon, abs 0.950<br>" in lines[2]
    assert "pancreas" not in lines[2]
    assert sum("*not measured*" in line for line in lines) == 11
    rankings = written["choices_rankings"].splitlines()[3:-1]
    assert rankings[0] == "| ranking | for | PBMC3k: AUROC @3 | redundancy | seconds |"
    assert (
        rankings[2]
        == "| ace panel | few genes, the first five chosen jointly | 0.970 | 0.10 | 0.50 |"
    )
    assert len(rankings) == 5


def test_methods_of_fewer_seeds_are_marked(tmp_path):
    import _choices

    rows = [
        {"data": "pbmc3k", "protocol": "held-out", "seed": seed, "method": method,
         "auroc@3": auroc, "default": method == "ace panel"}
        for method, found in (("ace panel", (0.9, 0.98)), ("COSG", (0.92,)), ("GCE", (0.91, 0.91)))
        for seed, auroc in enumerate(found)
    ]  # fmt: skip
    (tmp_path / "panels.json").write_text(json.dumps({"rows": rows}))
    written = _choices.tables(tmp_path)
    # COSG is the nearest rival on the seed that both have.
    assert "ace panel 0.940 ± 0.057; COSG 0.920 (1 seed) |" in written["choices"]
    lines = written["choices_rankings"].splitlines()
    assert [line.split(" | ")[-1] for line in lines[5:8]] == ["0.940 |", "0.920 † |", "0.910 |"]


def test_every_call_is_there():
    """Functions and classes that are recommended exist."""
    import re

    import _choices

    import ace

    named = [name for c in _choices.CHOICES for name in re.findall(r"`(ace\.[\w.]+)`", c.use)]
    assert len(named) >= 8
    for name in named:
        found = ace
        for part in name.split(".")[1:]:
            found = getattr(found, part)
