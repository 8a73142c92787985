"""The store, the runner and the command line, on a tiny grid and on a small simulated set."""

import sys

import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from benchmarks.__main__ import main
from benchmarks.core.data import simulated_counts
from benchmarks.core.experiment import Entry, Experiment, run
from benchmarks.core.measure import epochs, epochs_in_turns, measure
from benchmarks.core.store import COLUMNS, RESULTS, Results, Table, Task
from benchmarks.experiments import EXPERIMENTS

import ace


def test_values_come_back_as_they_were_stored(tmp_path):
    task = Task("cells", "held-out", "both", "ace panel", 3)
    values = {"auroc@18": 0.123456789, "n": 4308, ("recall", "B cells"): 0.5, "left out": np.nan}
    Table(tmp_path, "toy").add(task, "1.1", values | {"arrays": {"umap": np.arange(4)}})
    results = Results(tmp_path)
    (row,) = results.rows("toy").to_dict("records")
    assert row == {**task._asdict(), "revision": "1.1", "auroc@18": 0.12346, "n": 4308.0}
    (recall,) = results.values("toy", group="B cells")["value"]
    assert recall == 0.5
    assert results.arrays("toy")[task]["umap"].tolist() == [0, 1, 2, 3]
    assert results.environments()["toy"]["packages"]["numpy"] == np.__version__
    assert results.rows("nothing").empty


def test_runs_of_another_revision_are_replaced_for_every_seed(tmp_path):
    table = Table(tmp_path, "toy")
    for seed in (0, 1):
        table.add(Task("cells", method="a", seed=seed), "1.1", {"x": seed})
    table.add(Task("cells", method="b"), "1.1", {"x": 9})
    table.add(Task("cells", method="a", seed=1), "1.2", {"x": 5})
    table = Table(tmp_path, "toy")
    assert not table.has(Task("cells", method="a"), "1.1")
    assert table.has(Task("cells", method="a", seed=1), "1.2")
    assert not table.has(Task("cells", method="a", seed=1), "1.1")
    assert table.has(Task("cells", method="b"), "1.1")


def _toy(calls, **changes):
    def toy(task, method, prepared, quick):
        calls.append((task, prepared))
        if task.method == "broken":
            raise ValueError("broken")
        return {"value": task.seed}

    fields = {
        "methods": lambda: {"good": Entry(), "broken": Entry(), "unnamed": Entry()},
        "runs": [{"data": ["a", "b"], "seeds": [0, 1]}],
        "meant": lambda name, method: name != "unnamed",
        "prepare": lambda task: f"{task.data}{task.seed}",
        "applies": lambda task, method: task.data == "a" or "b: not today",
        "quick": [{"data": ["a"], "methods": ["good", "not installed"], "seeds": [0]}],
    }
    return Experiment("toy", "A toy.", toy, **(fields | changes))


def test_what_is_missing_is_run_and_failures_cost_only_themselves(tmp_path, capsys):
    calls = []
    assert run(_toy(calls), tmp_path) == 2
    assert [(t.data, t.seed, t.method, p) for t, p in calls] == [
        ("a", 0, "good", "a0"), ("a", 0, "broken", "a0"),
        ("a", 1, "good", "a1"), ("a", 1, "broken", "a1"),
    ]  # fmt: skip
    told = capsys.readouterr()
    assert told.out.count("skipped b: not today") == 1
    assert "FAILED a, broken, 0: ValueError('broken')" in told.err
    calls.clear()
    assert run(_toy(calls, revision=2), tmp_path, quick=True) == 0
    assert [t.method for t, _ in calls] == ["good"]
    calls.clear()
    assert run(_toy(calls, revision=2), tmp_path, methods=["good"], seeds=[0]) == 0
    assert calls == []
    # The other seed was of another revision.
    assert Results(tmp_path).rows("toy")["revision"].tolist() == ["2.1"]


