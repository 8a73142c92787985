from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

import ace
from ace._keys import pair_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData
    from matplotlib.axes import Axes

ENRICHED, DEPLETED = "#d55e00", "#0072b2"


def cells(ax: Axes) -> dict[tuple[int, int], list[tuple[str, str]]]:
    """Genes and colours of each cell, from top to bottom."""
    found: dict[tuple[int, int], list[tuple[float, str, str]]] = {}
    for text in ax.texts:
        column, row = text.xy
        line = (-text.get_position()[1], text.get_text(), to_hex(text.get_color()))
        found.setdefault((row, column), []).append(line)
    return {at: [line[1:] for line in sorted(lines)] for at, lines in found.items()}


@pytest.mark.parametrize(("n_groups", "n_genes"), [(2, 3), (8, 2)])
def test_figure_matches_stored_values(
    explained: Callable[..., AnnData], n_groups: int, n_genes: int
) -> None:
    adata = explained(n_groups, reference="each")
    groups = list(adata.obs["cluster"].cat.categories)
    ax = ace.pl.pairs(adata, n_genes=n_genes, show=False)
    stored = adata.uns["ace"]
    expected = {}
    for i, a in enumerate(groups):
        for j, b in enumerate(groups):
            if a != b:
                field = pair_name(a, b)
                expected[i, j] = [
                    (gene, ENRICHED if enriched else DEPLETED)
                    for gene, enriched in zip(
                        stored["names"][field][:n_genes],
                        stored["enriched"][field][:n_genes],
                        strict=True,
                    )
                ]
    assert cells(ax) == expected
    shown = [label.get_text().replace("\n", " ") for label in ax.get_yticklabels()]
    assert shown == groups
    assert [x.get_text() for x in ax.get_xticklabels()] == [
        y.get_text() for y in ax.get_yticklabels()
    ]
    assert ax.yaxis_inverted()  # the first group is on top


def test_groups_symbols_and_colours(explained: Callable[..., AnnData]) -> None:
    adata = explained(4, reference="each")
    adata.var["symbol"] = "S-" + adata.var_names.astype(str)
    adata.uns["cluster_colors"] = ["#111111", "#222222", "#333333", "#444444"]
    groups = list(adata.obs["cluster"].cat.categories[[2, 0]])
    ax = ace.pl.pairs(adata, groups=groups, n_genes=1, gene_symbols="symbol", show=False)
    names = adata.uns["ace"]["names"]
    (upper,), (lower,) = cells(ax)[0, 1], cells(ax)[1, 0]
    assert upper[0] == "S-" + names[pair_name(*groups)][0]
    assert lower[0] == "S-" + names[pair_name(*groups[::-1])][0]
    for strip in ax.child_axes:
        (image,) = strip.images
        shown = [to_hex(c) for c in image.to_rgba(image.get_array()).reshape(-1, 4)]
        assert shown == ["#333333", "#111111"]


def test_genes_with_score_0_are_not_drawn(explained: Callable[..., AnnData]) -> None:
    adata = explained(2, reference="each")
    field = adata.uns["ace"]["names"].dtype.names[0]
    adata.uns["ace"]["scores"][field][1:] = 0
    assert len(cells(ace.pl.pairs(adata, show=False))[0, 1]) == 1
    adata.uns["ace"]["scores"][field][:] = 0
    assert (0, 1) not in cells(ace.pl.pairs(adata, show=False))


