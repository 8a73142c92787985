"""Pictures of the papers' figures: everything kept is drawn, ours before the baselines."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure


@pytest.fixture
def saved(monkeypatch):
    """The figures that were saved, as they are."""
    figures = []
    original = Figure.savefig

    def savefig(self, *arguments, **options):
        figures.append(self)
        original(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return figures


def _write(path, rows):
    path.write_text(json.dumps({"rows": rows}))
    return path


def _curves():
    aurocs = {"GCE": 0.9, "ace panel": 0.95, "KRATOS + panel": 0.93, "DESeq2": 0.94}
    rows = []
    for data, protocol, sizes in (
        ("pbmc3k", "in-sample", [3, 5, 18]),
        ("pbmc3k", "held-out", [3, 18]),
        ("pbmc3k_processed", "in-sample", [3, 18]),
    ):
        for method, auroc in aurocs.items():
            for seed in (0, 1) if protocol == "held-out" else (0,):
                row = {"data": data, "protocol": protocol, "seed": seed, "method": method}
                row |= {"default": method == "ace panel", "sizes": sizes}
                for k in sizes:
                    row |= {f"auroc@{k}": auroc + 0.01 * seed, f"auroc_sem@{k}": 0.01}
                    row |= {f"redundancy@{k}": 1 / k, f"redundancy_sem@{k}": 0.02}
                rows.append(row)
    return rows


def test_a_panel_for_each_measure_protocol_and_set(tmp_path, saved):
    from _curves_figures import draw_curves

    draw_curves(_write(tmp_path / "c.json", _curves()), tmp_path / "new" / "c.png")
    assert (tmp_path / "new" / "c.png").read_bytes()[:4] == b"\x89PNG"
    (fig,) = saved
    shown = [(ax.get_title(), ax.get_ylabel()) for ax in fig.axes if ax.axison]
    assert shown == [
        ("PBMC3k, as published, in sample", "AUROC"),
        ("PBMC3k, counts, in sample", "AUROC"),
        ("PBMC3k, as published, in sample", "redundancy"),
        ("PBMC3k, counts, in sample", "redundancy"),
        ("PBMC3k, counts, held-out cells", "AUROC"),
        ("PBMC3k, counts, held-out cells", "redundancy"),
    ]
    held_out = next(ax for ax in fig.axes if "held-out" in ax.get_title())
    lines = {line.get_label(): line for line in held_out.lines}
    np.testing.assert_allclose(lines["ace panel"].get_xdata(), [3, 18])
    # A mean over two seeds, by its distance from 1, the best on top.
    np.testing.assert_allclose(lines["ace panel"].get_ydata(), 1 - 0.955)
    low, high = held_out.get_ylim()
    assert low > high
    assert len(held_out.collections) == 1  # the default's band
    assert [t.get_text() for t in fig.legends[0].get_texts()] == [
        "ace panel",
        "KRATOS + panel",
        "DESeq2",
        "GCE",
    ]
    width = {name: line.get_linewidth() for name, line in lines.items()}
    assert width["ace panel"] > width["KRATOS + panel"] > width["GCE"]
    assert lines["GCE"].get_marker() != lines["DESeq2"].get_marker()


def test_every_method_of_the_script_can_be_told_apart():
    import curves
    from _curves_figures import MARKS, STYLES
    from _evidence import is_baseline
    from _rankings import rankings

    is_meant = curves.compared(quick=False)
    names = [name for name, method in rankings().items() if is_meant(method)]
    assert {name for name in names if not is_baseline(name)} <= set(STYLES)
    assert sum(map(is_baseline, names)) <= len(set(MARKS))
    seen = [(style["color"], style.get("linestyle", "-")) for style in STYLES.values()]
    assert len(set(seen)) == len(seen)


def test_the_same_rows_give_the_same_picture(tmp_path):
    from _curves_figures import draw_curves

    path = _write(tmp_path / "c.json", _curves())
    draw_curves(path, tmp_path / "a.png")
    draw_curves(path, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_overlap_of_the_default_with_what_it_is_compared_with(tmp_path, saved):
    from _curves_figures import draw_overlap

    genes = {"ace panel": "abc", "GCE": "abd", "ace shap": "xyz", "DESeq2": "aef"}
    rows = [
        {
            "data": data,
            "seed": 0,
            "method": method,
            "default": method == "ace panel",
            "group": "T",
            "n_top": 3,
            "n_depleted": 2,
            "genes": {"T": list(own), "B": list("klm")},
        }
        for data in ("pbmc3k", "pbmc3k_processed")
        for method, own in genes.items()
    ]
    draw_overlap(_write(tmp_path / "o.json", rows), tmp_path / "o.png")
    (fig,) = saved
    names = [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert [name.replace("\n", " ") for name in names] == [
        "ace panel (2 depleted)",
        "GCE (2 depleted)",
        "DESeq2 (2 depleted)",
    ]


def test_places_of_the_first_set(tmp_path, saved):
    from _curves_figures import draw_representations

    shared = {"data": "pbmc3k_processed", "seed": 0, "ari": 0.5, "ami": 0.6}
    places = {"umap": [[0, 0], [100, 250], [-150, 0]], "label": [1, 0, 1]}
    rows = [
        {"method": method, "label_names": ["B", "T"]} | shared | places
        for method in ("ACE", "KRATOS, all cells")
    ]
    rows[1] |= {"ari_predicted": 0.9, "ami_predicted": 0.8}
    rows.append({"method": "PCA, 2 components"} | shared)
    draw_representations(_write(tmp_path / "r.json", rows), tmp_path / "r.png")
    (fig,) = saved
    assert [ax.get_title() for ax in fig.axes] == [
        "Kratos, all cells\nk-means: ARI 0.50, AMI 0.60; predicted: 0.90, 0.80",
        "ACE\nk-means: ARI 0.50, AMI 0.60",
    ]
    points = {c.get_label(): c.get_offsets().tolist() for c in fig.axes[0].collections}
    assert points == {"B": [[1, 2.5]], "T": [[0, 0], [-1.5, 0]]}
    assert [t.get_text() for t in fig.legends[0].get_texts()] == ["B", "T"]


@pytest.mark.parametrize("rows", [[], [{"data": "pbmc3k", "method": "GCE", "seed": 0}]])
def test_nothing_to_draw_is_said(tmp_path, rows):
    from _curves_figures import draw_curves, draw_overlap, draw_representations

    path = _write(tmp_path / "r.json", rows)
    with pytest.raises(ValueError, match=r"no row of .* has the field 'umap'"):
        draw_representations(path, tmp_path / "r.png")
    with pytest.raises(ValueError, match=r"benchmarks/overlap\.py"):
        draw_overlap(path, tmp_path / "o.png")
    with pytest.raises(ValueError, match=r"benchmarks/curves\.py"):
        draw_curves(tmp_path / "missing.json", tmp_path / "c.png")
