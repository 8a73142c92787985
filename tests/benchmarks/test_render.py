"""Tables: means, spreads and the best are those of the rows."""

import json

import pytest


def _row(method, seed, auroc, **fields):
    return {
        "data": "pbmc3k", "protocol": "held-out", "seed": seed, "method": method,
        "code": "x", "auroc@3": auroc, "redundancy": 0.2, **fields,
    }  # fmt: skip


@pytest.fixture
def results(tmp_path):
    rows = [
        _row("Wilcoxon, abs", 0, 0.94),
        _row("Wilcoxon, abs", 1, 0.96),
        _row("ace panel", 0, 0.97, default=True),
        _row("ace panel", 1, 0.97, default=True),
    ]
    environment = {"python": "3.11", "system": "Linux", "cpus": 2, "packages": {"numpy": "2.0"}}
    content = {"environment": environment, "rows": rows}
    (tmp_path / "panels.json").write_text(json.dumps(content))
    return tmp_path


def test_means_spreads_and_best(results):
    from render import render

    written = {path.stem: path.read_text() for path in render(results, results / "tables")}
    lines = written["panels_held_out"].splitlines()
    assert lines[0].endswith("(2 seeds)")
    # Columns without any value are not shown; ours come first; the sample deviation of two.
    assert lines[2] == "| method | AUROC @3 | redundancy |"
    assert lines[4] == "| ace panel (default) | **0.970** | **0.200** |"
    assert lines[5] == "| Wilcoxon, abs | 0.950 ± 0.014 | **0.200** |"
    assert "panels: Python 3.11, Linux, 2 CPUs; numpy 2.0" in written["environment"]


def test_missing_results_say_how_to_make_them(tmp_path):
    from render import render

    written = {path.stem: path.read_text() for path in render(tmp_path, tmp_path / "tables")}
    assert set(written) == {
        "panels_held_out", "panels_in_sample", "panels_truth", "speed", "train_speed", "gpu",
        "clusters", "structure", "mnist", "environment", "structure_figure", "embeddings_figure",
        "mnist_convolutional_figure", "mnist_vector_figure", "transfer", "transfer_parts",
        "transfer_others", "transfer_novelty", "transfer_damage", "transfer_speed",
        "reliability_figure", "scare", "scare_losses", "scare_weights", "scare_integration",
        "scare_time", "scare_disjoint", "scare_selection", "scare_speed", "scare_fssf_figure",
        "scare_weights_figure", "curves_in_sample", "curves_held_out", "curves_leaders",
        "stability", "claims", "targets", "choices", "choices_rankings",
        "overlap", "overlap_figure", "representations", "representations_figure", "curves_figure",
    }  # fmt: skip
    assert "Not measured yet: `python benchmarks/panels.py`" in written["panels_truth"]
    assert "Not measured yet: `python benchmarks/speed.py`" in written["speed"]
    assert "Not measured yet: `python benchmarks/train_speed.py`" in written["train_speed"]
    assert "Not measured yet: `python benchmarks/gpu.py`" in written["gpu"]
    assert "Not measured yet: `python benchmarks/clusters.py`" in written["clusters"]
    assert "Not measured yet: `python benchmarks/transfer.py`" in written["transfer_novelty"]
    assert "Not measured yet: `python benchmarks/transfer_speed.py`" in written["transfer_speed"]
    assert "Not measured yet: `python benchmarks/scare.py`" in written["scare_time"]
    assert "Not measured yet: `python benchmarks/scare_speed.py`" in written["scare_speed"]
    assert "Not measured yet: `python benchmarks/curves.py`" in written["curves_leaders"]
    assert "Not measured yet: `python benchmarks/stability.py`" in written["stability"]
    assert "Not measured yet: `python benchmarks/panels.py`" in written["choices_rankings"]
    assert "| *not measured* |" in written["choices"]
    # A page that shows a figure of nothing stays whole.
    assert written["structure_figure"] == written["mnist_vector_figure"] == ""
    assert not list((tmp_path / "tables").glob("*.png"))


