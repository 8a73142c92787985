"""Direction of genes in the data, and the groups that they separate from."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

import ace
from ace._checks import _storable
from ace.explain import GroupedCells, Saliency

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from anndata import AnnData

#: Mean of each gene in the groups a, b and c.
MEANS = {
    "only_a": (4.0, 1.0, 1.0),
    "not_a": (1.0, 3.0, 4.0),
    "between": (2.5, 1.0, 6.0),
    "weakly_between": (2.5, 2.45, 4.0),
    "equal": (2.0, 2.0, 2.0),
    "unseen": (2.5, 1.0, 6.0),
}


@pytest.fixture
def cells() -> AnnData:
    """Cells of three groups; 300 of a and c, 900 of b, and two genes of pure noise."""
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2], [300, 900, 300])
    means = np.array([*MEANS.values(), (1, 1, 1), (2, 2, 2)])
    x = np.maximum(means[:, codes].T + rng.normal(0, 0.5, (len(codes), len(means))), 0)
    adata = ad.AnnData(
        x.astype(np.float32),
        obs=pd.DataFrame(
            {"group": pd.Categorical.from_codes(codes, list("abc"))},
            index=[f"cell{i}" for i in range(len(codes))],
        ),
        var=pd.DataFrame(index=[*MEANS, "noise1", "noise2"]),
    )
    adata.var["highly_variable"] = adata.var_names != "unseen"
    adata.uns["log1p"] = {}
    return adata


@pytest.fixture
def by_gene(cells: AnnData) -> Callable[..., pd.DataFrame]:
    """Explain the cells, and return the rows of group a by gene."""

    def explain(**options: object) -> pd.DataFrame:
        ace.tl.explain(cells, "group", **options)
        return ace.get.explain_df(cells, "a").set_index("gene")

    return explain


@pytest.mark.parametrize("method", ["panel", "saliency", "adversarial"])
def test_planted_directions(by_gene: Callable[..., pd.DataFrame], method: str) -> None:
    df = by_gene(method=method)
    assert df["mixed"].dtype == bool
    # Only a panel ranks the gene that the principal components were not computed from.
    ranked = df[df["score"].notna()]
    expected = ["between", "unseen"] if method == "panel" else ["between"]
    assert sorted(ranked.index[ranked["mixed"]]) == expected
    assert df.loc["between", "against"] == "c"
    assert df.loc["not_a", "against"] == "c"
    assert df["against"].drop("unseen").isin(["b", "c"]).all()
    # A gene that is not part of the input is compared with no group.
    assert pd.isna(df.loc["unseen", "against"]) == (method != "panel")
    assert df.loc["unseen", "mixed"] == (method == "panel")
    # Over b and c together, "between" is slightly higher in a.
    assert df["enriched"].loc[["only_a", "between", "unseen", "not_a"]].tolist() == [1, 1, 1, 0]
    np.testing.assert_array_equal(df["enriched"], df["logfoldchange"] > 0)


def test_no_gene_is_mixed_against_a_single_group(by_gene: Callable[..., pd.DataFrame]) -> None:
    df = by_gene(reference="b")
    assert not df["mixed"].any()
    assert (df["against"].drop("unseen") == "b").all()
    assert df.loc["between", "enriched"]
    assert not by_gene(reference="c").loc["between", "enriched"]


def test_genes_are_not_mixed_by_chance() -> None:
    rng = np.random.default_rng(1)
    codes = rng.permutation(np.arange(200) % 8)  # groups of 25 cells
    noise = GroupedCells([rng.exponential(size=((codes == g).sum(), 2000)) for g in range(8)])
    against, mixed = noise.separation(2, None)
    assert set(against) == {0, 1, 3, 4, 5, 6, 7}
    assert mixed.mean() < 0.005
    differences = np.array([noise.difference(2, other) for other in range(8) if other != 2])
    above, below = (differences > 0.2).any(0), (differences < -0.2).any(0)
    assert (above & below).mean() > 0.2  # without regard to the standard errors


def test_a_method_can_name_the_group(
    monkeypatch: pytest.MonkeyPatch, by_gene: Callable[..., pd.DataFrame]
) -> None:
    original = Saliency.explain

    def explain(self: Saliency, source: int, reference: int | None) -> ace.explain.Attribution:
        found = original(self, source, reference)
        against = np.full(len(found.scores), self.scorer.groups.index("b"))
        return dataclasses.replace(found, against=against)

    monkeypatch.setattr(Saliency, "explain", explain)
    df = by_gene(method="saliency")
    assert (df["against"].drop("unseen") == "b").all()
    assert df.loc["between", "mixed"]


@pytest.mark.parametrize("holds_records", [True, False])
def test_survives_files(
    cells: AnnData,
    monkeypatch: pytest.MonkeyPatch,
    survives_files: Callable[..., AnnData],
    holds_records: bool,
) -> None:
    monkeypatch.setattr(_storable, "holds_records", lambda fields: holds_records)
    cells.obs["group"] = cells.obs["group"].cat.rename_categories({"a": "T/NK", "b": "naïve γδ"})
    ace.tl.explain(cells, "group")
    df = ace.get.explain_df(cells)
    assert set(df["against"].dropna()) == {"T/NK", "naïve γδ", "c"}
    pd.testing.assert_frame_equal(ace.get.explain_df(survives_files(cells)), df)
    if not holds_records:  # a table of an earlier version
        stored = cells.uns["ace"]
        stored["table"] = stored["table"].drop(columns=["against", "mixed"])
        old = ace.get.explain_df(cells)
        assert old[["against", "mixed"]].isna().all(axis=None)
        assert len(ace.pl.panels(cells, show=False)) == 3


def test_a_specificity_has_no_group_that_it_separates_from(cells: AnnData) -> None:
    ace.tl.rank_specificity(cells, "group")
    df = ace.get.explain_df(cells, key="rank_specificity")
    assert df[["against", "mixed"]].isna().all(axis=None)
    assert len(ace.pl.panels(cells, key="rank_specificity", show=False)) == 3


def test_genes_that_separate_monocytes_from_monocytes(data_dir: Path) -> None:
    """S100A8 is far below CD14+ monocytes, but slightly above all other cells together."""
    adata = ad.read_h5ad(data_dir / "pbmc3k_processed.h5ad").raw.to_adata()
    sc.pp.highly_variable_genes(adata)
    sc.pp.pca(adata)
    ace.tl.explain(adata, "louvain", method="adversarial", groups=["FCGR3A+ Monocytes"])
    row = ace.get.explain_df(adata).set_index("gene").loc["S100A8"]
    assert row["rank"] == 1
    assert row["score"] < 0
    assert row["logfoldchange"] > 0
    assert row["enriched"]
    assert row["mixed"]
    assert row["against"] == "CD14+ Monocytes"