@pytest.mark.parametrize("shade", ["jaccard", "rbo", "opposite"])
def test_shade_matches_pairs_df(explained: Callable[..., AnnData], shade: str) -> None:
    adata = explained(4, reference="each")
    ax = ace.pl.pairs(adata, shade=shade, n_compared=10, show=False)
    (image,) = ax.images
    alike = np.ma.filled(image.get_array(), np.nan)
    np.testing.assert_array_equal(np.isnan(alike), np.eye(4, dtype=bool))
    df = ace.get.pairs_df(adata, n_genes=10)
    row, column = df["group"].cat.codes, df["reference"].cat.codes
    np.testing.assert_array_equal(alike[row, column], df[shade])
    np.testing.assert_array_equal(alike, alike.T)
    assert image.get_clim() == (0, 1)
    assert [child.get_label() for child in ax.child_axes].count("colorbar") == 1
    # Selected groups in reverse order.
    groups = list(df["group"].cat.categories[[3, 1]])
    other = ace.pl.pairs(adata, groups=groups, shade=shade, n_compared=10, show=False)
    assert other.images[0].get_array()[0, 1] == alike[3, 1]


@pytest.mark.parametrize("n_groups", [2, 13])
def test_names_fit_their_cells_and_the_figure(
    explained: Callable[..., AnnData], n_groups: int
) -> None:
    adata = explained(n_groups, reference="each")
    fig = ace.pl.pairs(adata, shade="jaccard", return_fig=True)
    fig.draw_without_rendering()
    ax = fig.axes[0]
    assert {text.get_fontsize() for text in ax.texts} == {7.5}
    boxes = [text.get_window_extent() for text in ax.texts]
    cell = ax.get_window_extent().width / n_groups, ax.get_window_extent().height / n_groups
    assert max(box.width for box in boxes) < cell[0]
    for text, box in zip(ax.texts, boxes, strict=True):
        x, y = ax.transData.transform(text.xy)
        assert x - cell[0] / 2 < box.x0 < box.x1 < x + cell[0] / 2
        assert y - cell[1] / 2 < box.y0 < box.y1 < y + cell[1] / 2
    # Column names do not overlap.
    ticks = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert all(a.x1 < b.x0 for a, b in pairwise(ticks))
    content = ax.get_tightbbox()
    assert fig.bbox.x0 <= content.x0 < content.x1 <= fig.bbox.x1
    assert fig.bbox.y0 <= content.y0 < content.y1 <= fig.bbox.y1


def test_names_shrink_into_given_axes(explained: Callable[..., AnnData]) -> None:
    adata = explained(8, reference="each")
    fig, ax = plt.subplots(figsize=(4, 3))
    assert ace.pl.pairs(adata, ax=ax, show=False) is ax
    assert tuple(fig.get_size_inches()) == (4, 3)
    (size,) = {text.get_fontsize() for text in ax.texts}
    assert size < 7.5
    cell = ax.get_window_extent().width / 8, ax.get_window_extent().height / 8
    assert all(text.get_window_extent().width < cell[0] for text in ax.texts)
    boxes = [text.get_window_extent() for text in ax.texts if text.xy == (1, 0)]
    assert max(b.y1 for b in boxes) - min(b.y0 for b in boxes) < cell[1]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"groups": ["T/NK"]}, ValueError, "groups must have at least 2 of"),
        ({"groups": ["T/NK", "B"]}, KeyError, r"no groups \['B'\] in "),
        ({"key": "other"}, KeyError, r"no explanation.*ace\.tl\.explain"),
        ({"n_genes": 0}, ValueError, "n_genes must be a positive whole number"),
        ({"n_compared": 0}, ValueError, "n_compared must be a positive whole number"),
        ({"shade": "jacard"}, ValueError, r"shade='jacard'.*Did you mean 'jaccard'"),
        ({"gene_symbols": "symbol"}, KeyError, r"no column 'symbol' in adata\.var"),
    ],
)
def test_errors_explain_the_fix(
    explained: Callable[..., AnnData], arguments: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ace.pl.pairs(explained(2, reference="each"), **arguments)


def test_explanation_against_the_rest_has_no_pairs(
    explained: Callable[..., AnnData],
) -> None:
    with pytest.raises(ValueError, match=r"with 'rest', not in pairs.*ace\.tl\.explain.*\"each\""):
        ace.pl.pairs(explained(2))
