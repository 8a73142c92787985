"""scanpy's dot plot with the direction of the genes."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex

import ace
from ace.pl._colors import DEPLETED, ENRICHED


@pytest.fixture(scope="module")
def adata():
    adata = ace.datasets.pbmc68k_reduced()
    ace.tl.explain(adata, "louvain", quality=False)
    return adata


def test_names_have_the_colour_of_their_direction(adata):
    axes = ace.pl.dotplot(adata, groups=["4", "0"], n_genes=3, show=False)
    df = ace.get.explain_df(adata, ["4", "0"])
    expected = df[df["rank"] <= 3]
    texts = axes["mainplot_ax"].get_xticklabels()
    assert [text.get_text() for text in texts] == expected["gene"].tolist()
    colors = [to_hex(text.get_color()) for text in texts]
    assert colors == [to_hex(ENRICHED if up else DEPLETED) for up in expected["enriched"]]
    plt.close("all")


def test_options_and_direction(adata):
    axes = ace.pl.dotplot(
        adata, groups="4", direction="depleted", n_genes=2, standard_scale="var", show=False
    )
    texts = axes["mainplot_ax"].get_xticklabels()
    assert {to_hex(text.get_color()) for text in texts} == {to_hex(DEPLETED)}
    with pytest.raises(ValueError, match="direction='up'"):
        ace.pl.dotplot(adata, direction="up", show=False)
    with pytest.raises(KeyError, match="no explanation"):
        ace.pl.dotplot(adata, key="missing", show=False)
    plt.close("all")
