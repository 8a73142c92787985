"""scanpy's own functions read an explanation as if they had made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

import ace

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

GROUPBY = "cell group"
#: Names of clusters that are difficult for file formats and plots.
AWKWARD = {"0": "T/NK", "1": "γδ T", "2": "CD14+ Mono (1)", "3": "costs $5 or $6"}


@pytest.fixture(scope="module")
def _explained(_pbmc_original: AnnData) -> AnnData:
    adata = _pbmc_original.copy()
    adata.obs[GROUPBY] = adata.obs["louvain"].cat.rename_categories(AWKWARD)
    ace.tl.explain(adata, groupby=GROUPBY)
    return adata


@pytest.fixture
def explained(_explained: AnnData) -> AnnData:
    """Blood cells with explained clusters; a copy, as scanpy's plots add to it."""
    return _explained.copy()


@pytest.fixture
def from_disk(explained: AnnData, tmp_path: Path) -> AnnData:
    """The same after a round trip, which makes plain structured arrays of the records."""
    explained.write_h5ad(tmp_path / "explained.h5ad")
    return ad.read_h5ad(tmp_path / "explained.h5ad")


@pytest.fixture(params=["explained", "from_disk"])
def either(request: pytest.FixtureRequest) -> AnnData:
    """The explained cells in memory, and from disk."""
    return request.getfixturevalue(request.param)


def groups_of(adata: AnnData) -> list[str]:
    return list(adata.uns["ace"]["names"].dtype.names)


def top(adata: AnnData, group: str, n: int) -> list[str]:
    return list(adata.uns["ace"]["names"][group][:n])


def test_rank_genes_groups(either: AnnData) -> None:
    axes = sc.pl.rank_genes_groups(either, key="ace", n_genes=6, show=False)
    assert [ax.get_title() for ax in axes] == [f"{g} vs. rest" for g in groups_of(either)]
    for ax, group in zip(axes, groups_of(either), strict=True):
        assert [text.get_text() for text in ax.texts] == top(either, group, 6)
        scores = either.uns["ace"]["scores"][group][:6]
        np.testing.assert_allclose([text.get_position()[1] for text in ax.texts], scores)


@pytest.mark.filterwarnings("ignore:set_ticklabels.. should only be used:UserWarning")
def test_rank_genes_groups_violin(either: AnnData) -> None:
    group = groups_of(either)[0]
    (ax,) = sc.pl.rank_genes_groups_violin(
        either, groups=[group], key="ace", n_genes=4, show=False
    )
    assert [label.get_text() for label in ax.get_xticklabels()] == top(either, group, 4)
    assert ax.get_title() == f"{group} vs. rest"


@pytest.mark.parametrize(
    ("plot", "axis"),
    [
        (sc.pl.rank_genes_groups_dotplot, "mainplot_ax"),
        (sc.pl.rank_genes_groups_matrixplot, "mainplot_ax"),
        (sc.pl.rank_genes_groups_stacked_violin, "mainplot_ax"),
        (sc.pl.rank_genes_groups_heatmap, "heatmap_ax"),
    ],
    ids=["dotplot", "matrixplot", "stacked_violin", "heatmap"],
)
def test_expression_of_the_panels(either: AnnData, plot: Any, axis: str) -> None:
    axes = plot(either, key="ace", n_genes=3, dendrogram=False, show=False)
    expected = [gene for group in groups_of(either) for gene in top(either, group, 3)]
    assert [label.get_text() for label in axes[axis].get_xticklabels()] == expected


def test_tracksplot(either: AnnData) -> None:
    axes = sc.pl.rank_genes_groups_tracksplot(
        either, key="ace", n_genes=2, dendrogram=False, show=False
    )
    expected = [gene for group in groups_of(either) for gene in top(either, group, 2)]
    assert [ax.get_ylabel() for ax in axes["track_axes"]] == expected


def test_with_a_dendrogram(explained: AnnData) -> None:
    sc.pp.pca(explained)
    plot = sc.pl.rank_genes_groups_dotplot(explained, key="ace", n_genes=2, return_fig=True)
    assert plot.are_axes_swapped is False
    order = list(explained.uns[f"dendrogram_{GROUPBY}"]["categories_ordered"])
    plot.make_figure()
    drawn = [label.get_text() for label in plot.get_axes()["mainplot_ax"].get_yticklabels()]
    assert drawn == order


@pytest.mark.parametrize("values", ["scores", "logfoldchanges"])
def test_values_of_the_result_as_colours(either: AnnData, values: str) -> None:
    group = groups_of(either)[0]
    plot = sc.pl.rank_genes_groups_dotplot(
        either,
        key="ace",
        groups=[group],
        n_genes=5,
        values_to_plot=values,
        dendrogram=False,
        return_fig=True,
    )
    drawn = plot.dot_color_df.loc[group, top(either, group, 5)]
    np.testing.assert_allclose(drawn, either.uns["ace"][values][group][:5], rtol=1e-6)


