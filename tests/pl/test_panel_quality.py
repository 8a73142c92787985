"""Quality of panels by number of genes."""

from __future__ import annotations

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest

import ace


@pytest.fixture(scope="module")
def adata():
    adata = ace.datasets.pbmc68k_reduced()
    ace.tl.explain(adata, "louvain", groups=["0", "4", "10"])
    return adata


def test_lines_are_the_values_of_the_frame(adata):
    df = ace.get.panel_quality_df(adata, "4")
    ax = ace.pl.panel_quality(adata, groups="4", show=False)
    auroc, against, f_beta, size = ax.lines
    np.testing.assert_array_equal(auroc.get_xdata(), df["n_genes"])
    np.testing.assert_array_equal(auroc.get_ydata(), df["auroc"])
    np.testing.assert_array_equal(against.get_ydata(), df["auroc_against"])
    np.testing.assert_array_equal(f_beta.get_ydata(), df["f_beta"])
    expected = ace.get.diagnostics_df(adata, "4")["panel_size"].item()
    assert set(size.get_xdata()) == {expected}
    assert ax.get_title() == "4"
    plt.close("all")


def test_one_axes_per_group_and_one_legend(adata):
    axes = ace.pl.panel_quality(adata, show=False)
    assert [ax.get_title() for ax in axes] == ["0", "4", "10"]
    (legend,) = axes[0].figure.legends
    assert legend.get_texts()[0].get_text() == "AUROC"
    plt.close("all")


def test_groups_of_few_cells_have_no_quality(adata):
    few = adata[np.r_[0:4, 10:14]].copy()
    few.obs["g"] = ["a"] * 4 + ["b"] * 4
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ace.tl.explain(few, "g")
    with pytest.raises(ValueError, match="five cells"):
        ace.pl.panel_quality(few, show=False)


def test_a_panel_without_quality_is_an_error(adata):
    ace.tl.explain(adata, "louvain", groups=["4"], quality=False, key_added="without")
    with pytest.raises(KeyError, match="has no quality"):
        ace.pl.panel_quality(adata, key="without", show=False)
