from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import ace

GROUPS = ["4", "0", "3"]


@pytest.fixture(scope="module")
def explained() -> ad.AnnData:
    adata = ace.datasets.pbmc68k_reduced()
    ace.tl.explain(adata, "louvain", method="expected_gradients", groups=GROUPS, reference="each")
    return adata


def test_values_computed_by_hand(explained: ad.AnnData) -> None:
    df = ace.get.pairs_df(explained, n_genes=10)
    # One row per pair, in the order of the categories.
    names = ["0", "3", "4"]
    assert list(df["group"].cat.categories) == list(df["reference"].cat.categories) == names
    pairs = list(zip(df["group"], df["reference"], strict=True))
    assert pairs == [(names[0], names[1]), (names[0], names[2]), (names[1], names[2])]
    for (a, b), row in zip(pairs, df.to_dict("records"), strict=True):
        there, back = (
            ace.get.explain_df(explained, f"{s} vs {t}").set_index("gene")["score"]
            for s, t in ((a, b), (b, a))
        )
        shared = sorted(set(there.index[:10]) & set(back.index[:10]))
        assert row["n_shared"] == len(shared)
        assert row["jaccard"] == pytest.approx(len(shared) / (20 - len(shared)))
        opposite = np.mean([there[g] * back[g] < 0 for g in shared])
        assert row["opposite"] == pytest.approx(opposite)


def test_expected_gradients_are_symmetric(explained: ad.AnnData) -> None:
    """Reversing the paths reverses the signs, except for the sampled pairs of cells."""
    df = ace.get.pairs_df(explained)
    assert (df["opposite"] == 1).all()
    assert (df["jaccard"] > 0.8).all()
    assert (df["correlation"] < -0.98).all()


def test_groups_are_in_the_given_order(explained: ad.AnnData) -> None:
    (row,) = ace.get.pairs_df(explained, GROUPS[:2]).to_dict("records")
    (turned,) = ace.get.pairs_df(explained, GROUPS[1::-1]).to_dict("records")
    assert (row["group"], row["reference"]) == ("4", "0")
    assert (turned["group"], turned["reference"]) == ("0", "4")
    assert row["rbo"] == pytest.approx(turned["rbo"])


def test_any_group_names() -> None:
    names = ["rest", "A vs B", "0"]
    adata = ad.AnnData(np.random.default_rng(0).exponential(size=(60, 5)))
    codes = np.arange(60) % 3
    adata.X[np.arange(60), codes] += 9
    adata.obs["cluster"] = pd.Categorical.from_codes(codes, names)
    ace.tl.explain(adata, "cluster", reference="each", method="expected_gradients")
    df = ace.get.pairs_df(adata)
    assert list(zip(df["group"], df["reference"], strict=True)) == [
        ("rest", "A vs B"),
        ("rest", "0"),
        ("A vs B", "0"),
    ]


def test_after_a_round_trip(explained: ad.AnnData, tmp_path) -> None:
    explained.write_h5ad(tmp_path / "a.h5ad")
    again = ad.read_h5ad(tmp_path / "a.h5ad")
    pd.testing.assert_frame_equal(ace.get.pairs_df(again), ace.get.pairs_df(explained))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"groups": ["4", "B"]}, KeyError, r"no groups \['B'\] in "),
        ({"groups": ["4"]}, ValueError, "groups must have at least 2 of"),
        ({"key": "other"}, KeyError, r"no explanation.*ace\.tl\.explain"),
        ({"n_genes": 0}, ValueError, "n_genes must be a positive whole number, got 0"),
    ],
)
def test_errors_explain_the_fix(
    explained: ad.AnnData, arguments: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ace.get.pairs_df(explained, **arguments)


def test_other_explanations_have_no_pairs(explained: ad.AnnData) -> None:
    adata = explained.copy()
    for reference in ("rest", "4"):
        ace.tl.explain(adata, "louvain", groups=GROUPS, reference=reference)
        message = (
            rf"with '{reference}', not in pairs.*ace\.tl\.explain\(.*'louvain', reference=\"each\""
        )
        with pytest.raises(ValueError, match=message):
            ace.get.pairs_df(adata)
