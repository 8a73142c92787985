from __future__ import annotations

from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

import ace
from ace._keys import storable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anndata import AnnData
    from matplotlib.axes import Axes


def drawn(ax: Axes) -> pd.DataFrame:
    """The drawn matrix with its labels."""
    (image,) = ax.images
    return pd.DataFrame(
        np.ma.filled(image.get_array(), np.nan),
        index=[label.get_text() for label in ax.get_yticklabels()],
        columns=[label.get_text().replace("\n", " ") for label in ax.get_xticklabels()],
    )


def stored(adata: AnnData, groups: list[str], n_genes: int) -> pd.DataFrame:
    genes = [name for g in groups for name in adata.uns["ace"]["names"][g][:n_genes]]
    scores = adata.varm["ace_scores"].loc[genes, [storable(group) for group in groups]]
    return scores.set_axis(groups, axis=1)


def inset(ax: Axes, label: str) -> Axes:
    (found,) = [child for child in ax.child_axes if child.get_label() == label]
    return found


@pytest.mark.parametrize(("n_groups", "n_genes"), [(2, 10), (8, 3), (30, 5)])
def test_figure_matches_stored_values(
    explained: Callable[..., AnnData], n_groups: int, n_genes: int
) -> None:
    adata = explained(n_groups)
    groups = list(adata.uns["ace"]["names"].dtype.names)
    ax = ace.pl.heatmap(adata, n_genes=n_genes, scale=False, show=False)
    pd.testing.assert_frame_equal(drawn(ax), stored(adata, groups, n_genes), check_names=False)


def test_colour_map_is_centred_at_zero(explained: Callable[..., AnnData]) -> None:
    adata = explained(8)
    ax = ace.pl.heatmap(adata, scale=False, show=False)
    (image,) = ax.images
    largest = np.abs(drawn(ax).to_numpy()).max()
    assert image.get_clim() == (-largest, largest)
    np.testing.assert_allclose(image.to_rgba(0.0)[:3], (0.97, 0.97, 0.97), atol=0.01)
    assert image.to_rgba(largest)[0] > image.to_rgba(largest)[2]  # enriched is red
    assert image.to_rgba(-largest)[0] < image.to_rgba(-largest)[2]  # depleted is blue


def test_scaled_by_the_largest_score_of_each_group(explained: Callable[..., AnnData]) -> None:
    adata = explained(8)
    groups = list(adata.uns["ace"]["names"].dtype.names)
    scores = stored(adata, groups, 5)
    ax = ace.pl.heatmap(adata, show=False)
    expected = scores.to_numpy() / adata.varm["ace_scores"].abs().max().to_numpy()
    np.testing.assert_allclose(drawn(ax), expected, rtol=1e-6)
    assert ax.images[0].get_clim() == (-1, 1)
    # The first gene of a block is the largest of its group.
    np.testing.assert_allclose([abs(drawn(ax).iloc[5 * i, i]) for i in range(8)], 1)
    assert (
        "largest of the group"
        in inset(ax, "colorbar").get_title(loc="left") + inset(ax, "colorbar").get_xlabel()
    )


def test_blocks_are_marked(explained: Callable[..., AnnData]) -> None:
    adata = explained(4)
    groups = list(adata.uns["ace"]["names"].dtype.names)
    palette = ["#111111", "#222222", "#333333", "#444444"]
    adata.uns["cluster_colors"] = palette
    ax = ace.pl.heatmap(adata, groups=groups[::-1], n_genes=3, show=False)
    assert [(p.get_xy(), p.get_width(), p.get_height()) for p in ax.patches] == [
        ((i - 0.5, 3 * i - 0.5), 1, 3) for i in range(4)
    ]

    def colors(strip: Axes) -> list[str]:
        (image,) = strip.images
        return [to_hex(c) for c in image.to_rgba(image.get_array()).reshape(-1, 4)]

    assert colors(inset(ax, "groups")) == palette[::-1]
    assert colors(inset(ax, "blocks")) == [c for c in palette[::-1] for _ in range(3)]
    names = [text.get_text().replace("\n", " ") for text in inset(ax, "blocks").texts]
    assert names == groups[::-1]


def test_without_stored_colours_scanpys_are_used(explained: Callable[..., AnnData]) -> None:
    adata = explained(4)
    ax = ace.pl.heatmap(adata, groups=["T/NK", "costs $5 or $6"], show=False)
    (image,) = inset(ax, "groups").images
    ours = [to_hex(c) for c in image.to_rgba(image.get_array())[0]]
    assert ours == [sc.pl.palettes.default_20[i] for i in (0, 3)]
    assert "cluster_colors" not in adata.uns


