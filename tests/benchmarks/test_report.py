"""Claims, tables and figures follow from the rows."""

import re
from operator import attrgetter

import pytest
from benchmarks.core.store import RESULTS, Results, Table, Task
from benchmarks.methods.rankings import rankings
from benchmarks.report import claims, derived, render
from benchmarks.report.claims import Claim, Part, judge, judged, verdict
from benchmarks.report.evidence import BASELINES, CAUSAL, DEFAULT, is_baseline
from benchmarks.report.markdown import data

import ace


@pytest.fixture
def stored(tmp_path):
    """Store numbers of methods, a list per method with a number for each seed."""

    def store(name, metric, where=None, **methods):
        table = Table(tmp_path, name)
        for method, numbers in methods.items():
            for seed, value in enumerate(numbers):
                task = Task(**({"data": "x"} | (where or {})), method=method, seed=seed)
                table.add(task, "1.1", {metric: value})
        return Results(tmp_path)

    return store


def _part(metric="auroc", method=("own",), **options):
    return Part(metric, method, ("toy", {}), **options)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([True, True], "holds"),
        ([True, False], "partly"),
        ([False, False], "does not hold"),
        ([None, None], "not measured"),
        ([True, None], "holds, as far as measured"),
    ],
)
def test_a_verdict_follows_from_all_inequalities(parts, expected):
    assert verdict(parts) == expected


def test_methods_are_compared_on_common_seeds_by_the_means_that_are_shown(stored):
    results = stored("toy", "auroc", own=[0.9, 0.92, 0.99], GCE=[0.90004, 0.92004], GRS=[0.85])
    found = judge(_part(rivals=("GCE", "GRS", "COSG")), results)
    text = "0.910 ± 0.014, 0.910 ± 0.014 of GCE (on 2 seeds that both have), without COSG"
    assert (found.text, found.holds, found.n_seeds) == (text, False, 2)  # a tie is not more
    assert found.missing == ("COSG",)
    assert judge(_part(rivals=("GRS",)), results).holds is True
    assert judge(_part(rivals=("GRS",), best=-1), results).holds is False
    assert judge(_part(rivals=("COSG",)), results).holds is None
    assert judge(_part(method=("COSG",), rivals=("GCE",)), results).holds is None
    assert judge(_part(metric="missing", level=1), results).holds is None
    assert judge(_part(method=("GRS", "own"), level=0.9), results).holds is True


@pytest.mark.parametrize(
    ("value", "level", "best", "decimals", "holds", "text"),
    [
        (0.5, 0.5, -1, 1, True, "0.5, at most 0.5"),
        (0.545, 0.5, -1, 1, False, "0.55, at most 0.5"),
        (9.9996, 10, 1, 1, False, "9.9996, at least 10"),
        (0.14, 0.15, -1, 1, True, "0.1, at most 0.15"),
    ],
)
def test_a_level_is_met_by_the_mean_itself(stored, value, level, best, decimals, holds, text):
    part = _part(level=level, best=best, decimals=decimals)
    found = judge(part, stored("toy", "auroc", own=[value]))
    assert (found.text, found.holds) == (text, holds)


def test_a_tie_is_decided_by_redundancy_and_slack_allows_a_loss(stored):
    stored("toy", "auroc", own=[0.9914], GCE=[0.9924])
    for redundancy, holds in ((0.1, True), (0.3, False)):
        results = stored("toy", "redundancy", {"data": "y"}, own=[redundancy], GCE=[0.2])
        found = judge(_part(rivals=("GCE",), tie="redundancy"), results)
        assert found.holds is holds
        assert f"0.991, 0.992 of GCE; redundancy: {redundancy:.3f}, 0.200 of GCE" in found.text
    far = stored("toy", "auroc", own=[0.9906], GCE=[0.9924])
    found = judge(_part(rivals=("GCE",), tie="redundancy"), far)
    assert (found.text, found.holds) == ("0.9906, 0.9924 of GCE", False)
    assert judge(_part(rivals=("GCE",), slack=0.002), far).holds is True
    assert judge(_part(rivals=("GCE",), slack=0.001), far).holds is False