def test_ratios_of_speed(tmp_path):
    from render import render

    rows = [
        {"comparison": "wilcoxon", "subject": "ace.tl.explain", "seconds": 0.5},
        {"comparison": "wilcoxon", "subject": "scanpy Wilcoxon", "seconds": 1.0},
        {"comparison": "adversarial", "subject": "proximal", "seed": 0, "seconds": 2.0},
        {"comparison": "adversarial", "subject": "proximal", "seed": 1, "seconds": 4.0},
        {"comparison": "adversarial", "subject": "subgradient", "seed": 0, "seconds": 300.0},
        {"comparison": "scale", "subject": "ace.tl.explain", "size": 10_000, "seconds": 2.0},
        {"comparison": "scale", "subject": "ace.tl.explain", "size": 100_000, "seconds": 3.0},
        {"comparison": "baselines", "subject": "ace panel", "seconds": 0.5, "default": True},
        {"comparison": "baselines", "subject": "COSG", "seconds": 0.1, "default": False},
        {"comparison": "baselines", "subject": "GRS", "seconds": 2.0, "default": False},
    ]
    (tmp_path / "speed.json").write_text(json.dumps({"rows": rows}))
    render(tmp_path, tmp_path)
    text = (tmp_path / "speed.md").read_text()
    assert "takes 0.50 of the time of Wilcoxon" in text
    assert "takes 100 times as long" in text
    assert "| ace panel (default) | 0.50 |" in text
    assert "`ace panel` is faster than 1 of 2 baselines." in text
    assert "10 times the cells take 1.50 times as long" in text
    assert "| ace.tl.explain, 100,000 cells | 3.00 |" in text


def test_training_is_averaged_over_seeds(tmp_path):
    from render import render

    rows = [
        {"subject": f"{model}.train", "matrix": m, "seed": s, f"ms_{model.lower()}": 90.0 + s,
         "ms_bare": 60.0, "ratio": 1.5 + s}
        for model in ("KRATOS", "ACE")
        for m in ("dense", "csr")
        for s in (0, 1)
    ]  # fmt: skip
    (tmp_path / "train_speed.json").write_text(json.dumps({"rows": rows}))
    render(tmp_path, tmp_path)
    lines = (tmp_path / "train_speed.md").read_text().splitlines()
    assert lines[0] == "| training | ours, ms an epoch | bare loop, ms an epoch | ratio |"
    assert "| KRATOS.train, dense | 90 ± 1 | 60 | 2.00 ± 0.71 |" in lines
    assert "| ACE.train, dense | 90 ± 1 | 60 | 2.00 ± 0.71 |" in lines


def test_clusters_are_a_table_a_set_and_a_figure(tmp_path):
    from render import render

    drawn = {"umap": [[0, 0], [100, 50]], "cluster": [0, 1], "label": [1, 0]}
    rows = [
        {"data": "kang", "method": "ACE", "seed": s, "ari": 0.8, "batch_mixing": 0.5 + s}
        | (drawn if s == 0 else {})
        for s in (0, 1)
    ]
    rows += [{"data": "pbmc3k", "method": "PCA + k-means", "seed": 0, "ari": 0.75}]
    (tmp_path / "clusters.json").write_text(json.dumps({"rows": rows}))
    render(tmp_path, tmp_path / "tables")
    lines = (tmp_path / "tables" / "clusters.md").read_text().splitlines()
    assert lines[0].startswith("**PBMC3k")
    assert lines[2] == "| method | ARI |"
    assert lines[4] == "| PCA + k-means | 0.750 |"  # one alone is not best
    assert lines[6].endswith("(2 seeds)")
    assert lines[10] == "| ACE | 0.800 | 1.000 ± 0.707 |"
    figure = (tmp_path / "tables" / "embeddings_figure.md").read_text()
    assert figure.endswith("(embeddings.png)\n")
    assert (tmp_path / "tables" / "embeddings.png").read_bytes()[:4] == b"\x89PNG"


def test_causal_genes_are_a_level_below_the_table(tmp_path):
    from render import render

    rows = [
        {"data": "symsim_220_clean", "method": method, "seed": 0, "n_genes": [5, 10],
         "jaccard": [at, at], "jaccard@5": at}
        for method, at in (("ace panel", 0.6), ("COSG", 0.4), ("20 causal genes", 0.5))
    ]  # fmt: skip
    (tmp_path / "structure.json").write_text(json.dumps({"rows": rows}))
    render(tmp_path, tmp_path)
    lines = (tmp_path / "structure.md").read_text().splitlines()
    # It is nobody's ranking, so it takes the best from none.
    assert lines[4:6] == ["| ace panel | 0.600 |", "| COSG | **0.400** |"]
    told = "The 20 causal genes alone: 0.500. Genes until a method is below that: 5 `COSG`."
    assert lines[-1] == told
    assert (tmp_path / "structure.png").is_file()


