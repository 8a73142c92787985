"""Which genes methods choose: what counts as depleted, and as a method's own."""

import json

import numpy as np
import pytest


def _rows(path):
    return {row["method"]: row for row in json.loads(path.read_text())["rows"]}


def _run(path, *methods):
    import overlap

    overlap.main(["--data", "pbmc68k", "--methods", *methods, "--out", str(path)])
    return _rows(path)


def test_own_genes_are_those_that_no_baseline_has(tmp_path, capsys):
    from _data import load
    from _own_genes import with_own_genes
    from _tables import read

    path = tmp_path / "overlap.json"
    rows = _run(path, "ace panel", "Wilcoxon, abs", "t-test, abs", "ace expected_gradients")
    group = "CD4+/CD25 T Reg"
    first = {name: row["genes"][group] for name, row in rows.items()}
    assert {len(genes) for genes in first.values()} == {18}
    wilcoxon, t_test = set(first["Wilcoxon, abs"]), set(first["t-test, abs"])
    # Ours is not compared with ours; a baseline is with the other.
    told = with_own_genes(read(path)).set_index("method")
    panel = told.loc["ace panel"]
    expected = [gene for gene in first["ace panel"] if gene not in wilcoxon | t_test]
    assert panel["only"].split(", ") == expected
    assert panel["n_only"] == len(expected) > 0
    assert told.loc["t-test, abs", "n_only"] == len(t_test - wilcoxon)

    adata = load("pbmc68k")
    own = (adata.obs["group"] == group).to_numpy()
    values = adata[:, first["ace panel"]].to_df().to_numpy()
    depleted = values[own].mean(axis=0) < values[~own].mean(axis=0)
    assert panel["depleted"][group] == list(np.array(first["ace panel"])[depleted])
    assert panel["n_depleted"] == depleted.sum()
    assert panel["n_only_depleted"] == len(set(expected) & set(panel["depleted"][group]))
    # What a method calls depleted is told of ours alone.
    assert 0 <= rows["ace panel"]["n_called_depleted"] <= 18
    assert "n_called_depleted" not in rows["t-test, abs"]

    assert capsys.readouterr().out.count("pbmc68k, 0") == 4
    before = path.read_text()
    _run(path, "ace panel", "Wilcoxon, abs")
    assert "pbmc68k, 0" not in capsys.readouterr().out
    assert path.read_text() == before


def test_own_genes_are_told_of_all_rows_that_there_are(tmp_path):
    """Also of those that other code made."""
    from _own_genes import with_own_genes
    from _tables import read

    def told():
        return with_own_genes(read(path)).set_index("method")

    path = tmp_path / "overlap.json"
    _run(path, "ace panel", "t-test, abs")
    before = told()
    path.write_text(path.read_text().replace(before["code"]["t-test, abs"], "older"))
    after = _run(path, "Wilcoxon, abs")
    assert set(after) == {"ace panel", "Wilcoxon, abs", "t-test, abs"}
    own = set(before["only"]["ace panel"].split(", "))
    shared = set(after["Wilcoxon, abs"]["genes"][after["Wilcoxon, abs"]["group"]])
    assert set(told()["only"]["ace panel"].split(", ")) == own - shared < own
    assert before["only"].isna()["t-test, abs"]  # there was no other


def test_unknown_methods_are_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"unknown methods \['magic'\]"):
        _run(tmp_path / "o.json", "magic")
