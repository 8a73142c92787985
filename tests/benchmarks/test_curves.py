"""Curves of AUROC and redundancy: what is judged, how it is kept, and what is run."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

ARGUMENTS = ("--data", "pbmc68k", "--protocols", "held-out", "--seeds", "0", "--jobs", "1")


@pytest.fixture
def few(monkeypatch):
    """Fewer numbers of genes and groups: a row in a second."""
    import curves

    how = curves.Judging((3, 5), 60)
    monkeypatch.setitem(curves.SETS["pbmc68k"], "held-out", how)
    return how


def _rows(path):
    return {row["method"]: row for row in json.loads(path.read_text())["rows"]}


def test_a_row_tells_what_the_metrics_tell(tmp_path, few, capsys):
    import curves
    from _data import GROUP
    from _rankings import rankings

    from ace.metrics import panel_auroc, panel_redundancy

    path = tmp_path / "curves.json"
    curves.main([*ARGUMENTS, "--methods", "t-test, abs", "ace panel", "--out", str(path)])
    rows = _rows(path)
    assert {name: row["baseline"] for name, row in rows.items()} == {
        "t-test, abs": True,
        "ace panel": False,
    }
    row = rows["t-test, abs"]

    cells, judged = curves.prepare("pbmc68k", "held-out", 0)
    assert set(cells.adata.obs_names).isdisjoint(judged.obs_names)
    panels = rankings()["t-test, abs"].rank(cells)
    groups = judged.obs[GROUP].astype(str)
    aurocs = panel_auroc(judged.X, groups, panels, 5, protocol="nested", min_cells=60)
    assert row["auroc@5"] == pytest.approx(aurocs["auroc"].mean(), abs=1e-5)
    assert row["auroc_sem@5"] == pytest.approx(aurocs["auroc"].sem(), abs=1e-5)
    of_groups = aurocs.groupby("group")["auroc"].mean()
    assert row["groups"]["5"] == pytest.approx(of_groups.to_dict(), abs=1e-5)
    assert set(row["groups"]["3"]) == set(of_groups.index)
    assert row["n_groups"] == len(of_groups) == (groups.value_counts() >= 60).sum()
    redundancy = panel_redundancy(judged.X, {g: panels[g] for g in of_groups.index}, 5)
    assert row["redundancy@5"] == pytest.approx(redundancy["redundancy"].mean(), abs=1e-5)
    assert row["redundancy_abs@5"] >= row["redundancy@5"]
    assert (row["n_genes"], row["sizes"]) == (765, [3, 5])

    assert capsys.readouterr().out.count("@3") == 2
    curves.main([*ARGUMENTS, "--methods", "t-test, abs", "ace panel", "--out", str(path)])
    assert "@3" not in capsys.readouterr().out


def test_short_panels_are_judged_as_far_as_they_go(few):
    import curves

    _, judged = curves.prepare("pbmc68k", "held-out", 0)
    panels = {group: np.arange(4) for group in judged.obs["group"].cat.categories}
    row = curves.judge(judged, panels, few, 1, 0)
    assert row["sizes"] == [3]
    assert "auroc@5" not in row


def test_a_method_that_fails_does_not_cost_the_others(tmp_path, few, monkeypatch, capsys):
    import curves

    def fail(method, cells):
        if method.name == "t-test, abs":
            raise RuntimeError("no luck")
        return original(method, cells)

    original = curves.rank
    monkeypatch.setattr(curves, "rank", fail)
    path = tmp_path / "curves.json"
    curves.main([*ARGUMENTS, "--methods", "t-test, abs", "ace panel", "--out", str(path)])
    assert "FAILED pbmc68k, held-out, 0, t-test, abs: RuntimeError('no luck')" in (
        capsys.readouterr().err
    )
    assert set(_rows(path)) == {"ace panel"}


def test_default_and_every_baseline_are_compared():
    import curves
    from _rankings import rankings

    known = rankings()
    is_meant, in_quick = curves.compared(quick=False), curves.compared(quick=True)
    names = {name for name, method in known.items() if is_meant(method)}
    assert {name for name, method in known.items() if method.baseline} <= names
    assert {"ace panel", "ACE + adversarial", "KRATOS + smoothgrad"} <= names
    quick = {name for name, method in known.items() if in_quick(method)}
    assert quick == {"ace panel", *curves.QUICK}


def test_one_seed_of_everything_comes_first(monkeypatch):
    import _loop
    import curves

    monkeypatch.setattr(_loop, "available", lambda name: None)
    options = SimpleNamespace(data=["pbmc68k", "pbmc3k"], protocols=curves.PROTOCOLS, seeds=[0, 1])
    method = SimpleNamespace(name="m", counts=False)
    of_counts = SimpleNamespace(name="c", counts=True)
    found = [
        (*setting.values(), method.name)
        for setting, method in _loop.tasks(curves._settings(options), [method, of_counts])
    ]
    one = [("pbmc68k", "m"), ("pbmc3k", "m"), ("pbmc3k", "c")]
    runs = [("in-sample", 0), ("held-out", 0), ("held-out", 1)]
    assert found == [(data, protocol, seed, m) for protocol, seed in runs for data, m in one]


def test_unknown_methods_are_refused(tmp_path):
    import curves

    with pytest.raises(SystemExit, match=r"unknown methods \['magic'\]"):
        curves.main([*ARGUMENTS, "--methods", "magic", "--out", str(tmp_path / "c.json")])
