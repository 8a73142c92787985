from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

import ace
from ace._keys import FssfKeys

if TYPE_CHECKING:
    from anndata import AnnData

GENES = ["CST3", "LYZ", "HLA-DRA"]


@pytest.fixture
def scored(pbmc: AnnData) -> AnnData:
    """A projection as the latent space, and halves of each type as subclusters."""
    labels = pbmc.obs["louvain"].astype(str)
    half = np.arange(pbmc.n_obs) % 2
    subcluster = [f"{a}:{b}" if a != "8" else None for a, b in zip(labels, half, strict=True)]
    FssfKeys().write(
        pbmc,
        subcluster=pd.Categorical(subcluster),
        embedding=pbmc.X @ np.random.default_rng(0).normal(size=(pbmc.n_vars, 5)),
        about={
            "params": {"groupby": "louvain"},
            "pairs": pd.DataFrame({"group": pd.Categorical(["0"]), "fssf": [0.5]}),
            "genes": pd.DataFrame({"gene": GENES}),
        },
    )
    return pbmc


def logged(adata: AnnData, rows: np.ndarray) -> np.ndarray:
    counts = adata.layers["counts"].toarray()
    log = np.log1p(counts / counts.sum(1, keepdims=True) * 1e4)
    return log[rows][:, adata.var_names.get_indexer(GENES)]


@pytest.mark.parametrize("score", ["mean", "z"])
def test_score_of_each_cell(scored: AnnData, score: str) -> None:
    before = scored.copy()
    left, right = ace.pl.polarization(scored, "1", score=score, layer="counts", show=False)
    rows = np.flatnonzero(scored.obs["louvain"] == "1")
    values = logged(scored, rows)
    if score == "z":
        values = (values - values.mean(0)) / values.std(0)
    expected = values.mean(1)
    dots = left.collections[0]
    np.testing.assert_allclose(np.sort(dots.get_array()), np.sort(expected), atol=1e-5)
    np.testing.assert_allclose(dots.get_clim(), np.percentile(expected, [1, 99]), atol=1e-5)
    found = ace.metrics.morans_i(scored.obsm["X_fssf"][rows], expected)
    assert left.get_xlabel() == f"Moran's I {found:.2f}"
    assert left.get_title() == "1"
    # Both panels show the same cells at the same positions.
    places = [np.asarray(ax.collections[0].get_offsets()) for ax in (left, right)]
    np.testing.assert_array_equal(*places)
    assert [t.get_text() for t in right.get_legend().get_texts()] == ["0", "1"]
    bar = left.figure.axes[-1]
    what = {"mean": "mean expression", "z": "mean z-score"}[score]
    assert bar.get_ylabel() == f"{what} of 3 genes"
    assert set(scored.obsm) == set(before.obsm)
    assert set(scored.uns) == set(before.uns)


def test_each_coordinate_has_the_colour_of_its_cell(scored: AnnData) -> None:
    """Two-dimensional coordinates are drawn without UMAP."""
    (ax,) = ace.pl.polarization(
        scored, "0", GENES, groupby="louvain", use_rep="X_umap", key=None,
        layer="counts", show=False,
    )  # fmt: skip
    rows = np.flatnonzero(scored.obs["louvain"] == "0")
    dots = ax.collections[0]
    at = pd.DataFrame(np.asarray(dots.get_offsets()), columns=["x", "y"])
    at["score"] = dots.get_array()
    expected = pd.DataFrame(scored.obsm["X_umap"][rows], columns=["x", "y"])
    expected["score"] = logged(scored, rows).mean(1)
    np.testing.assert_allclose(at.sort_values("x"), expected.sort_values("x"), rtol=1e-4)


def test_several_groups_one_row_each(scored: AnnData) -> None:
    axes = ace.pl.polarization(scored, ["0", "8", "1"], show=False)
    assert [ax.get_title() for ax in axes] == [
        "0",
        "subclusters",
        "8",
        "subclusters",
        "1",
        "subclusters",
    ]
    # A group without subclusters is drawn in grey.
    assert axes[3].get_legend() is None
    tops = [ax.get_position().y0 for ax in axes]
    assert tops[0] == pytest.approx(tops[1])
    assert tops[0] > tops[2] > tops[4]


def test_genes_of_each_group(scored: AnnData) -> None:
    scored.uns["fssf"]["genes"] = pd.DataFrame({"gene": GENES, "group": ["0", "0", "1"]})
    axes = ace.pl.polarization(scored, ["0", "1"], show=False)
    labels = {ax.get_ylabel() for ax in axes[0].figure.axes} - {""}
    assert labels == {"mean expression of 2 genes", "mean expression of 1 gene"}
    with pytest.raises(ValueError, match="no genes were scored for '2'"):
        ace.pl.polarization(scored, "2")


def test_figure_is_reproducible(scored: AnnData) -> None:
    one, two = (ace.pl.polarization(scored, "0", show=False)[0] for _ in range(2))
    places = [np.asarray(ax.collections[0].get_offsets()) for ax in (one, two)]
    np.testing.assert_array_equal(*places)


def test_nothing_is_clipped(scored: AnnData) -> None:
    fig = ace.pl.polarization(scored, ["0", "1"], return_fig=True)
    fig.draw_without_rendering()
    for ax in fig.axes:
        box = ax.get_tightbbox()
        assert fig.bbox.x0 <= box.x0 < box.x1 <= fig.bbox.x1
        assert fig.bbox.y0 <= box.y0 < box.y1 <= fig.bbox.y1


def test_given_axes(scored: AnnData) -> None:
    _, axes = plt.subplots(1, 2)
    assert ace.pl.polarization(scored, "0", ax=axes, show=False) == list(axes)
    with pytest.raises(ValueError, match=r"2 axes .* got 1"):
        ace.pl.polarization(scored, "0", ax=axes[0])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"groups": "x"}, KeyError, r"no groups \['x'\] in"),
        ({"genes": ["HLA-DRAA"]}, ValueError, r"'HLA-DRAA'.*Did you mean 'HLA-DRA'"),
        ({"groupby": "type"}, KeyError, "no column 'type'"),
        ({"use_rep": "X_scare"}, KeyError, r"no 'X_scare'.*get_latent_representation"),
        ({"key": "other"}, KeyError, r"scores in \['fssf'\]"),
        ({"key": None}, ValueError, "key=None requires genes="),
        ({"score": "sum"}, ValueError, "score='sum' is not one of"),
        ({"n_neighbors": 0}, ValueError, "n_neighbors must be"),
        ({"n_neighbors": 500}, ValueError, "must have more than n_neighbors=500"),
        ({"layer": "log"}, KeyError, "no layer 'log'"),
    ],
)
def test_errors_explain_the_fix(scored: AnnData, change, error, message) -> None:
    with pytest.raises(error, match=message):
        ace.pl.polarization(scored, **{"groups": "0"} | change)