def test_a_rival_that_was_not_measured_leaves_a_claim_open(stored):
    results = stored("toy", "auroc", own=[0.9], GCE=[0.8])
    part = _part(rivals=("GCE", "COSG"))
    word, told = judged(Claim("Figure 1", "Best.", "", "", [part], []), results)
    assert word == "holds, as far as measured"
    assert told == (
        "✓ 0.900, 0.800 of GCE, without COSG<br>– not measured everywhere: COSG<br>(1 seed)"
    )


def test_genes_until_better_than_the_causal_ones(tmp_path):
    curves = {"20 causal genes": [0.5] * 4, "good": [0.9, 0.4, 0.3, 0.2], "bad": [0.9] * 4}
    for method, curve in curves.items():
        values = {f"jaccard@{k}": v for k, v in zip((5, 10, 15, 20), curve, strict=True)}
        Table(tmp_path, "structure").add(Task("x", method=method), "1.1", values)
    found = derived.below_causal(Results(tmp_path), "x").set_index("method")["n_genes"]
    assert found.to_dict() == {"good": 10, "bad": float("inf")}


def test_what_is_ours():
    ours = [name for name, method in rankings().items() if not is_baseline(name)]
    assert ours == [name for name, method in rankings().items() if not method.baseline]
    assert not any(map(is_baseline, [DEFAULT, CAUSAL]))
    assert all(map(is_baseline, BASELINES))


def test_stored_results_are_judged_without_a_gap():
    text = claims.tables(Results(RESULTS))["claims"]
    assert text.startswith("Of 30: 10 hold, 15 hold in part, 5 do not hold")
    for paper in ("scNym", "scARE"):
        part = text.split(f"**{paper}")[1].split("\n\n**")[0]
        assert "not measured" not in part


def test_own_genes_and_agreement_of_the_papers_methods(tmp_path):
    table = Table(tmp_path, "overlap")
    panels = {"ACE + adversarial": "abz", "DESeq2": "abx", "GRS": "ayv", "COSG": "xyv"}
    for method, genes in panels.items():
        values = {(f"depleted@{g}", derived.CD4): int(g in "az") for g in genes}
        table.add(Task("pbmc3k_processed", method=method), "1.1", values | {"n_depleted": 2})
    found = derived.figure_3d(Results(tmp_path)).set_index("method")
    # x of DESeq2 is not shared: COSG is not of the paper.
    assert found["shared"].to_dict() == {"ACE + adversarial": 2, "DESeq2": 2, "GRS": 1}
    assert found.loc["ACE + adversarial", ["n_own", "own_depleted", "common"]].eq(1).all()
    own = derived.overlap(Results(tmp_path), "pbmc3k_processed").set_index("method")
    assert own["only"].to_dict()["ACE + adversarial"] == "z"
    assert own["n_only"].fillna(0).to_dict()["GRS"] == 0


def test_missing_results_say_how_to_make_them(tmp_path):
    written = {path.stem: path.read_text() for path in render(tmp_path, tmp_path / "tables")}
    docs = RESULTS.parents[1] / "docs"
    pages = [page.read_text() for page in docs.rglob("*.md") if "generated" not in page.parts]
    shown = set(re.findall(r"\{include\} \S*generated/tables/(\w+)\.md", "\n".join(pages)))
    assert shown - {"methods", "presets"} == set(written)  # each page includes what is written
    assert "Not measured yet: `python -m benchmarks run panels`" in written["panels_truth"]
    assert "benchmarks run transfer_speed`" in written["transfer_speed"]
    assert "| *not measured* |" in written["choices"]
    assert written["structure_figure"] == ""
    assert not list((tmp_path / "tables").glob("*.png"))


def test_stored_results_fill_every_table_and_figure(tmp_path):
    written = {path.stem: path.read_text() for path in render(RESULTS, tmp_path)}
    assert not [name for name, text in written.items() if "Not measured yet" in text or not text]
    assert len(list(tmp_path.glob("*.png"))) == 10
    assert "\n| ace panel (default) |" in written["panels_held_out"]


def test_every_recommended_call_exists():
    named = re.findall(r"`ace\.([\w.]+)`", " ".join(data("choices")["use"]))
    assert len(named) >= 8
    assert all(map(callable, attrgetter(*named)(ace)))