def _curve(method, seed, protocol, aurocs, redundancy):
    row = {"data": "pbmc3k", "protocol": protocol, "seed": seed, "method": method, "n_groups": 6}
    for k, auroc in aurocs.items():
        row |= {f"auroc@{k}": auroc, f"auroc_sem@{k}": 0.01}
        row |= {f"redundancy@{k}": redundancy, f"redundancy_sem@{k}": 0.02}
    return row | {"sizes": list(aurocs), "default": method == "ace panel"}


def test_curves_show_seeds_or_errors_and_who_leads(tmp_path):
    from render import render

    rows = [
        _curve("ace panel", 0, "held-out", {3: 0.97, 18: 0.98}, 0.1),
        _curve("ace panel", 1, "held-out", {3: 0.99, 18: 0.98}, 0.1),
        _curve("COSG", 0, "held-out", {3: 0.975, 18: 0.99}, 0.3),
        _curve("KRATOS + panel", 0, "held-out", {3: 0.985, 18: 0.97}, 0.0),
        _curve("ace panel", 0, "in-sample", {3: 0.9}, 0.2),
        _curve("COSG", 0, "in-sample", {3: 0.8}, 0.2),
    ]
    (tmp_path / "curves.json").write_text(json.dumps({"rows": rows}))
    render(tmp_path, tmp_path)
    held_out = (tmp_path / "curves_held_out.md").read_text().splitlines()
    assert held_out[0].endswith("6 types** (2 seeds)")
    # Redundancy is shown of panels that are long enough to have one.
    assert held_out[2] == "| method | seeds | AUROC @3 | AUROC @18 | redundancy @18 |"
    assert held_out[4] == "| ace panel (default) | 2 | 0.980 ± 0.014 | 0.980 | 0.100 |"
    in_sample = (tmp_path / "curves_in_sample.md").read_text().splitlines()
    assert "± standard error over types and folds" in in_sample[0]
    assert in_sample[4] == "| ace panel (default) | **0.900 ± 0.010** |"
    leaders = (tmp_path / "curves_leaders.md").read_text().splitlines()[3:-1]
    assert "in-sample | 3 | **0.900 (0.20)** | 1 of 2 | COSG 0.800 (0.20) | the def" in leaders[2]
    assert leaders[3:] == [
        # Behind both on the seed that all have.
        "| PBMC3k, counts, held-out | 3 | 0.980 (0.10) | 3 of 3 "
        "| COSG 0.975 (0.30), against 0.970 † | KRATOS + panel 0.985 (0.00), against 0.970 † |",
        "| PBMC3k, counts, held-out | 18 | 0.980 (0.10) | 2 of 3 "
        "| COSG 0.990 (0.30), against 0.980 † | COSG 0.990 (0.30), against 0.980 † |",
    ]
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "curves_figure.md").read_text().endswith("(curves.png)\n")


def test_stability_is_a_table_a_set_and_kind(tmp_path):
    from render import render

    rows = [
        {"data": "pbmc3k", "kind": kind, "method": "ace panel", "seed": seed, "rbo": 0.5,
         "jaccard": 0.5 + seed / 10, "n_top": 18}
        for kind in ("halves", "seeds")
        for seed in (0, 1)
    ]  # fmt: skip
    (tmp_path / "stability.json").write_text(json.dumps({"rows": rows}))
    render(tmp_path, tmp_path)
    lines = (tmp_path / "stability.md").read_text().splitlines()
    assert lines[0].endswith("another seed, the same cells** (2 pairs)")
    assert lines[4] == "| ace panel | 0.55 ± 0.07 | 0.50 |"
    assert lines[6].endswith("two random halves of the cells** (2 pairs)")


