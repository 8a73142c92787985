from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc

import ace

if TYPE_CHECKING:
    from pathlib import Path

GROUPS = ["T/NK cells", "naïve γδ T", "0"]
COLUMNS = [
    "group",
    "rank",
    "gene",
    "score",
    "in_panel",
    "enriched",
    "mixed",
    "against",
    "logfoldchange",
    "pct_in",
    "pct_out",
]


def test_all_values_of_one_group(explained: ad.AnnData) -> None:
    expected = pd.DataFrame(
        {
            "group": pd.Categorical(["naïve γδ T"] * 4),
            "rank": [1, 2, 3, 4],
            "gene": ["g1", "g3", "g2", "g0"],
            "score": np.array([7.0, 1.0, -0.75, 0.5], dtype=np.float32),
            "in_panel": pd.array([pd.NA] * 4, dtype="boolean"),
            "enriched": [True, True, False, True],
            "mixed": [False, True, False, False],
            "against": ["T/NK cells"] * 4,
            "logfoldchange": np.array([7 / 3, 1 / 3, -0.25, 0.5 / 3], dtype=np.float32),
            # Row of the gene, second column of the stored frame.
            "pct_in": np.array([4 / 12, 10 / 12, 7 / 12, 1 / 12], dtype=np.float32),
            "pct_out": np.array([8 / 12, 2 / 12, 5 / 12, 11 / 12], dtype=np.float32),
        }
    )
    df = ace.get.explain_df(explained, "naïve γδ T")
    pd.testing.assert_frame_equal(df, expected, check_exact=False, rtol=1e-6)


def test_all_groups_in_stored_order(explained: ad.AnnData) -> None:
    df = ace.get.explain_df(explained)
    assert list(df.columns) == COLUMNS
    assert list(df["group"].cat.categories) == GROUPS
    assert list(df["group"]) == [g for g in GROUPS for _ in range(4)]
    assert list(df["rank"]) == [1, 2, 3, 4] * 3
    assert df.index.equals(pd.RangeIndex(12))
    parts = [ace.get.explain_df(explained, g) for g in GROUPS]
    for part in parts:
        part["group"] = part["group"].astype(df["group"].dtype)
    pd.testing.assert_frame_equal(df, pd.concat(parts, ignore_index=True))


def test_genes_without_a_group_that_they_separate_from(explained: ad.AnnData) -> None:
    df = ace.get.explain_df(explained, ["T/NK cells", "0"])
    assert list(df["against"].dropna().unique()) == ["0", "naïve γδ T"]
    assert list(df["against"].isna()) == list(df["score"] == 0)


def test_results_of_earlier_versions(explained: ad.AnnData, tmp_path: Path) -> None:
    new = ace.get.explain_df(explained)
    for record in ("against", "mixed"):
        del explained.uns["ace"][record]
    old = ace.get.explain_df(explained)
    assert list(old.columns) == COLUMNS
    assert old[["against", "mixed"]].isna().all(axis=None)
    assert old[old["mixed"]].empty  # a Boolean column, also if all values are missing
    rest = [column for column in COLUMNS if column not in ("against", "in_panel", "mixed")]
    pd.testing.assert_frame_equal(old[rest], new[rest])
    old.to_csv(tmp_path / "old.csv", index=False)
    pd.testing.assert_frame_equal(ace.get.read_explain_csv(tmp_path / "old.csv"), old)
    # Files of earlier versions lack the columns.
    old[rest].to_csv(tmp_path / "older.csv", index=False)
    pd.testing.assert_frame_equal(ace.get.read_explain_csv(tmp_path / "older.csv"), old[rest])


def test_groups_are_in_the_given_order(explained: ad.AnnData) -> None:
    df = ace.get.explain_df(explained, ["0", "T/NK cells"])
    assert list(df["group"].cat.categories) == ["0", "T/NK cells"]
    assert list(df["gene"]) == ["g0", "g3", "g2", "g1", "g2", "g0", "g3", "g1"]


def test_symbol_falls_back_to_the_gene(explained: ad.AnnData) -> None:
    df = ace.get.explain_df(explained, "T/NK cells", gene_symbols="symbol")
    assert list(df.columns) == [*COLUMNS[:3], "symbol", *COLUMNS[3:]]
    # "NA" is a valid symbol; None and the empty string are not.
    assert list(df["symbol"]) == ["g2", "NKG7", "NA", "g1"]


