"""Panels for all groups: arguments, results and storage."""

from __future__ import annotations

import warnings

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import ace


@pytest.fixture
def cells():
    """Three groups of 60 cells with planted markers; gene 3 is a housekeeping gene."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(3), 60)
    rate = np.full((180, 40), 0.3)
    for group in range(3):
        rate[codes == group, group] = 6
        rate[codes == group, 10 + group] = 3
    rate[:, 3] = 50
    counts = rng.poisson(rate).astype(np.float32)
    counts[:, 39] = 0
    adata = ad.AnnData(
        sp.csr_matrix(np.log1p(counts)),
        obs=pd.DataFrame(
            {"type": pd.Categorical.from_codes(codes, ["a/b", "B", "C"])},
            index=[f"c{i}" for i in range(180)],
        ),
        var=pd.DataFrame(index=[f"g{i}" for i in range(40)]),
    )
    mask = pd.array([i % 2 == 0 for i in range(40)], dtype="boolean")
    mask[4] = pd.NA
    adata.var["mask"] = mask
    adata.uns["log1p"] = {}
    return adata


def test_planted_markers(cells):
    before = cells.copy()
    assert ace.tl.select_panel(cells, "type", 3) is None
    df = ace.get.panel_df(cells)
    assert set(df["gene"]) <= {"g0", "g1", "g2", "g10", "g11", "g12"}
    assert cells.var["ace_panel"].dtype == bool
    assert list(cells.var_names[cells.var["ace_panel"]]) == sorted(df["gene"])
    rank = cells.var["ace_panel_rank"]
    assert rank.dropna().sort_values().index.tolist() == df["gene"].tolist()
    assert (df["group"].astype(str) != df["against"].astype(str)).all()
    assert df["gain"].is_monotonic_decreasing
    # Nothing else is written.
    assert set(cells.var) - set(before.var) == {"ace_panel", "ace_panel_rank"}
    assert set(cells.uns) - set(before.uns) == {"ace_panel"}
    pd.testing.assert_frame_equal(cells.obs, before.obs)
    assert (cells.X != before.X).nnz == 0


def test_tables_agree(cells):
    ace.tl.select_panel(cells, "type", 6)
    quality = ace.get.panel_df(cells, "quality")
    confusion = ace.get.panel_df(cells, "confusion")
    assert quality["n_genes"].tolist() == [1, 2, 3, 5, 6]
    assert quality["balanced_accuracy"].iloc[-1] > 0.95
    totals = confusion.groupby("group", observed=True)["n_cells"].sum()
    assert totals.to_dict() == {"a/b": 60, "B": 60, "C": 60}
    right = confusion[confusion["group"].astype(str) == confusion["predicted"].astype(str)]
    recall = right["n_cells"].to_numpy() / 60
    np.testing.assert_allclose(quality["balanced_accuracy"].iloc[-1], recall.mean())
    np.testing.assert_allclose(quality["worst_recall"].iloc[-1], recall.min())


def test_genes_that_may_enter(cells):
    def selected(**arguments):
        ace.tl.select_panel(cells, "type", 4, **arguments)
        return ace.get.panel_df(cells)["gene"].tolist()

    assert selected(include=["g30", "g39"])[:2] == ["g30", "g39"]
    assert not {"g0", "g1"} & set(selected(exclude=["g0", "g1"]))
    assert all(int(g[1:]) % 2 == 0 and g != "g4" for g in selected(mask_var="mask"))
    mask = np.arange(40) >= 30
    assert all(int(gene[1:]) >= 30 for gene in selected(mask_var=mask))
    means = np.stack([cells[cells.obs["type"] == t].X.mean(0).A1 for t in ("a/b", "B", "C")])
    largest = dict(zip(cells.var_names, means.max(0), strict=True))
    assert all(largest[gene] <= 1.5 for gene in selected(max_mean=1.5))
    assert all(largest[gene] >= 1 for gene in selected(min_mean=1))


def test_include_counts_as_chosen(cells):
    cells.X = sp.csr_matrix(cells.X)
    copy = cells.X.toarray()
    copy[:, 20] = copy[:, 0]
    cells.X = sp.csr_matrix(copy)
    ace.tl.select_panel(cells, "type", 4, include=["g20"])
    assert "g0" not in ace.get.panel_df(cells)["gene"].tolist()


def test_formats_agree(cells):
    """Dense, CSC and a file give the same panel as CSR."""
    ace.tl.select_panel(cells, "type", 5)
    expected = ace.get.panel_df(cells)
    for convert in (lambda x: x.toarray(), sp.csc_matrix, lambda x: x.astype(np.float64)):
        other = cells.copy()
        other.X = convert(cells.X)
        ace.tl.select_panel(other, "type", 5)
        pd.testing.assert_frame_equal(ace.get.panel_df(other), expected)


def test_file_on_disk(cells, tmp_path):
    ace.tl.select_panel(cells, "type", 5, n_cells=20)
    expected = ace.get.panel_df(cells)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    ace.tl.select_panel(backed, "type", 5, n_cells=20)
    pd.testing.assert_frame_equal(ace.get.panel_df(backed), expected)
    with pytest.raises(ValueError, match="copy=True cannot copy"):
        ace.tl.select_panel(backed, "type", 5, copy=True)


def test_result_can_be_stored(cells, survives_files):
    ace.tl.select_panel(cells, "type", 5, include=["g0"], mask_var="mask")
    del cells.var["mask"]
    stored = survives_files(cells)
    for table in ("genes", "quality", "confusion"):
        pd.testing.assert_frame_equal(
            ace.get.panel_df(stored, table), ace.get.panel_df(cells, table), check_dtype=False
        )
    ace.tl.select_panel(stored, "type", 3)  # replaces its own result
    assert stored.var["ace_panel"].sum() == 3


def test_seed_and_copy(cells):
    first, second = (ace.tl.select_panel(cells, "type", 5, n_cells=20, copy=True) for _ in "ab")
    assert "ace_panel" not in cells.uns
    for table in ("genes", "quality", "confusion"):
        pd.testing.assert_frame_equal(
            ace.get.panel_df(first, table), ace.get.panel_df(second, table)
        )
    other = ace.tl.select_panel(cells, "type", 5, n_cells=20, copy=True, random_state=1)
    assert not ace.get.panel_df(other)["gain"].equals(ace.get.panel_df(first)["gain"])


def test_modality(cells):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # columns of obs may be copied from modalities
        mdata = md.MuData({"rna": cells})
    mdata.obs["rna:type"] = cells.obs["type"]
    ace.tl.select_panel(mdata, "rna:type", 5, modality="rna")
    assert mdata.mod["rna"].var["ace_panel"].sum() == 5


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n_genes": 0}, ValueError, "n_genes must be a positive whole number"),
        ({"n_genes": 41}, ValueError, r"only 39 of 40 genes.*1 are not expressed"),
        (
            {"mask_var": "mask", "n_genes": 20},
            ValueError,
            r"only 19 of 40.*21 are not in mask_var",
        ),
        ({"max_mean": 0.0}, ValueError, r"only 0 of 40.*39 are above max_mean=0\.0"),
        ({"min_mean": 9}, ValueError, r"40 are below min_mean=9"),
        ({"min_mean": "1"}, ValueError, "min_mean must be a finite number or None"),
        ({"include": "g0"}, TypeError, "include must be a list of gene names"),
        ({"include": None}, TypeError, "include must be a list of gene names"),
        ({"include": ["g40"]}, ValueError, r"'g40'.*Did you mean"),
        ({"exclude": ["g0"], "include": ["g0"]}, ValueError, "both include and exclude"),
        ({"include": ["g0", "g1"], "n_genes": 1}, ValueError, "more than n_genes=1"),
        ({"exclude": [f"g{i}" for i in range(38)]}, ValueError, "38 are in exclude"),
        ({"mask_var": "masc"}, KeyError, "no column 'masc'.*Did you mean 'mask'"),
        ({"mask_var": np.ones(3, dtype=bool)}, ValueError, "mask_var has 3 values, but adata"),
        ({"mask_var": np.arange(40)}, ValueError, "mask_var must be Boolean"),
        ({"groupby": "typ"}, KeyError, "Did you mean 'type'"),
        ({"n_cells": 0}, ValueError, "n_cells must be"),
        ({"random_state": -1}, ValueError, "random_state must be"),
        ({"key_added": "a/b"}, ValueError, "without '/'"),
        ({"key_added": "mask"}, ValueError, r"would overwrite \.var\['mask'\]"),
        ({"key_added": "mask", "mask_var": "mask"}, ValueError, "which this call reads"),
        ({"key_added": "name"}, ValueError, "the name of the index of adata.var"),
        ({"layer": "counts"}, KeyError, "no layer 'counts'"),
    ],
)
def test_invalid_arguments(cells, snapshot, change, error, message):
    cells.var.index.name = "name"
    before = snapshot(cells)
    with pytest.raises(error, match=message):
        ace.tl.select_panel(cells, **{"groupby": "type", "n_genes": 5} | change)
    assert snapshot(cells) == before


def test_missing_result(cells):
    ace.tl.select_panel(cells, "type", 5, key_added="mine")
    with pytest.raises(KeyError, match=r"There are panels in \['mine'\].*ace\.tl\.select_panel"):
        ace.get.panel_df(cells)
    with pytest.raises(ValueError, match="table='gene' is not one of"):
        ace.get.panel_df(cells, "gene", key="mine")


def test_groups_that_differ_in_no_gene(cells):
    """Groups at random: the panel is selected, and the accuracy says that it is of no use."""
    cells.obs["random"] = pd.Categorical(
        np.random.default_rng(0).permutation(np.repeat(["x", "y"], 90))
    )
    ace.tl.select_panel(cells, "random", 10)
    quality = ace.get.panel_df(cells, "quality")
    assert (np.abs(quality["balanced_accuracy"] - 0.5) < 4 * quality["balanced_accuracy_se"]).all()


def test_real_cells(pbmc):
    ace.tl.select_panel(pbmc, "bulk_labels", 30)
    genes = ace.get.panel_df(pbmc)["gene"].tolist()
    assert {"NKG7", "CD79A"} <= set(genes)
    assert pbmc.uns["ace_panel"]["params"]["n_eligible"] == (pbmc.X.sum(0) != 0).sum()
    assert ace.get.panel_df(pbmc, "quality")["balanced_accuracy"].iloc[-1] > 0.6