def test_digits_are_tables_and_a_figure_a_network(tmp_path):
    import render

    kept = render.HERE / "results" / "mnist.json"
    (tmp_path / "mnist.json").write_text(kept.read_text())
    render.render(tmp_path, tmp_path)
    text = (tmp_path / "mnist.md").read_text()
    assert text.count("| EAD, stronger settings |") == 4
    assert "nan" not in text  # not all solvers were timed on all images
    for name in ("mnist_convolutional", "mnist_vector"):
        assert f"({name}.png)" in (tmp_path / f"{name}_figure.md").read_text()
        assert (tmp_path / f"{name}.png").is_file()


def _transfer(source, method, seed, accuracy, comparison="transfer", data="kang", **fields):
    return {"comparison": comparison, "data": data, "source": source, "change": "as they are",
            "method": method, "seed": seed, "accuracy": accuracy, **fields}  # fmt: skip


def _drawn(rows, folder):
    from render import render

    (folder / "transfer.json").write_text(json.dumps({"rows": rows}))
    render(folder, folder)
    return {path.stem: path.read_text().splitlines() for path in folder.glob("*.md")}


def test_transfer_is_a_table_a_direction_with_presets_apart(tmp_path):
    rows = [
        _transfer("CTRL", "SCNYM", 0, 0.95),
        _transfer("CTRL", "SCNYM", 1, 0.97),
        _transfer("CTRL", "SCNYM, no_teacher", 0, 0.9),
        _transfer("CTRL", "linear SVM", 0, 0.94),
        _transfer("STIM", "linear SVM", 0, 0.93),
    ]
    written = _drawn(rows, tmp_path)
    table = written["transfer"]
    assert table[0] == "**CTRL → STIM** (defaults were chosen here) (2 seeds)"
    assert table[4:6] == ["| SCNYM | 2 | **0.960 ± 0.014** |", "| linear SVM | 1 | 0.940 |"]
    assert table[7] == "**STIM → CTRL** (1 seed)"
    parts = written["transfer_parts"]
    assert parts[4:6] == ["| SCNYM | 2 | **0.960 ± 0.014** |", "| SCNYM, no_teacher | 1 | 0.900 |"]
    assert len(parts) == 6


def test_means_over_domains_are_of_those_that_ran_on_all(tmp_path):
    rows = [
        _transfer(source, "SCNYM", seed, accuracy + seed / 100, data="cellmix")
        for source, accuracy in (("10x", 0.9), ("Drop-seq", 0.8))
        for seed in (0, 1)
    ]
    rows.append(_transfer("10x", "SCANVI", 0, 0.99, data="cellmix"))
    table = _drawn(rows, tmp_path)["transfer_others"]
    assert table[2] == "| method | seeds | from 10x | from Drop-seq | mean |"
    assert table[4] == "| SCNYM | 2 | 0.905 ± 0.007 | **0.805 ± 0.007** | **0.855 ± 0.007** |"
    assert table[5] == "| SCANVI | 1 | **0.990** |  |  |"


def test_novelty_is_a_line_a_type_and_a_mean_of_all(tmp_path):
    def row(source, method, auroc, **fields):
        new = {"comparison": "novelty", "auroc": auroc, **fields}
        return _transfer(source, method, 0, 0.9, **new) | {"change": "B hidden"}

    rows = [
        row("CTRL", "SCNYM, new_identity", 0.9, flagged=0.5, kept=0.94),
        row("STIM", "SCNYM, new_identity", 0.8, flagged=0.7, kept=0.96),
        row("CTRL", "logistic regression", 0.95),
    ]
    table = _drawn(rows, tmp_path)["transfer_novelty"]
    assert table[2] == "| hidden | labels from | SCNYM, new_identity | logistic regression |"
    assert table[4] == "| B | CTRL | 0.900 | **0.950** |"
    assert table[5] == "| B | STIM | **0.800** |  |"
    assert table[6] == "| mean |  | 0.850 | 1 of 2 |"
    assert table[-1] == "| mean |  | 0.60 / 0.95 |"


def test_damage_is_compared_with_what_was_before(tmp_path):
    def row(comparison, source, seed, accuracy, recall):
        found = _transfer(source, "linear SVM", seed, accuracy, comparison, recall={"B": recall})
        return found | ({"change": "B five times rarer"} if comparison == "damage" else {})

    rows = [row("transfer", source, 0, 0.9, 1.0) for source in ("CTRL", "STIM")]
    rows += [
        row("damage", source, seed, accuracy, 0.5)
        for source, accuracy in (("CTRL", 0.8), ("STIM", 0.6))
        for seed in (0, 1)
    ]
    table = _drawn(rows, tmp_path)["transfer_damage"]
    assert table[0] == "**B five times rarer** (2 seeds)"
    assert table[2] == "| method | accuracy before | after | recall of B before | after |"
    assert table[4] == "| linear SVM | 0.900 | 0.700 | 1.000 | 0.500 |"


