from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

import ace
from ace.pl._colors import CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData


def test_on_an_embedding(annotated: Callable[..., AnnData]) -> None:
    adata = annotated(4)
    ax = ace.pl.confidence(adata, show=False)
    known, novel = ax.collections
    obs, at = adata.obs, adata.obsm["X_umap"]
    order = np.argsort(-obs["scnym_confidence"].to_numpy()[~obs["scnym_novel"]])
    np.testing.assert_allclose(known.get_offsets(), at[~obs["scnym_novel"]][order], rtol=1e-5)
    # Cells with low confidence are drawn on top.
    shown = known.get_array()
    assert (np.diff(shown) <= 0).all()
    np.testing.assert_allclose(
        np.sort(shown), np.sort(obs["scnym_confidence"][~obs["scnym_novel"]])
    )
    assert known.get_clim() == (0, 1)
    np.testing.assert_allclose(novel.get_offsets(), at[obs["scnym_novel"]], rtol=1e-5)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["novel (50)"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("umap 1", "umap 2")


@pytest.mark.parametrize("basis", ["umap", None])
def test_novel_cells_have_their_own_colour(
    annotated: Callable[..., AnnData], basis: str | None
) -> None:
    ax = ace.pl.confidence(annotated(3), basis=basis, show=False)
    crosses = ax.collections[-1]
    assert len(crosses.get_offsets()) == 50
    assert {to_hex(color) for color in crosses.get_edgecolor()} == {"#000000"}
    assert "#000000" not in {to_hex(color) for color in CONFIDENCE(np.linspace(0, 1, 256))}


def test_another_embedding(annotated: Callable[..., AnnData]) -> None:
    adata = annotated(4)
    adata.obsm["X_tsne"] = adata.obsm["X_umap"][:, ::-1].copy()
    for basis in ("tsne", "X_tsne"):
        ax = ace.pl.confidence(adata, basis=basis, show=False)
        assert ax.get_xlabel() == "tsne 1"
    adata.obs["scnym_novel"] = False
    ax = ace.pl.confidence(adata, basis="tsne", show=False)
    assert len(ax.collections) == 1
    assert ax.get_legend() is None


@pytest.mark.parametrize("n_labels", [2, 30])
def test_distribution_of_each_label(annotated: Callable[..., AnnData], n_labels: int) -> None:
    adata = annotated(n_labels)
    ax = ace.pl.confidence(adata, basis=None, show=False)
    obs = adata.obs
    labels = list(obs["scnym"].cat.categories)
    assert [t.get_text().replace("\n", " ") for t in ax.get_yticklabels()] == labels
    assert ax.yaxis_inverted()
    *known, novel = ax.collections
    assert len(known) == n_labels
    for row, (label, dots) in enumerate(zip(labels, known, strict=True)):
        cells = obs[(obs["scnym"] == label) & ~obs["scnym_novel"]]
        at = np.asarray(dots.get_offsets())
        np.testing.assert_allclose(np.sort(at[:, 0]), np.sort(cells["scnym_confidence"]))
        assert (np.abs(at[:, 1] - row) < 0.5).all()
    assert len(novel.get_offsets()) == 50
    # Median and number of cells of each box.
    medians = [line.get_xdata()[0] for line in ax.lines if line.get_linewidth() == 1.6]
    grouped = obs.groupby("scnym", observed=True)
    np.testing.assert_allclose(medians, grouped["scnym_confidence"].median(), rtol=1e-6)
    share = grouped["scnym_novel"].mean()
    sizes = grouped.size()
    assert [t.get_text() for t in ax.texts] == [
        f"{sizes[label]}, {share[label]:.0%} novel" for label in labels
    ]


def test_distributions_without_embedding(annotated: Callable[..., AnnData]) -> None:
    adata = annotated(3)
    del adata.obsm["X_umap"]
    assert ace.pl.confidence(adata, show=False).get_xlabel() == "confidence of the label"


def test_given_labels_are_excluded(annotated: Callable[..., AnnData]) -> None:
    adata = annotated(3)
    adata.obs["scnym_given"] = np.arange(700) % 3 == 0
    ax = ace.pl.confidence(adata, basis=None, show=False)
    assert sum(int(t.get_text().split(",")[0]) for t in ax.texts) == 700 - 234
    adata.obs["scnym_given"] = True
    with pytest.raises(ValueError, match="labels of all cells were given"):
        ace.pl.confidence(adata, basis=None)


def test_many_cells_are_subsampled(
    annotated: Callable[..., AnnData], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ace.pl._confidence._DOTS", 20)
    ax = ace.pl.confidence(annotated(2), basis=None, show=False)
    assert sum(len(c.get_offsets()) for c in ax.collections) == 40
    assert [t.get_text().split(",")[0] for t in ax.texts] == ["350", "350"]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["novel (50)"]


@pytest.mark.parametrize("basis", ["umap", None])
def test_nothing_is_clipped(annotated: Callable[..., AnnData], basis: str | None) -> None:
    fig = ace.pl.confidence(annotated(30), basis=basis, return_fig=True)
    fig.draw_without_rendering()
    for ax in fig.axes:
        content = ax.get_tightbbox()
        assert fig.bbox.x0 <= content.x0 < content.x1 <= fig.bbox.x1
        assert fig.bbox.y0 <= content.y0 < content.y1 <= fig.bbox.y1
    assert fig.axes[0].get_window_extent().width / fig.dpi > 2


def test_given_axes_are_used(annotated: Callable[..., AnnData]) -> None:
    _, ax = plt.subplots()
    assert ace.pl.confidence(annotated(2), ax=ax, show=False) is ax


def test_errors_explain_the_fix(annotated: Callable[..., AnnData]) -> None:
    adata = annotated(2)
    with pytest.raises(KeyError, match=r"no embedding 'tsne'.*'X_umap'.*basis=None"):
        ace.pl.confidence(adata, basis="tsne")
    with pytest.raises(KeyError, match=r"no annotation.*ace\.tl\.annotate"):
        ace.pl.confidence(adata, key="other")
