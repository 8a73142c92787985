"""Default and baselines in turns: who takes part, and what is kept."""

import json

import pytest


def test_the_default_is_timed_against_baselines(tmp_path, monkeypatch, capsys):
    import speed
    from _rankings import rankings

    names = ("t-test, abs", "JSD specificity", "DESeq2", "ace panel", "ace saliency")
    known = {name: ranking for name, ranking in rankings().items() if name in names}
    monkeypatch.setattr(speed, "rankings", lambda: known)
    path = tmp_path / "speed.json"
    arguments = ["--quick", "--only", "baselines", "--repeats", "2", "--out", str(path)]
    speed.main(arguments)
    rows = {row["subject"]: row for row in json.loads(path.read_text())["rows"]}
    # The bundled cells have no counts; of ours, the default only.
    assert set(rows) == {"t-test, abs", "JSD specificity", "ace panel"}
    assert [name for name, row in rows.items() if row["default"]] == ["ace panel"]
    for row in rows.values():
        assert row["comparison"] == "baselines"
        assert row["data"] == "pbmc68k"
        assert len(row["seconds_all"]) == 2
        assert row["seconds"] == pytest.approx(sum(row["seconds_all"]) / 2, abs=1e-4)
        assert row["peak_mb"] >= 0
    before = path.read_text()
    capsys.readouterr()
    speed.main(arguments)
    assert path.read_text() == before
    assert capsys.readouterr().out == "baselines ...\n"


def test_what_takes_long_is_called_once(tmp_path, monkeypatch):
    import speed
    from _rankings import rankings

    known = {"t-test, abs": rankings()["t-test, abs"]}
    monkeypatch.setattr(speed, "rankings", lambda: known)
    monkeypatch.setattr(speed, "LONG", 0.0)
    path = tmp_path / "speed.json"
    speed.main(["--quick", "--only", "baselines", "--out", str(path)])
    (row,) = json.loads(path.read_text())["rows"]
    assert row["seconds_all"] == [row["seconds_first"]]
