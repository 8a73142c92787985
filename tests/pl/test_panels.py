from __future__ import annotations

from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

import ace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anndata import AnnData
    from matplotlib.axes import Axes

VERMILLION, BLUE = "#d55e00", "#0072b2"


def drawn(ax: Axes) -> list[tuple[str, float, str]]:
    """Label, length and colour of each bar, from top to bottom."""
    bars = sorted(ax.patches, key=lambda bar: bar.get_y())
    labels = [label.get_text() for label in ax.get_yticklabels()]
    colors = [to_hex(label.get_color()) for label in ax.get_yticklabels()]
    assert colors == [to_hex(bar.get_facecolor()) for bar in bars]
    centres = [bar.get_y() + bar.get_height() / 2 for bar in bars]
    np.testing.assert_allclose(centres, ax.get_yticks())
    assert ax.yaxis_inverted()
    return [
        (label, bar.get_width(), to_hex(bar.get_facecolor()))
        for label, bar in zip(labels, bars, strict=True)
    ]


def stored(adata: AnnData, group: str, n: int) -> list[tuple[str, float, str]]:
    uns = adata.uns["ace"]
    return [
        (name, score, VERMILLION if score > 0 else BLUE)
        for name, score in zip(uns["names"][group][:n], uns["scores"][group][:n], strict=True)
    ]


@pytest.mark.parametrize(("n_groups", "n_genes"), [(2, 10), (8, 3), (30, 10)])
def test_figure_matches_stored_values(
    explained: Callable[..., AnnData], n_groups: int, n_genes: int
) -> None:
    adata = explained(n_groups)
    groups = adata.uns["ace"]["names"].dtype.names
    axes = ace.pl.panels(adata, n_genes=n_genes, show=False)
    assert len(axes) == len(groups) == n_groups
    signs = set()
    for ax, group in zip(axes, groups, strict=True):
        assert ax.get_title().replace("\n", " ") == group
        assert drawn(ax) == stored(adata, group, n_genes)
        signs |= {color for _, _, color in drawn(ax)}
    assert signs == {VERMILLION, BLUE}  # both directions occur


def test_thirty_panels_are_as_readable_as_two(explained: Callable[..., AnnData]) -> None:
    fig = ace.pl.panels(explained(30), return_fig=True)
    two = ace.pl.panels(explained(2), return_fig=True)
    fig.draw_without_rendering()
    two.draw_without_rendering()
    for figure in (fig, two):
        for ax in figure.axes:
            box = ax.get_window_extent()
            assert box.width / figure.dpi > 1.2
            # Ten bars with labels of 8 to 9 points need that height.
            assert box.height / figure.dpi > 10 * 9 / 72


def test_nothing_is_clipped_and_no_titles_overlap(explained: Callable[..., AnnData]) -> None:
    fig = ace.pl.panels(explained(30), return_fig=True)
    fig.draw_without_rendering()
    titles = [ax.title.get_window_extent() for ax in fig.axes]
    for i, box in enumerate(titles):
        assert fig.bbox.x0 <= box.x0 < box.x1 <= fig.bbox.x1
        assert fig.bbox.y0 <= box.y0 < box.y1 <= fig.bbox.y1
        assert not any(box.overlaps(other) for other in titles[:i])
        assert not any(
            box.overlaps(label.get_window_extent())
            for ax in fig.axes
            for label in ax.get_xticklabels()
        )


def test_legend_names_both_directions(explained: Callable[..., AnnData]) -> None:
    fig = ace.pl.panels(explained(8), return_fig=True)
    (legend,) = fig.legends
    assert {
        text.get_text(): to_hex(patch.get_facecolor())
        for text, patch in zip(legend.get_texts(), legend.get_patches(), strict=True)
    } == {"enriched in the data": VERMILLION, "depleted in the data": BLUE}


def test_sides_are_those_of_scores_and_colours_those_of_the_data(
    explained: Callable[..., AnnData],
) -> None:
    adata = explained(2)
    uns = adata.uns["ace"]
    uns["enriched"]["T/NK"][0] = not uns["enriched"]["T/NK"][0]
    bars = stored(adata, "T/NK", 3)
    other = {VERMILLION: BLUE, BLUE: VERMILLION}
    name, score, color = bars[0]
    ax = ace.pl.panels(adata, groups="T/NK", n_genes=3, show=False)
    assert drawn(ax) == [(name, score, other[color]), *bars[1:]]
    assert ax.figure.get_supxlabel() == "signed score (direction by the method)"


