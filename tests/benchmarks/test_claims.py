"""Claims: verdicts follow from the rows, by the rule that is stated."""

import json

import pytest


@pytest.fixture
def keep(tmp_path):
    """Write rows to a file of results."""

    def write(name, rows):
        (tmp_path / f"{name}.json").write_text(json.dumps({"rows": rows}))
        return tmp_path

    return write


def _part(holds):
    from _evidence import Part

    return Part("said", holds)


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ([True, True], "holds"),
        ([True, False], "partly"),
        ([False, False], "does not hold"),
        ([None, None], "not measured"),
        ([True, None], "holds, as far as measured"),
        ([False, None], "does not hold, as far as measured"),
    ],
)
def test_a_verdict_follows_from_all_inequalities(parts, verdict):
    import _claims

    assert _claims.verdict([_part(holds) for holds in parts]) == verdict


def test_nothing_measured_is_said_of_every_claim(tmp_path):
    import _claims

    written = _claims.tables(tmp_path)
    for name, text in written.items():
        lines = [line for line in text.splitlines() if line.startswith("| [")]
        assert lines, name
        assert all(line.endswith("|  | {bdg-muted}`not measured` |") for line in lines)
    assert written["claims"].startswith(f"Of {written['claims'].count('| [')}: ")


def test_a_curve_below_all_baselines_and_the_causal_genes(keep):
    import _claims
    from _evidence import BASELINES

    def row(method, curve):
        at = {f"jaccard@{k}": v for k, v in zip((5, 10, 20, 50), curve, strict=True)}
        rest = {"n_genes": [5, 10, 20, 50], "jaccard": curve, "default": method == "ace panel"}
        return {"data": "symsim_220_clean", "seed": 0, "method": method, **at, **rest}

    folder = keep(
        "structure",
        [
            row("ACE + adversarial", [0.6, 0.5, 0.5, 0.5]),
            row("ace panel", [0.6, 0.55, 0.45, 0.4]),
            row("COSG", [0.7, 0.6, 0.4, 0.6]),
            *(row(name, [0.8, 0.8, 0.8, 0.8]) for name in BASELINES if name != "COSG"),
            row("20 causal genes", [0.55, 0.55, 0.55, 0.55]),
        ],
    )
    lines = _lines(_claims.tables(folder)["claims"], "Figure 2C")
    assert "✗ 20 genes: 0.500, 0.400 of COSG" in lines[0]
    assert "✓ 50 genes: 0.500, 0.600 of COSG" in lines[0]
    assert "`ace panel` is below all of them at 5, 10, 50 genes<br>(1 seed)" in lines[0]
    assert lines[0].endswith("{bdg-warning}`partly` |")
    assert "the causal ones 0.550; first below them with 10 genes" in lines[1]
    assert lines[1].endswith("{bdg-success}`holds` |")


def test_gains_are_compared_with_the_published_size(keep):
    import _claims

    def row(method, auroc):
        which = {"data": "pbmc3k_processed", "protocol": "in-sample", "seed": 0}
        return which | {"method": method, "auroc@18": auroc}

    rows = [
        row("GCE", 0.9),
        row("KRATOS + adversarial", 0.909),
        row("KRATOS + smoothgrad", 0.918),
        row("KRATOS + integrated_gradients", 0.927),
    ]
    (line,) = _lines(_claims.tables(keep("curves", rows))["claims"], "Figure 5d")
    assert line.count("✓") == 3
    assert "✗ mean gain +2.00 %, published 5.62 %" in line
    assert line.endswith("{bdg-warning}`partly` |")


def test_a_tie_with_the_best_baseline_is_decided_by_redundancy(keep):
    import _claims

    def rows(redundancy):
        which = {"data": "pbmc3k", "protocol": "held-out", "seed": 0}
        ours = {"method": "ace panel", "auroc@18": 0.99, "redundancy@18": redundancy}
        theirs = {"method": "DESeq2", "auroc@18": 0.991, "redundancy@18": 0.2}
        return [which | ours | {"default": True}, which | theirs]

    for redundancy, verdict in ((0.1, "success}`holds`"), (0.3, "danger}`does not hold`")):
        text = _claims.tables(keep("curves", rows(redundancy)))["targets"]
        (line,) = _lines(text, "PBMC3k, 1 %")
        assert f"0.991 of DESeq2; redundancy: {redundancy:.3f}, 0.200 of DESeq2" in line
        assert line.endswith(f"{{bdg-{verdict}, as far as measured |")


@pytest.mark.parametrize(
    ("own", "rival", "said", "sign"),
    [
        (0.9914, 0.9924, "0.991, 0.992 of DESeq2; redundancy: 0.100, 0.200 of DESeq2", "✓"),
        (0.9906, 0.9924, "0.9906, 0.9924 of DESeq2<br>", "✗"),  # not 0.991 and 0.992
    ],
)
def test_close_is_judged_by_what_was_measured(keep, own, rival, said, sign):
    import _claims

    which = {"data": "pbmc3k", "protocol": "held-out", "seed": 0}
    ours = {"method": "ace panel", "auroc@18": own, "redundancy@18": 0.1, "default": True}
    theirs = {"method": "DESeq2", "auroc@18": rival, "redundancy@18": 0.2}
    text = _claims.tables(keep("curves", [which | ours, which | theirs]))["targets"]
    (line,) = _lines(text, "PBMC3k, 1 %")
    assert f"{sign} counts, held-out: {said}" in line


