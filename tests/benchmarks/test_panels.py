"""The protocols: what is kept, what is repeated, and what the judge sees."""

import json
import sys

import numpy as np
import pytest


def _rows(path):
    return json.loads(path.read_text())["rows"]


def _arguments(tmp_path, *more):
    return [
        "--methods",
        "t-test, abs",
        "--seeds",
        "0",
        "--jobs",
        "1",
        *more,
        "--out",
        str(tmp_path / "panels.json"),
    ]


def test_truth_is_counted_and_kept(tmp_path, capsys):
    import panels

    arguments = _arguments(tmp_path, "--data", "simulated")
    panels.main(arguments)
    (row,) = _rows(tmp_path / "panels.json")
    assert row["causal"] + row["dependent"] + row["noise"] == pytest.approx(20)
    assert row["noise"] < 1
    assert 0 < row["jaccard@20"] < row["jaccard@5"] < 1
    assert "1 runs done" in capsys.readouterr().out
    panels.main(arguments)
    assert "0 runs done" in capsys.readouterr().out


def test_changed_code_is_run_again(tmp_path, capsys):
    import panels

    arguments = _arguments(tmp_path, "--data", "simulated")
    panels.main(arguments)
    path = tmp_path / "panels.json"
    path.write_text(path.read_text().replace(_rows(path)[0]["code"], "older"))
    capsys.readouterr()
    panels.main(arguments)
    assert "1 runs done" in capsys.readouterr().out
    assert len(_rows(path)) == 1


def test_held_out_cells_are_not_seen(monkeypatch):
    import panels

    chosen, judged = panels.prepare("pbmc68k", "held-out", seed=0)
    assert chosen.adata.n_obs == judged.n_obs == 350
    assert not set(chosen.adata.obs_names) & set(judged.obs_names)
    fractions = [a.obs["group"].value_counts(normalize=True) for a in (chosen.adata, judged)]
    np.testing.assert_allclose(*[f.sort_index() for f in fractions], atol=0.004)
    # The PCA is that of the chosen half.
    x = chosen.adata.X.toarray()
    projected = (x - x.mean(axis=0)) @ chosen.adata.varm["PCs"]
    np.testing.assert_allclose(projected, chosen.adata.obsm["X_pca"], atol=1e-2)


def test_judge_by_hand():
    import panels

    from ace.metrics import panel_auroc

    _, judged = panels.prepare("pbmc68k", "held-out", seed=1)
    rng = np.random.default_rng(0)
    groups = judged.obs["group"].cat.categories
    random_panels = {group: rng.permutation(judged.n_vars)[:18] for group in groups}
    row = panels.judge(judged, random_panels, min_cells=25, n_jobs=1, seed=1)
    large = [g for g in groups if (judged.obs["group"] == g).sum() >= 25]
    aurocs = panel_auroc(
        judged.X,
        judged.obs["group"].astype(str),
        {g: random_panels[g] for g in large},
        18,
        min_cells=0,
        random_state=1,
    )
    assert row["auroc@18"] == pytest.approx(aurocs["auroc"].mean())
    correlation = [
        np.corrcoef(judged.X[:, random_panels[g]].toarray(), rowvar=False)[np.triu_indices(18, 1)]
        for g in large
    ]
    assert row["redundancy"] == pytest.approx(np.mean([np.nanmean(c) for c in correlation]))
    assert row["redundancy_abs"] == pytest.approx(
        np.mean([np.nanmean(np.abs(c)) for c in correlation])
    )


def test_missing_data_are_skipped_aloud(tmp_path, monkeypatch, capsys):
    import panels

    monkeypatch.delenv("ACE_DATA_DIR", raising=False)
    panels.main(_arguments(tmp_path, "--data", "baron_mouse"))
    assert "skipped baron_mouse: ACE_DATA_DIR is not set" in capsys.readouterr().out


def test_models_of_counts_run_on_counts_only(tmp_path, capsys):
    import panels

    arguments = ["--methods", "SCVI + panel", "--data", "pbmc68k", "simulated"]
    panels.main([*arguments, "--out", str(tmp_path / "panels.json")])
    assert "0 runs; results in" in capsys.readouterr().out


def test_unknown_method(tmp_path):
    import panels

    with pytest.raises(SystemExit, match="unknown methods"):
        panels.main(["--methods", "guess", "--out", str(tmp_path / "panels.json")])


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark cannot be reset")
def test_peak_memory_is_that_of_the_call():
    from _measure import measure

    np.ones(50_000_000).sum()  # an earlier, higher peak does not count
    value, cost = measure(lambda: np.ones(15_000_000).sum())
    assert value == 15_000_000
    assert cost.peak_mb == pytest.approx(15e6 * 8 / 1024**2, rel=0.1)
    assert cost.seconds > 0