def test_categorical_symbols(explained: ad.AnnData) -> None:
    explained.var["symbol"] = pd.Categorical(["A", "A", None, "B"])
    df = ace.get.explain_df(explained, "T/NK cells", gene_symbols="symbol")
    assert list(df["symbol"]) == ["g2", "A", "B", "A"]


def test_unchanged_after_reading_from_disk(explained: ad.AnnData, tmp_path: Path) -> None:
    before = ace.get.explain_df(explained, gene_symbols="symbol")
    explained.var["symbol"] = explained.var["symbol"].fillna("")  # h5ad cannot store None
    explained.write_h5ad(tmp_path / "explained.h5ad")
    after = ace.get.explain_df(ad.read_h5ad(tmp_path / "explained.h5ad"), gene_symbols="symbol")
    pd.testing.assert_frame_equal(before, after)


def test_genes_filtered_by_scanpy_are_excluded(explained: ad.AnnData) -> None:
    names = explained.uns["ace"]["names"].copy()
    names["0"][1] = np.nan
    explained.uns["filtered"] = explained.uns["ace"] | {"names": names}
    df = ace.get.explain_df(explained, "0", key="filtered")
    assert list(df["gene"]) == ["g0", "g2", "g1"]
    assert list(df["rank"]) == [1, 3, 4]
    assert df.index.equals(pd.RangeIndex(3))


def test_agrees_with_scanpy(explained: ad.AnnData) -> None:
    theirs = sc.get.rank_genes_groups_df(explained, None, key="ace")
    ours = ace.get.explain_df(explained)
    assert list(theirs["group"]) == list(ours["group"])
    assert list(theirs["names"]) == list(ours["gene"])
    np.testing.assert_array_equal(ours["score"], theirs["scores"])
    np.testing.assert_array_equal(ours["logfoldchange"], theirs["logfoldchanges"])


def test_returns_a_copy(explained: ad.AnnData) -> None:
    df = ace.get.explain_df(explained, "0")
    df["score"] = 0.0
    df["gene"] = "x"
    assert explained.uns["ace"]["scores"]["0"][0] == -1
    assert explained.uns["ace"]["names"]["0"][0] == "g0"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"groups": "B"}, KeyError, r"no groups \['B'\] in .*ace\.tl\.explain"),
        ({"groups": ["0", "C"]}, KeyError, r"no groups \['C'\] in "),
        ({"groups": []}, ValueError, "groups must have at least 1 of"),
        ({"groups": ["0", "0"]}, ValueError, "pass each group once"),
        ({"key": "other"}, KeyError, r"no explanation.*\['ace'\].*ace\.tl\.explain"),
        ({"gene_symbols": "hgnc"}, KeyError, r"no column 'hgnc' in adata\.var.*\['symbol'\]"),
    ],
)
def test_errors_explain_the_fix(
    explained: ad.AnnData, arguments: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ace.get.explain_df(explained, **arguments)


def test_thirty_groups_of_twenty_thousand_genes() -> None:
    rng = np.random.default_rng(0)
    groups, genes = [f"c{i}" for i in range(30)], np.array([f"gene{i}" for i in range(20_000)])
    order = np.argsort(rng.random((30, 20_000)), axis=1)
    scores = pd.DataFrame(-np.sort(-rng.random((20_000, 30)), axis=0), columns=groups)
    fractions = pd.DataFrame(rng.random((20_000, 30)), columns=groups)
    adata = ad.AnnData(np.zeros((1, 20_000), dtype=np.float32), var=pd.DataFrame(index=genes))
    adata.uns["ace"] = {
        "params": {},
        "names": pd.DataFrame(genes[order].T, columns=groups).to_records(index=False),
        "scores": scores.to_records(index=False),
        "enriched": (scores > 0.5).to_records(index=False),
        "logfoldchanges": scores.to_records(index=False),
        "pct_in": fractions.to_records(index=False),
        "pct_out": fractions.to_records(index=False),
    }
    start = time.perf_counter()
    df = ace.get.explain_df(adata)
    assert time.perf_counter() - start < 5  # about 0.3 s; a loop over genes would take minutes
    assert df.shape == (600_000, 11)
    row = df.iloc[7 * 20_000 + 123]
    gene = genes[order[7, 123]]
    assert (row["group"], row["rank"], row["gene"]) == ("c7", 124, gene)
    assert row["pct_in"] == fractions.loc[123, "c7"]