def test_reliability_is_drawn_from_pooled_bins(tmp_path):
    empty = [[0, 0.0, 0]] * 8
    rows = [
        _transfer("CTRL", "SCNYM", s, 0.9, reliability=[*empty, [4, 3.4, 4], [6, 5.8, 5]])
        for s in (0, 1)
    ]
    text = _drawn(rows, tmp_path)["reliability_figure"]
    assert text[-1].endswith("(reliability.png)")
    assert (tmp_path / "reliability.png").read_bytes()[:4] == b"\x89PNG"


def test_costs_of_transfer(tmp_path):
    from render import render

    rows = [
        {"comparison": "task", "subject": name, "source": source, "seed": 0, "threads": 2,
         "seconds": seconds, "accuracy": 0.95}
        for name, seconds in (("SCNYM", 5.0), ("scNym, its own code", 50.0))
        for source in ("CTRL", "STIM")
    ]  # fmt: skip
    rows.append(
        {"comparison": "epoch", "subject": "csr", "source": "CTRL", "seed": 0, "threads": 1,
         "ms_scnym": 150.0, "ms_bare": 100.0, "ms_sparse": 120.0, "ratio": 1.5,
         "ratio_sparse": 1.25}
    )  # fmt: skip
    (tmp_path / "transfer_speed.json").write_text(json.dumps({"rows": rows}))
    render(tmp_path, tmp_path)
    text = (tmp_path / "transfer_speed.md").read_text()
    assert "| csr | 150 | 100 | 120 | 1.50 | 1.25 |" in text
    assert "CTRL → STIM, one thread** (1 seed)" in text
    assert "| SCNYM, labels from STIM | **5.0** | **0.950** |" in text
    assert "scNym's own code takes 10 times as long." in text


def test_unknown_results_are_a_plain_table(tmp_path):
    from render import render

    rows = [{"name": "loop", "seconds": 1.23456, "all": [1, 2]}, {"name": "model", "seconds": 2.0}]
    (tmp_path / "more.json").write_text(json.dumps({"rows": rows}))
    render(tmp_path, tmp_path)
    assert (tmp_path / "more.md").read_text().splitlines() == [
        "| name | seconds |",
        "| --- | ---: |",
        "| loop | 1.235 |",
        "| model | 2 |",
    ]


def test_representations_and_overlap(tmp_path):
    from render import render

    rows = [
        {"data": "pbmc3k", "seed": 0, "method": "KRATOS, all cells", "ari": 0.9, "accuracy": 0.95},
        {"data": "pbmc3k", "seed": 0, "method": "GCE", "ari": 0.6},
    ]
    (tmp_path / "representations.json").write_text(json.dumps({"rows": rows}))
    cd4 = {"data": "pbmc3k", "seed": 0, "group": "CD4 T cells", "n_top": 18}
    rows = [
        cd4 | {"method": method, "n_depleted": n, "genes": {"CD4 T cells": genes}}
        for method, n, genes in (
            ("COSG", 0, ["CD3D", "IL7R"]),
            ("ace panel", 12, ["CCL5", "CD3D", "NKG7"]),
        )
    ]
    for row in rows:
        row["depleted"] = {"CD4 T cells": ["CCL5"]}
    (tmp_path / "overlap.json").write_text(json.dumps({"rows": rows}))
    render(tmp_path, tmp_path)
    lines = (tmp_path / "representations.md").read_text().splitlines()
    assert lines[2] == "| method | ARI | accuracy |"
    assert lines[4] == "| KRATOS, all cells | **0.900** | 0.950 |"
    text = (tmp_path / "overlap.md").read_text()
    assert "CD4 T cells, the first 18 genes** (1 seed)" in text
    assert "| ace panel | 12 | 2 | 1 |" in text
    assert text.endswith("has:\n\n- `ace panel`: CCL5, NKG7\n")