def test_a_gain_is_not_rounded_up_to_the_published_one(keep):
    import _claims

    which = {"data": "pbmc3k_processed", "protocol": "in-sample", "seed": 0}
    rows = [which | {"method": "GCE", "auroc@18": 0.5}] + [
        which | {"method": f"KRATOS + {name}", "auroc@18": 0.52808}  # 5.616 % more
        for name in ("adversarial", "smoothgrad", "integrated_gradients")
    ]
    (line,) = _lines(_claims.tables(keep("curves", rows))["claims"], "Figure 5d")
    assert "✗ mean gain +5.616 %, published 5.62 %" in line


def test_digits_are_judged_by_levels_that_are_named(keep):
    import _claims

    rows = [
        {"network": "convolutional", "subject": "network", "accuracy": 0.9866},
        *(
            {"network": network, "subject": "proximal", "n_images": 10, "n_pixels": 50.4,
             "flipped": 0.9946, "assigned": 0.9}
            for network in ("convolutional", "vector")
        ),
    ]  # fmt: skip
    text = _claims.tables(keep("mnist", rows))["claims"]
    (ours,), (kratos,) = _lines(text, "Figure 4, §5.3"), _lines(text, "Figure 7")
    assert "✗ accuracy 98.66% on the test images<br>" in ours
    for line in (ours, kratos):
        assert "judged by 99.5% of the images, and at most 50 of 784 pixels" in line
        assert "✗ 1 pairs, 10 images, 99.46% flipped" in line
        assert "✗ 50.4 of 784 pixels changed (median)" in line


def test_no_better_than_the_causal_genes_on_common_seeds(keep):
    import _claims

    def row(method, seed, at_5):
        curve = {"n_genes": [5, 20], "jaccard": [at_5, 0.5], "jaccard@5": at_5, "jaccard@20": 0.5}
        return {"data": "symsim_220_clean", "seed": seed, "method": method, **curve}

    rows = [
        row("ACE + adversarial", 0, 0.6),
        row("ACE + adversarial", 1, 0.1),
        row("20 causal genes", 0, 0.5),
    ]
    line = _lines(_claims.tables(keep("structure", rows))["claims"], "Figure 2C")[1]
    assert "✗ 0.500 with 20 genes, the causal ones 0.500; never below them" in line
    assert "never below them (on 1 seed that both have)<br>" in line


def test_label_transfer_names_what_it_is_compared_with(keep):
    import _claims

    which = {"comparison": "transfer", "data": "kang", "source": "CTRL"}
    rows = [
        which | {"method": method, "seed": seed, "accuracy": accuracy}
        for method, seed, accuracy in (
            ("SCNYM", 0, 0.92),
            ("SCNYM", 1, 0.96),
            ("linear SVM", 0, 0.85),
            ("celltypist", 0, 0.93),
            ("scNym, its own code", 0, 0.95),  # the claim is its own
        )
    ]
    line = _lines(_claims.tables(keep("transfer", rows))["claims"], "Table 1")[1]
    assert "✗ 0.920, 0.930 of celltypist (on 1 seed that both have), without SCANVI" in line
    assert "not run: scmap, singleCellNet, scPred, CHETAH" in line


def test_stability_has_a_level_and_a_rival(keep):
    import _claims

    rows = [
        {"data": "pbmc3k", "kind": kind, "method": method, "seed": 0, "jaccard": jaccard}
        for kind, method, jaccard in (
            ("seeds", "ace panel", 0.85),
            ("halves", "ace panel", 0.6),
            ("halves", "Wilcoxon, abs", 0.65),
            ("halves", "Wilcoxon, by score", 0.5),
        )
    ]
    (line,) = _lines(_claims.tables(keep("stability", rows))["targets"], "Stability")
    assert "✓ pbmc3k, seeds: 0.85, at least 0.8" in line
    assert "✗ pbmc3k, halves: 0.60, 0.65 of Wilcoxon, abs" in line
    assert line.endswith("{bdg-warning}`partly` |")


def test_the_cost_is_compared_with_all_but_the_fastest(keep):
    import _claims

    rows = [
        {"comparison": "baselines", "subject": name, "seconds": seconds, "peak_mb": 50.0}
        for name, seconds in (
            ("ace panel", 0.5),
            ("COSG", 0.1),
            ("t-test, abs", 0.2),
            ("GRS", 3.0),
            ("Wilcoxon, abs", 0.4),
        )
    ]
    (line,) = _lines(_claims.tables(keep("speed", rows))["targets"], "Time and memory")
    assert "✓ 0.50, 3.00 of GRS<br>" in line
    assert "✗ 0.50, 0.40 of Wilcoxon, abs<br>" in line
    assert "– DESeq2 not measured<br>" in line
    assert "peak memory 50 MB" in line
    assert "of COSG" not in line
    assert "of t-test" not in line
    assert line.endswith("{bdg-warning}`partly`, as far as measured |")


