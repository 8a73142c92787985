"""Pictures for the documentation: everything kept is drawn, and the same each time."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure

LEVEL = "20 causal genes"


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
    curves = {"ace panel": [0.6, 0.5, 0.4], "another": [0.7, 0.6, 0.5], LEVEL: [0.5, 0.5, 0.5]}
    return [
        {
            "data": data,
            "method": method,
            "seed": seed,
            "n_genes": [5, 10, 15],
            "jaccard": [y + (0.1 * seed if method != LEVEL else 0) for y in curve],
        }
        for data in ("symsim_220_complex", "symsim_220_clean")
        for method, curve in curves.items()
        for seed in (0, 1)
    ]


def test_curves_are_means_with_a_band(tmp_path, saved):
    from _figures import draw_structure

    draw_structure(_write(tmp_path / "s.json", _curves()), tmp_path / "new" / "s.png")
    assert (tmp_path / "new" / "s.png").read_bytes()[:4] == b"\x89PNG"
    (fig,) = saved
    assert [ax.get_title() for ax in fig.axes] == ["SymSim, clean", "SymSim, complex"]
    for ax in fig.axes:
        lines = {line.get_label(): line for line in ax.lines}
        np.testing.assert_allclose(lines["ace panel"].get_xdata(), [5, 10, 15])
        np.testing.assert_allclose(lines["ace panel"].get_ydata(), [0.65, 0.55, 0.45])
        np.testing.assert_allclose(lines[LEVEL].get_ydata(), 0.5)
        assert len(ax.collections) == 2  # bands; the level line has none
    (legend,) = fig.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["ace panel", LEVEL, "another"]


def test_every_method_of_the_script_has_a_style_of_its_own():
    import structure
    from _figures import STYLES

    assert set(structure.methods()) - {LEVEL} <= set(STYLES)
    seen = [(s["color"], s.get("linestyle", "-"), s.get("linewidth")) for s in STYLES.values()]
    assert len(set(seen)) == len(seen)


def test_the_same_rows_give_the_same_picture(tmp_path):
    from _figures import draw_structure

    path = _write(tmp_path / "s.json", _curves())
    draw_structure(path, tmp_path / "a.png")
    draw_structure(path, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_embeddings_by_cluster_and_label(tmp_path, saved):
    from _figures import draw_embeddings

    cells = [[0, 0], [100, 250], [-150, 0]]
    rows = [
        {"data": "baron_mouse", "method": "PCA", "seed": 0, "ari": 0.5},  # no coordinates
        {
            "data": "baron_mouse",
            "method": "ACE",
            "seed": 0,
            "umap": cells,
            "label": ["b", "a", "b"],
        },
        {"data": "pbmc3k", "method": "ACE", "seed": 1, "umap": [[9, 9]] * 3, "cluster": [0, 0, 0]},
        {
            "data": "pbmc3k",
            "method": "ACE",
            "seed": 0,
            "umap": cells,
            "cluster": [1, 0, 1],
            "label": [0, 2, 0],
            "label_names": ["B", "NK", "T"],
        },
    ]
    draw_embeddings(_write(tmp_path / "c.json", rows), tmp_path / "c.png")
    (fig,) = saved
    shown = [ax for ax in fig.axes if ax.axison]
    assert [ax.get_title() for ax in shown] == [
        "PBMC3k: ACE, clusters",
        "PBMC3k: ACE, given labels",
        "Baron mouse pancreas: ACE, given labels",
    ]
    points = [{c.get_label(): c.get_offsets().tolist() for c in ax.collections} for ax in shown]
    assert points[0] == {"0": [[1, 2.5]], "1": [[0, 0], [-1.5, 0]]}
    assert points[1] == {"B": [[0, 0], [-1.5, 0]], "T": [[1, 2.5]]}
    assert points[2] == {"a": [[1, 2.5]], "b": [[0, 0], [-1.5, 0]]}


@pytest.mark.parametrize("rows", [[], [{"data": "pbmc3k", "method": "PCA", "seed": 0}]])
def test_nothing_to_draw_is_said(tmp_path, rows):
    from _figures import draw_embeddings, draw_structure

    with pytest.raises(ValueError, match=r"no row of .* has the field 'umap'"):
        draw_embeddings(_write(tmp_path / "c.json", rows), tmp_path / "c.png")
    with pytest.raises(ValueError, match=r"benchmarks/structure\.py"):
        draw_structure(tmp_path / "missing.json", tmp_path / "s.png")