def test_an_experiment_from_the_command_line(tmp_path, capsys):
    arguments = ["--data", "simulated", "--method", "t-test, abs", "--seeds", "0"]
    arguments = ["run", "panels", *arguments, "--results", str(tmp_path)]
    assert main(arguments) == 0
    (row,) = Results(tmp_path).rows("panels").to_dict("records")
    assert row["causal"] + row["dependent"] + row["noise"] == pytest.approx(20)
    assert 0 < row["jaccard@20"] < row["jaccard@5"] < 1
    capsys.readouterr()
    assert main(arguments) == 0
    assert "panels: 0 runs done, 0 failed." in capsys.readouterr().out
    assert main(["render", "--results", str(tmp_path), "--out", str(tmp_path / "tables")]) == 0
    assert "| t-test, abs |" in (tmp_path / "tables" / "panels_truth.md").read_text()


def test_stored_results_are_of_known_experiments_and_methods(capsys):
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    optional = {"COSG", "NS-Forest", "DESeq2", "ACE of 256 genes + panel", "celltypist"}
    optional |= {"scNym, its own code", "scNym, its own code, for new types"}  # stored only
    for path in RESULTS.glob("*.csv"):
        assert path.stem in EXPERIMENTS
        frame = pd.read_csv(path, keep_default_na=False)
        assert list(frame) == COLUMNS
        assert not frame.duplicated(COLUMNS[:-1]).any()
        for name in set(frame["method"]) - optional:
            assert name in listed or name.startswith("EAD"), (path.stem, name)


def test_unknown_names_are_refused_with_the_known_ones(tmp_path):
    for option, name, known in (("data", "c", "'b'"), ("methods", "worse", "'unnamed'")):
        with pytest.raises(SystemExit, match=f"unknown {option} of toy.*'{name}'.*{known}"):
            run(_toy([]), tmp_path, **{option: [name]})
    with pytest.raises(SystemExit, match=r"unknown experiments \['toy'\]; there are panels"):
        main(["run", "toy", "--results", str(tmp_path)])


def test_missing_data_are_skipped_with_their_source(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ACE_DATA_DIR", str(tmp_path))
    calls = []
    needed = {"a": ("a.h5ad",), "b": ()}
    experiment = _toy(calls, files=needed.get, applies=lambda task, method: True)
    assert run(experiment, tmp_path, methods=["good"], seeds=[0]) == 0
    assert [task.data for task, _ in calls] == ["b"]
    told = capsys.readouterr().out
    assert told.count("skipped a: a.h5ad is not in ACE_DATA_DIR; docs/benchmarks.md says") == 1


def test_epochs_are_timed_one_by_one():
    adata = simulated_counts(60, 230)
    sc.pp.log1p(adata)
    ace.model.KRATOS.setup_anndata(adata, "group")
    model = ace.model.KRATOS(adata, n_hidden=8)
    assert len(epochs(model, 3, early_stopping=False)) == 3
    calls = {"slow": lambda: [9.0, 0.2, 0.4, 0.2], "fast": lambda: [9.0, 0.1, 0.1]}
    found = epochs_in_turns(calls, 2, ratio=("slow", "fast"))  # the first epoch does not count
    assert (found["ms_slow"], found["ms_fast"], found["ratio"]) == pytest.approx((200, 100, 2))


def test_simulated_counts_are_whole_and_sparse():
    adata = simulated_counts(300)
    assert adata.shape == (300, 2000)
    assert (adata.X.data == np.round(adata.X.data)).all()
    assert adata.X.data.min() >= 1
    assert adata.X.nnz / np.prod(adata.shape) == pytest.approx(0.08, abs=0.01)
    assert adata.obs["group"].nunique() == 10


@pytest.mark.skipif(sys.platform != "linux", reason="the high-water mark cannot be reset")
def test_peak_memory_is_that_of_the_call():
    np.ones(50_000_000).sum()  # an earlier, higher peak does not count
    value, cost = measure(lambda: np.ones(15_000_000).sum())
    assert value == 15_000_000
    assert cost.peak_mb == pytest.approx(15e6 * 8 / 1024**2, rel=0.1)
    assert cost.seconds > 0