def _overlap(method, genes, depleted):
    return {
        "data": "pbmc3k_processed", "seed": 0, "method": method, "group": "CD4", "n_top": 18,
        "genes": {"CD4": genes}, "depleted": {"CD4": depleted}, "n_depleted": len(depleted),
    }  # fmt: skip


def test_depleted_and_own_genes_are_counted(keep):
    import _claims

    many = [f"gene{i}" for i in range(10)]
    rows = [
        _overlap("ACE + adversarial", ["CD3D", "CCL5", "LYZ"], [*many, "CCL5"]),
        _overlap("ace panel", ["CD3D"], many[:9]),
        _overlap("COSG", ["CCL5"], []),  # not of the paper
        _overlap("GRS", ["CD3D", "IL7R"], ["S100A8"]),
    ]
    most, alone, disagree = _lines(_claims.tables(keep("overlap", rows))["claims"], "Figure 3D")
    assert "✓ depleted of 18: 11, at least 10<br>`ace panel`: 9, 1 of GRS" in most
    assert (
        "✓ 2 of its own (CCL5, LYZ)<br>✗ 1 of them depleted<br>✗ the published ones: CCL5" in alone
    )
    # COSG is not of the paper, ours neither: two are too few.
    assert disagree.endswith("|  | {bdg-muted}`not measured` |")


def test_shared_genes_are_counted_alike_for_all(keep):
    import _claims

    def line(*more):
        rows = [
            _overlap("ACE + adversarial", ["a", "b", "c", "z"], []),
            _overlap("DESeq2", ["a", "b", "c", "x"], []),
            _overlap("GRS", ["a", "y", "v", "w"], []),
            _overlap("COSG", ["x", "y", "v", "w"], []),
            *more,
        ]
        return _lines(_claims.tables(keep("overlap", rows))["claims"], "Figure 3D")[2]

    # DESeq2 shares a, b, c with ACE, as ACE does with it; x of COSG does not count.
    found = line()
    assert "✗ chosen by all 3 of the paper's 7 that were run: a<br>" in found
    assert "✗ shared with another of them: 3, 3 of DESeq2<br>" in found
    assert (
        "– not measured everywhere: ACE + smoothgrad, ACE + shap, JSD specificity, GCE<br>"
        in found
    )
    assert found.endswith("{bdg-danger}`does not hold`, as far as measured |")
    found = line(_overlap("GCE", ["z", "q", "r", "s"], []))
    assert "✓ chosen by all 4 of the paper's 7 that were run: no gene<br>" in found
    assert "✓ shared with another of them: 4, 3 of DESeq2<br>" in found
    assert found.endswith("{bdg-success}`holds`, as far as measured |")


def test_an_embedding_is_compared_with_that_of_each(keep):
    import _claims

    def row(method, ari, silhouette, **more):
        which = {"data": "pbmc3k_processed", "seed": 0, "method": method, "ari": ari, "ami": ari}
        return which | {"silhouette": silhouette, **more}

    rows = [
        row("KRATOS, all cells", 0.7, 0.3, train_seconds=2.0, **_predicted(0.9, 0.4)),
        row("KRATOS, held-out cells", 0.9, 0.4, **_predicted(0.7, 0.4)),
        row("ACE", 0.8, 0.3, train_seconds=40.0),
        row("GCE", 0.6, 0.5),
    ]
    text = _claims.tables(keep("representations", rows))["claims"]
    (seen,) = _lines(text, "Table 2, all cells")
    assert seen.endswith("{bdg-success}`holds` |")
    assert "by k-means of its embedding instead: silhouette, ARI, AMI 0.300, 0.700, 0.7" in seen
    (unseen,) = _lines(text, "Table 2, held-out cells")
    assert "✗ ARI: 0.700, 0.800 of ACE" in unseen
    (seconds,) = _lines(text, "§1, contribution 3")
    assert "✓ 2.0 s against 40.0 s<br>✓ 20.0 times as fast, published 9.5" in seconds


def _predicted(ari, silhouette):
    return {"ari_predicted": ari, "ami_predicted": ari, "silhouette_predicted": silhouette}


def test_kept_results_are_judged_without_a_gap():
    """All claims on labels rest on results that are kept."""
    import _claims
    from _results import RESULTS

    text = _claims.tables(RESULTS)["claims"]
    for paper in ("scNym", "scARE"):
        part = text.split(f"**{paper}")[1].split("\n\n**")[0]
        assert "not measured" not in part


def _lines(text, source):
    return [line for line in text.splitlines() if line.startswith(f"| [{source}]")]
