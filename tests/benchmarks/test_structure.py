"""The curves of neighbourhoods: what is measured, what is kept, and the causal genes' own line."""

import json

import numpy as np
import pytest


def _rows(path):
    return {row["method"]: row for row in json.loads(path.read_text())["rows"]}


def test_curves_are_measured_once(tmp_path, capsys):
    import structure
    from _data import GROUP

    from ace.metrics import knn_jaccard

    path = tmp_path / "structure.json"
    structure.main(["--quick", "--out", str(path)])
    rows = _rows(path)
    assert set(rows) == {"ace panel", "Wilcoxon, abs", "20 causal genes"}
    for row in rows.values():
        assert row["n_genes"] == list(range(5, 101, 5))
        assert row["jaccard@20"] == row["jaccard"][3]
        assert row["seconds"] > 0
    curve = rows["ace panel"]["jaccard"]
    assert curve[0] > curve[9] > curve[19] > 0
    assert curve[3] < rows["Wilcoxon, abs"]["jaccard@20"]
    # One number, by hand: these genes for every group.
    cells = structure.prepare("simulated", "truth", 0)[0]
    causal = np.flatnonzero(cells.adata.var["kind"] == "causal")
    assert len(causal) == 20
    groups = cells.adata.obs[GROUP].astype(str)
    expected = knn_jaccard(cells.adata.X, groups, dict.fromkeys(set(groups), causal), 20)[20]
    np.testing.assert_allclose(rows["20 causal genes"]["jaccard"], expected, atol=1e-5)

    assert capsys.readouterr().out.count("@20") == 3
    structure.main(["--quick", "--out", str(path)])
    assert "@20" not in capsys.readouterr().out


def test_unknown_methods_are_refused(tmp_path):
    import structure

    with pytest.raises(SystemExit, match=r"unknown methods \['magic'\]"):
        structure.main(["--quick", "--methods", "magic", "--out", str(tmp_path / "s.json")])


def test_the_causal_genes_give_the_known_values(data_dir, tmp_path):
    import structure

    path = tmp_path / "structure.json"
    for data, known in (("symsim_220_clean", 0.526), ("symsim_220_complex", 0.608)):
        arguments = ["--data", data, "--methods", "20 causal genes", "--seeds", "3"]
        structure.main([*arguments, "--out", str(path)])
        rows = [row for row in json.loads(path.read_text())["rows"] if row["data"] == data]
        assert [round(row["jaccard@20"], 3) for row in rows] == [known]
