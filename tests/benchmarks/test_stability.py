"""Agreement of panels with those of other cells and other seeds."""

import json

import numpy as np


def _rows(path):
    rows = json.loads(path.read_text())["rows"]
    return {(row["kind"], row["method"]): row for row in rows}


def test_a_method_without_chance_agrees_with_itself_and_not_across_halves(tmp_path, capsys):
    import stability

    path = tmp_path / "stability.json"
    arguments = ["--data", "pbmc68k", "--methods", "t-test, abs", "--seeds", "0", "--out"]
    stability.main([*arguments, str(path)])
    rows = _rows(path)
    seeds, halves = (rows[kind, "t-test, abs"] for kind in ("seeds", "halves"))
    assert (seeds["jaccard"], seeds["rbo"]) == (1, 1)
    assert 0.1 < halves["jaccard"] < 0.9
    assert halves["jaccard"] == np.mean(list(halves["groups"].values())).round(5)
    before = path.read_text()
    stability.main([*arguments, str(path)])  # what is there is not run again
    assert path.read_text() == before
    assert "Jaccard" in capsys.readouterr().out


def test_halves_share_no_cell_and_have_components_of_their_own():
    import stability

    first, second = stability.chosen_on("pbmc68k", "halves", 1)
    assert not set(first.adata.obs_names) & set(second.adata.obs_names)
    assert not np.allclose(first.adata.varm["PCs"], second.adata.varm["PCs"])
    one, two = stability.chosen_on("pbmc68k", "seeds", 1)
    assert (one.seed, two.seed) == (1, 2)
    np.testing.assert_array_equal(one.adata.X.toarray(), two.adata.X.toarray())


def test_groups_of_few_cells_are_left_out_of_the_second_mean():
    import stability

    pair = stability.chosen_on("pbmc68k", "seeds", 0)
    sizes = pair[0].adata.uns["n_cells"]
    same = {group: np.arange(30) for group in sizes}
    other = same | {g: np.arange(30, 60) for g, n in sizes.items() if n < 50}
    found = stability.agreement([same, other], pair[0].adata)
    assert found["jaccard_large"] == 1
    assert found["jaccard"] == np.mean([n >= 50 for n in sizes.values()]) < 1
