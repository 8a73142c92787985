"""Comparisons of one group with another, with any names of groups."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import ace


def cells(names: list[str]) -> ad.AnnData:
    """Groups with one marker gene each, ``g0`` for the first."""
    n = 20 * len(names)
    codes = np.arange(n) % len(names)
    x = np.random.default_rng(0).exponential(size=(n, len(names) + 3))
    x[np.arange(n), codes] += 9
    obs = pd.DataFrame({"cluster": pd.Categorical.from_codes(codes, names)})
    obs.index = obs.index.astype(str)
    var = pd.DataFrame(index=[f"g{i}" for i in range(x.shape[1])])
    return ad.AnnData(np.log1p(x), obs=obs, var=var)


@pytest.mark.parametrize("method", ["panel", "expected_gradients", "adversarial"])
def test_each_equals_all_references(method: str) -> None:
    adata = cells(["A", "B", "C"])
    ace.tl.explain(adata, "cluster", reference="each", method=method, key_added="each")
    fields = adata.uns["each"]["names"].dtype.names
    assert fields == ("A vs B", "A vs C", "B vs A", "B vs C", "C vs A", "C vs B")
    for b in "ABC":
        ace.tl.explain(adata, "cluster", reference=b, method=method)
        one = ace.get.explain_df(adata)
        assert list(one["group"].cat.categories) == [a for a in "ABC" if a != b]
        for a in one["group"].cat.categories:
            pair = ace.get.explain_df(adata, f"{a} vs {b}", key="each")
            pd.testing.assert_frame_equal(
                one[one["group"] == a].drop(columns="group").reset_index(drop=True),
                pair.drop(columns="group"),
            )
            # The markers of the two groups, not of the third.
            top = dict(zip(pair["gene"][:2], pair["enriched"][:2], strict=True))
            assert top == {f"g{'ABC'.index(a)}": True, f"g{'ABC'.index(b)}": False}


def test_names_that_contain_the_separator() -> None:
    adata = cells(["A", "B vs C", "D vs", " vs "])
    ace.tl.explain(adata, "cluster", reference="each")
    pair = ace.get.explain_df(adata, "B vs C vs A")
    assert set(pair["gene"][:2]) == {"g0", "g1"}
    ace.tl.explain(adata, "cluster", reference="B vs C")
    assert adata.uns["ace"]["names"].dtype.names == ("A", "D vs", " vs ")


def test_pairs_with_equal_names_are_an_error() -> None:
    adata = cells(["A", "B vs C", "A vs B", "C"])
    with pytest.raises(ValueError, match=r"not unique once they are stored.*rename_categories"):
        ace.tl.explain(adata, "cluster", reference="each")
    assert "ace" not in adata.uns
    ace.tl.explain(adata, "cluster", reference="each", groups=["A", "B vs C", "C"])


@pytest.mark.parametrize("reference", ["rest", "each"])
def test_reserved_words_never_mean_a_group(reference: str) -> None:
    adata = cells(["A", "B", reference])
    message = rf"reference='{reference}' means .*rename_categories\({{'{reference}': \.\.\.}}\)"
    with pytest.warns(UserWarning, match=message):
        ace.tl.explain(adata, "cluster", reference=reference)
    assert len(adata.uns["ace"]["names"].dtype.names) == {"rest": 3, "each": 6}[reference]
    # No warning with another reference, or if the group is renamed.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ace.tl.explain(adata, "cluster", reference="A")
        adata.obs["cluster"] = adata.obs["cluster"].cat.rename_categories({reference: "other"})
        ace.tl.explain(adata, "cluster", reference="other")
    assert adata.uns["ace"]["names"].dtype.names == ("A", "B")
    assert adata.uns["ace"]["names"]["A"][0] in {"g0", "g2"}