def test_min_logfoldchange(explained: AnnData) -> None:
    group = groups_of(explained)[0]
    plot = sc.pl.rank_genes_groups_dotplot(
        explained,
        key="ace",
        groups=[group],
        n_genes=5,
        min_logfoldchange=1,
        dendrogram=False,
        return_fig=True,
    )
    df = ace.get.explain_df(explained, group)
    assert plot.var_names == list(df.loc[df["logfoldchange"] > 1, "gene"])[:5]


def test_rank_genes_groups_df(either: AnnData) -> None:
    theirs = sc.get.rank_genes_groups_df(either, None, key="ace")
    ours = ace.get.explain_df(either)
    assert len(theirs) == either.n_vars * len(groups_of(either))
    assert list(theirs["group"]) == list(ours["group"])
    assert list(theirs["names"]) == list(ours["gene"])
    np.testing.assert_array_equal(theirs["scores"], ours["score"])
    np.testing.assert_array_equal(theirs["logfoldchanges"], ours["logfoldchange"])
    assert theirs[["pvals", "pvals_adj"]].isna().all(axis=None)  # no p-values are made up


def test_fractions_and_fold_changes_equal_those_of_scanpy(explained: AnnData) -> None:
    sc.tl.rank_genes_groups(
        explained, GROUPBY, method="t-test", use_raw=False, pts=True, key_added="t"
    )
    theirs = sc.get.rank_genes_groups_df(explained, None, key="t").set_index(["group", "names"])
    ours = ace.get.explain_df(explained).set_index(["group", "gene"])
    theirs = theirs.loc[ours.index]
    np.testing.assert_allclose(
        ours["logfoldchange"], theirs["logfoldchanges"], rtol=1e-3, atol=1e-3
    )
    np.testing.assert_allclose(ours["pct_in"], theirs["pct_nz_group"], rtol=1e-6)
    np.testing.assert_allclose(ours["pct_out"], theirs["pct_nz_reference"], rtol=1e-6)


def test_filter_rank_genes_groups(either: AnnData) -> None:
    sc.tl.filter_rank_genes_groups(
        either,
        key="ace",
        key_added="ace_filtered",
        min_in_group_fraction=0.5,
        max_out_group_fraction=0.3,
        min_fold_change=1,
    )
    ours = ace.get.explain_df(either)
    kept = ace.get.explain_df(either, key="ace_filtered")
    expected = ours[(ours["pct_in"] > 0.5) & (ours["pct_out"] < 0.3) & (ours["logfoldchange"] > 1)]
    assert 0 < len(kept) < len(ours)
    pd.testing.assert_frame_equal(kept, expected.reset_index(drop=True))
    axes = ace.pl.panels(either, key="ace_filtered", show=False)
    assert len(axes) == len(groups_of(either))


def test_marker_gene_overlap(explained: AnnData) -> None:
    group = groups_of(explained)[0]
    overlap = sc.tl.marker_gene_overlap(
        explained, {"mine": set(top(explained, group, 10))}, key="ace", top_n_markers=10
    )
    assert overlap.loc["mine", group] == 10


@pytest.mark.filterwarnings("ignore:set_ticklabels.. should only be used:UserWarning")
def test_against_one_group(explained: AnnData) -> None:
    first, second = groups_of(explained)[:2]
    ace.tl.explain(explained, groupby=GROUPBY, groups=[first], reference=second)
    (ax,) = sc.pl.rank_genes_groups(explained, key="ace", n_genes=5, show=False)
    assert ax.get_title() == f"{first} vs. {second}"
    assert [text.get_text() for text in ax.texts] == top(explained, first, 5)
    (ax,) = sc.pl.rank_genes_groups_violin(explained, key="ace", n_genes=5, show=False)
    assert [label.get_text() for label in ax.get_xticklabels()] == top(explained, first, 5)


def test_every_pair_of_groups(pbmc: AnnData) -> None:
    chosen = ["CD14+ Monocyte", "CD19+ B", "Dendritic"]
    adata = pbmc[pbmc.obs["bulk_labels"].isin(chosen)].copy()
    ace.tl.explain(adata, groupby="bulk_labels", reference="each")
    pairs = {f"{a} vs {b}" for a in chosen for b in chosen if a != b}
    assert set(groups_of(adata)) == pairs
    df = sc.get.rank_genes_groups_df(adata, "CD19+ B vs Dendritic", key="ace")
    assert list(df["names"][:5]) == top(adata, "CD19+ B vs Dendritic", 5)
    axes = sc.pl.rank_genes_groups_dotplot(
        adata, key="ace", n_genes=2, dendrogram=False, show=False
    )
    expected = [gene for pair in groups_of(adata) for gene in top(adata, pair, 2)]
    drawn = [label.get_text() for label in axes["mainplot_ax"].get_xticklabels()]
    assert drawn == expected
