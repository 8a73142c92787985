"""Two devices compared: what is kept of each, and that nothing is run where there is one."""

import json


def test_each_device_is_timed_and_explains_the_same(tmp_path, monkeypatch):
    import gpu
    from _panel_tables import tables

    # Two names of the processor stand for two devices.
    monkeypatch.setattr(gpu, "devices", lambda: {"cpu": "cpu", "cpu:0": "cpu"})
    out = tmp_path / "gpu.json"
    gpu.main(["--quick", "--models", "KRATOS", "--epochs", "2", "--out", str(out)])
    first, second = json.loads(out.read_text())["rows"]
    assert (first["device"], second["device"]) == ("cpu", "cpu:0")
    for row in (first, second):
        assert (row["model"], row["n_cells"], row["n_genes"]) == ("KRATOS", 700, 765)
        assert row["ms_epoch"] > 0
        assert row["seconds_panel"] > 0
    assert second["jaccard_panel"] == second["jaccard_expected_gradients"] == 1
    assert "jaccard_panel" not in first
    second |= {"hardware": "A card", "ms_epoch": first["ms_epoch"] / 4}
    out.write_text(json.dumps({"rows": [first, second]}))
    table = tables(tmp_path)["gpu"]
    assert f"A card against {first['threads']} threads" in table
    assert "| KRATOS |" in table
    assert "| 4.00 |" in table


def test_without_a_gpu_nothing_is_run(tmp_path, monkeypatch, capsys):
    import gpu

    monkeypatch.setattr(gpu, "devices", lambda: {"cpu": "cpu"})
    gpu.main(["--quick", "--out", str(tmp_path / "gpu.json")])
    assert "torch finds no GPU here" in capsys.readouterr().out
    assert not (tmp_path / "gpu.json").exists()