def test_mixed_genes_are_marked(explained: Callable[..., AnnData]) -> None:
    adata = explained(2)
    groups = adata.uns["ace"]["names"].dtype.names
    first = groups[0]
    fig = ace.pl.panels(adata, return_fig=True)
    texts = [text.get_text() for text in fig.legends[0].get_texts()]
    assert not any("mixed" in text for text in texts)  # a result without the record
    mixed = np.zeros(adata.n_vars, dtype=[(group, bool) for group in groups])
    mixed[first][[1, 2]] = True
    adata.uns["ace"]["mixed"] = mixed
    fig = ace.pl.panels(adata, n_genes=3, return_fig=True)
    names = adata.uns["ace"]["names"][first][:3]
    labels = [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert labels == [names[0], f"{names[1]} ±", f"{names[2]} ±"]
    assert not any("±" in label.get_text() for label in fig.axes[1].get_yticklabels())
    texts = [text.get_text() for text in fig.legends[0].get_texts()]
    assert texts[-1] == "mixed: differs between groups"
    _, (left, right) = plt.subplots(1, 2)
    ace.pl.panels(adata, ax=[left, right], show=False)
    for ax, n in ((left, 3), (right, 2)):
        assert len(ax.get_legend().get_texts()) == n


def test_groups_are_in_the_given_order(explained: Callable[..., AnnData]) -> None:
    adata = explained(8)
    axes = ace.pl.panels(adata, groups=["cluster 5", "T/NK"], show=False)
    assert [ax.get_title() for ax in axes] == ["cluster 5", "T/NK"]
    assert drawn(axes[1]) == stored(adata, "T/NK", 10)


def test_names_are_not_parsed_as_math(explained: Callable[..., AnnData]) -> None:
    ax = ace.pl.panels(explained(4), groups="costs $5 or $6", show=False)
    assert not ax.title.get_parse_math()
    assert not any(label.get_parse_math() for label in ax.get_yticklabels())


def test_title_names_a_reference_group(explained: Callable[..., AnnData]) -> None:
    ax = ace.pl.panels(explained(8, reference="T/NK"), groups="cluster 5", show=False)
    assert ax.get_title() == "cluster 5 vs T/NK"


def test_symbols_replace_names(explained: Callable[..., AnnData]) -> None:
    adata = explained(2)
    adata.var["symbol"] = "s-" + adata.var_names
    ax = ace.pl.panels(adata, groups="T/NK", n_genes=4, gene_symbols="symbol", show=False)
    assert drawn(ax) == [("s-" + n, s, c) for n, s, c in stored(adata, "T/NK", 4)]


def test_genes_with_score_0_are_not_drawn(explained: Callable[..., AnnData]) -> None:
    adata = explained(2)
    adata.uns["ace"]["scores"]["T/NK"][3:] = 0
    adata.uns["ace"]["scores"][adata.uns["ace"]["names"].dtype.names[1]][:] = 0
    some, none = ace.pl.panels(adata, n_genes=10, show=False)
    assert drawn(some) == stored(adata, "T/NK", 3)
    assert drawn(none) == []
    assert [text.get_text() for text in none.texts] == ["no gene has a score"]


def test_more_genes_than_there_are(explained: Callable[..., AnnData]) -> None:
    adata = explained(2)
    ax = ace.pl.panels(adata, groups="T/NK", n_genes=10**6, show=False)
    assert len(ax.patches) == (adata.uns["ace"]["scores"]["T/NK"] != 0).sum() <= adata.n_vars


def test_sharex_gives_all_panels_one_scale(explained: Callable[..., AnnData]) -> None:
    adata = explained(8)
    own = [ax.get_xlim() for ax in ace.pl.panels(adata, show=False)]
    shared = {ax.get_xlim() for ax in ace.pl.panels(adata, sharex=True, show=False)}
    assert len(set(own)) > 1
    assert shared == {(min(lo for lo, _ in own), max(hi for _, hi in own))}


def test_ncols(explained: Callable[..., AnnData]) -> None:
    axes = ace.pl.panels(explained(8), ncols=3, show=False)
    assert [
        (place.rowspan.start, place.colspan.start)
        for place in (ax.get_subplotspec() for ax in axes)
    ] == [(i // 3, i % 3) for i in range(8)]


def test_given_axes_are_used(explained: Callable[..., AnnData]) -> None:
    adata = explained(8)
    fig, (left, right) = plt.subplots(1, 2)
    assert ace.pl.panels(adata, groups="T/NK", ax=left, show=False) is left
    assert drawn(left) == stored(adata, "T/NK", 10)
    assert left.get_legend() is not None
    pair = ["T/NK", "cluster 5"]
    assert ace.pl.panels(adata, groups=pair, ax=[left, right], return_fig=True) is fig
    with pytest.raises(ValueError, match=r"8 axes .* got 1. Pass a list of 8"):
        ace.pl.panels(adata, ax=left)


@pytest.mark.filterwarnings("ignore:Forward slashes will be disallowed:FutureWarning")
def test_unchanged_after_reading_from_disk(
    explained: Callable[..., AnnData], tmp_path: Path
) -> None:
    adata = explained(8)
    before = [drawn(ax) for ax in ace.pl.panels(adata, show=False)]
    adata.write_h5ad(tmp_path / "explained.h5ad")
    again = ad.read_h5ad(tmp_path / "explained.h5ad")
    assert [drawn(ax) for ax in ace.pl.panels(again, show=False)] == before


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"groups": "B"}, KeyError, r"no groups \['B'\] in .*ace\.tl\.explain"),
        ({"key": "other"}, KeyError, r"no explanation.*ace\.tl\.explain"),
        ({"gene_symbols": "hgnc"}, KeyError, r"no column 'hgnc' in adata\.var"),
        ({"n_genes": 0}, ValueError, "n_genes must be a positive whole number"),
        ({"ncols": 0}, ValueError, "ncols must be a positive whole number"),
    ],
)
def test_errors_explain_the_fix(
    explained: Callable[..., AnnData], arguments: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ace.pl.panels(explained(2), **arguments)
