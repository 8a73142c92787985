"""Every script is run, with options that it knows."""

import json
import subprocess
import sys

import pytest


def test_every_script_is_run_and_no_other():
    import run

    names = [script.stem for script in run.scripts()]
    assert {"panels", "structure", "clusters", "speed", "curves"} <= set(names)
    assert not {"run", "render"} & set(names)
    assert not any(name.startswith("_") for name in names)


def test_scripts_are_called_in_turn_and_failures_are_counted(monkeypatch, tmp_path, capsys):
    import run

    called = []

    class Done:
        def __init__(self, command):
            called.append(command)
            self.returncode = int("speed.py" in command[1])

    monkeypatch.setattr(run, "HERE", tmp_path)
    monkeypatch.setattr(run, "scripts", lambda: [tmp_path / "panels.py", tmp_path / "speed.py"])
    monkeypatch.setattr(subprocess, "run", Done)
    assert run.main(["--quick"]) == 1
    out = str(tmp_path / "results" / "quick" / "panels.json")
    script = str(tmp_path / "panels.py")
    assert called[0][:5] == [sys.executable, script, "--out", out, "--quick"]
    said = capsys.readouterr()
    assert "in some hours: python benchmarks/run.py" in said.out
    assert "Failed: speed.py" in said.err
    # Tables are made of what is there, and say what is not.
    claims = tmp_path / "results" / "quick" / "tables" / "claims.md"
    assert "not measured" in claims.read_text()

    called.clear()
    (tmp_path / "results" / "panels.json").write_text(json.dumps({"rows": []}))
    assert run.main(["--only", "panels"]) == 0
    assert [command[1] for command in called] == [str(tmp_path / "panels.py")]
    assert "--quick" not in called[0]


def test_an_unknown_script_is_refused(capsys):
    import run

    with pytest.raises(SystemExit):
        run.main(["--only", "nothing"])
    assert "invalid choice: 'nothing'" in capsys.readouterr().err