def test_dendrogram_places_similar_groups_together(explained: Callable[..., AnnData]) -> None:
    adata = explained(4)
    a, b, c, d = adata.uns["ace"]["names"].dtype.names
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, adata.n_vars))
    planted = {a: one, b: other, c: one + 0.1 * other, d: other + 0.2 * one}
    for group, scores in planted.items():
        order = np.argsort(-np.abs(scores))
        adata.uns["ace"]["names"][group] = adata.var_names[order]
        adata.uns["ace"]["scores"][group] = scores[order]
    ax = ace.pl.heatmap(adata, n_genes=2, dendrogram=True, show=False)
    order = list(drawn(ax).columns)
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset([a, c]), frozenset([b, d])}
    # Blocks follow the columns: the top genes of the first column come first.
    assert list(drawn(ax).index[:2]) == list(adata.uns["ace"]["names"][order[0]][:2])

    tree = inset(ax, "dendrogram")
    assert len(tree.lines) == 3
    heights = sorted(max(line.get_ydata()) for line in tree.lines)
    correlation = np.corrcoef([planted[g] for g in (a, b, c, d)])
    between = np.mean([correlation[i, j] for i in (0, 2) for j in (1, 3)])
    expected = sorted([1 - correlation[0, 2], 1 - correlation[1, 3], 1 - between])
    np.testing.assert_allclose(heights, expected, rtol=1e-5)
    # Each leaf is above the centre of its column.
    left, right = tree.get_xlim()
    feet = {x for line in tree.lines for x, y in line.get_xydata() if y == 0}
    assert sorted((x - left) / (right - left) for x in feet) == [0.125, 0.375, 0.625, 0.875]


def test_scores_filtered_by_scanpy_are_grey(explained: Callable[..., AnnData]) -> None:
    adata = explained(2)
    first, second = adata.uns["ace"]["names"].dtype.names
    gene = adata.uns["ace"]["names"][first][0]
    names = adata.uns["ace"]["names"].copy()
    names[second][names[second] == gene] = np.nan
    adata.uns["filtered"] = adata.uns["ace"] | {"names": names}
    ax = ace.pl.heatmap(adata, key="filtered", n_genes=1, show=False)
    assert np.isnan(drawn(ax).loc[gene, second])
    assert to_hex(ax.images[0].get_cmap()(np.nan)) == to_hex("lightgrey")


def test_scores_of_genes_that_are_not_among_the_top_of_a_group(
    explained: Callable[..., AnnData],
) -> None:
    adata = explained(4)
    whole = drawn(ace.pl.heatmap(adata, n_genes=3, show=False))
    for name, records in adata.uns["ace"].items():
        if isinstance(records, np.recarray):
            adata.uns["ace"][name] = records[:3]
    top = drawn(ace.pl.heatmap(adata, n_genes=3, show=False))
    pd.testing.assert_frame_equal(top, whole)
    del adata.varm["ace_scores"]
    assert drawn(ace.pl.heatmap(adata, n_genes=3, show=False)).isna().any(axis=None)


def test_symbols_replace_names(explained: Callable[..., AnnData]) -> None:
    adata = explained(2)
    adata.var["symbol"] = "s-" + adata.var_names
    names = list(drawn(ace.pl.heatmap(adata, show=False)).index)
    symbols = list(drawn(ace.pl.heatmap(adata, gene_symbols="symbol", show=False)).index)
    assert symbols == ["s-" + name for name in names]


@pytest.mark.parametrize("n_groups", [2, 30])
def test_names_fit_into_the_figure_and_cells_keep_their_size(
    explained: Callable[..., AnnData], n_groups: int
) -> None:
    fig = ace.pl.heatmap(explained(n_groups), dendrogram=True, return_fig=True)
    (ax,) = fig.axes
    fig.draw_without_rendering()
    content = ax.get_tightbbox()
    assert fig.bbox.x0 <= content.x0 < content.x1 <= fig.bbox.x1
    assert fig.bbox.y0 <= content.y0 < content.y1 <= fig.bbox.y1
    n_rows, n_columns = ax.images[0].get_array().shape
    box = ax.get_window_extent()
    assert box.height / fig.dpi / n_rows == pytest.approx(0.16)
    assert box.width / fig.dpi / n_columns == pytest.approx(0.27 if n_groups == 30 else 0.6)


def test_given_axes_keep_their_position(explained: Callable[..., AnnData]) -> None:
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 4))
    place = right.get_position().bounds
    assert ace.pl.heatmap(explained(2), ax=right, show=False) is right
    assert right.get_position().bounds == place
    assert tuple(fig.get_size_inches()) == (8, 4)
    assert not left.images


@pytest.mark.filterwarnings("ignore:Forward slashes will be disallowed:FutureWarning")
def test_unchanged_after_reading_from_disk(
    explained: Callable[..., AnnData], tmp_path: Path
) -> None:
    adata = explained(8)
    before = drawn(ace.pl.heatmap(adata, dendrogram=True, show=False))
    adata.write_h5ad(tmp_path / "explained.h5ad")
    again = ad.read_h5ad(tmp_path / "explained.h5ad")
    pd.testing.assert_frame_equal(
        drawn(ace.pl.heatmap(again, dendrogram=True, show=False)), before
    )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"groups": "B"}, KeyError, r"no groups \['B'\] in .*ace\.tl\.explain"),
        ({"key": "other"}, KeyError, r"no explanation.*ace\.tl\.explain"),
        ({"gene_symbols": "hgnc"}, KeyError, r"no column 'hgnc' in adata\.var"),
        ({"n_genes": 0}, ValueError, "n_genes must be a positive whole number"),
        ({"groups": "T/NK", "dendrogram": True}, ValueError, r"two groups.*dendrogram=False"),
    ],
)
def test_errors_explain_the_fix(
    explained: Callable[..., AnnData], arguments: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ace.pl.heatmap(explained(2), **arguments)
